/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/smm.h"

#include <string.h>

#include "src/kernels/smm_x86.h"
#include "src/kernels/transpose.h"
#include "src/kernels/unroll.h"
#include "src/kernels/vecmath.h"

/* --- products ---------------------------------------------------------------- */

#define STRIP 16

/* Row m, columns [n, n + wide). */
INLINE void strip(const struct smm_sum *s, int m, int n, int wide)
{
    real c[STRIP];
    for (int j = 0; j < wide; j++) c[j] = s->from ? s->from[(int64_t)m * s->ldfrom + n + j] : 0;
    for (const struct smm_term *t = s->terms; t < s->terms + s->n; t++) {
        const int first = t->lower && t->transposed ? m : 0;
        const int end = t->lower && !t->transposed ? m + 1 : t->K;
        for (int k = first; k < end; k++) {
            const real a = t->transposed ? t->A[(int64_t)k * t->lda + m]
                                         : t->A[(int64_t)m * t->lda + k];
            const real *b = t->B + (int64_t)k * t->ldb + n;
            for (int j = 0; j < wide; j++) c[j] = vfma(a, b[j], c[j]);
        }
    }
    for (int j = 0; j < wide; j++) s->C[(int64_t)m * s->ldc + n + j] = c[j];
}

CLONES
void smm_sum_ref(const struct smm_sum *s)
{
    for (int m = 0; m < s->M; m++) {
        int n = 0;
        for (; n + STRIP <= s->N; n += STRIP) strip(s, m, n, STRIP);
        if (n < s->N) strip(s, m, n, s->N - n);
    }
}

void smm_sum(const struct smm_sum *s)
{
    smm_x86_fn *f = smm_x86(isa_best());
    if (f) f(s);
    else smm_sum_ref(s);
}

typedef void summing(const struct smm_sum *s);

static void block(real *C, const real *A, const real *B, const struct smm_shape *s, summing *f)
{
    const struct smm_term t = { A, B, s->K, s->lda, s->ldb, s->transposed, 0 };
    const struct smm_sum sum = { C, s->add ? C : NULL, s->M, s->N, s->ldc, s->ldc, &t, 1 };
    f(&sum);
}

void smm_block(real *C, const real *A, const real *B, const struct smm_shape *s)
{
    block(C, A, B, s, smm_sum);
}

void smm_block_ref(real *C, const real *A, const real *B, const struct smm_shape *s)
{
    block(C, A, B, s, smm_sum_ref);
}

void smm(real *C, const real *A, const real *B, int M, int N, int K, int add)
{
    const struct smm_shape s = { M, N, K, N, K, N, add, 0 };
    block(C, A, B, &s, smm_sum);
}

void smm_tn(real *C, const real *A, const real *B, int M, int N, int K, int add)
{
    const struct smm_shape s = { M, N, K, N, M, N, add, 1 };
    block(C, A, B, &s, smm_sum);
}

void smm_ref(real *C, const real *A, const real *B, int M, int N, int K, int add)
{
    const struct smm_shape s = { M, N, K, N, K, N, add, 0 };
    block(C, A, B, &s, smm_sum_ref);
}

/* --- transposes ----------------------------------------------------------------- */

#define SIDE TRANSPOSE_SIDE
#define LINE (2 * SIDE)   /* what lies in a line of the cache is read and written together */

#ifdef TTT_F64

INLINE void transpose_block(real *B, int ldb, const real *A, int lda, int add)
{
    for (int n = 0; n < SIDE; n++)
        for (int m = 0; m < SIDE; m++)
            B[n * ldb + m] = add ? B[n * ldb + m] + A[m * lda + n] : A[m * lda + n];
}

#else

typedef float row8 __attribute__((vector_size(SIDE * sizeof(float))));

INLINE void transpose_block(real *B, int ldb, const real *A, int lda, int add)
{
    transpose_row r[SIDE];
    UNROLL(8)
    for (int m = 0; m < SIDE; m++) memcpy(&r[m], A + m * lda, sizeof r[m]);
    transpose_registers(r);
    UNROLL(8)
    for (int n = 0; n < SIDE; n++) {
        if (add) {
            row8 s;
            memcpy(&s, B + n * ldb, sizeof s);
            s += (row8)r[n];
            memcpy(B + n * ldb, &s, sizeof s);
        } else {
            memcpy(B + n * ldb, &r[n], sizeof r[n]);
        }
    }
}

#endif

INLINE void transpose(real *B, const real *A, int M, int N, int add)
{
    const int m_whole = M / SIDE * SIDE, n_whole = N / SIDE * SIDE;

    for (int m = 0; m < m_whole; m += LINE)
        for (int n = 0; n < n_whole; n += LINE)
            for (int i = m; i < m_whole && i < m + LINE; i += SIDE)
                for (int j = n; j < n_whole && j < n + LINE; j += SIDE)
                    transpose_block(B + j * M + i, M, A + i * N + j, N, add);
    for (int n = 0; n < N; n++)
        for (int m = n < n_whole ? m_whole : 0; m < M; m++)
            B[n * M + m] = add ? B[n * M + m] + A[m * N + n] : A[m * N + n];
}

CLONES
void smm_transpose(real *restrict B, const real *restrict A, int M, int N)
{
    transpose(B, A, M, N, 0);
}

CLONES
void smm_transpose_add(real *restrict B, const real *restrict A, int M, int N)
{
    transpose(B, A, M, N, 1);
}

CLONES
void smm_row(real *restrict y, const real *restrict x, const real *restrict B, int N, int K,
             int add)
{
    if (!add) memset(y, 0, (size_t)N * sizeof *y);
    for (int k = 0; k < K; k++) {
        const real a = x[k];
        for (int n = 0; n < N; n++) y[n] += a * B[k * N + n];
    }
}
