#include "src/kernels/smm.h"

#include <string.h>

#include <libxsmm.h>

#include "src/kernels/isa.h"
#include "src/kernels/transpose.h"
#include "src/kernels/vecmath.h"

#ifdef TTT_F64
typedef libxsmm_dmmfunction kernel;
#define DISPATCH libxsmm_dmmdispatch
#else
typedef libxsmm_smmfunction kernel;
#define DISPATCH libxsmm_smmdispatch
#endif

/* The code for a shape, from a table of each thread.  libxsmm has a table of its own, but looking
 * there costs a tenth of a 16 x 64 x 64 product.  A shape has one place, by a multiplicative hash;
 * a shape that finds another one there replaces it. */
#define MADE_BITS 7

static kernel find(const struct smm_shape *s)
{
    static _Thread_local struct { struct smm_shape shape; kernel f; } table[1 << MADE_BITS];
    const uint32_t mixed = (uint32_t)s->M * 0x9e3779b1u + (uint32_t)s->N * 0x85ebca77u +
                           (uint32_t)s->K * 0xc2b2ae3du + (uint32_t)s->ldc * 0x27d4eb2fu +
                           (uint32_t)s->lda * 0x165667b1u + (uint32_t)s->ldb * 0xd6e8feb9u +
                           (uint32_t)(2 * s->add + s->transposed) * 0xcaf649a9u;
    const uint32_t at = (mixed ^ mixed >> 15) * 0x2c1b3c6du >> (32 - MADE_BITS);
    if (table[at].f && !memcmp(&table[at].shape, s, sizeof *s)) return table[at].f;

    /* libxsmm counts columns first: its C' = B' A' is our C = A B. */
    const libxsmm_blasint ldb = s->ldb, lda = s->lda, ldc = s->ldc;
    const real alpha = 1, beta = (real)s->add;
    const int flags = s->transposed ? LIBXSMM_GEMM_FLAG_TRANS_B : 0, prefetch = 0;
    if (isa_best() == ISA_PLAIN) return NULL;
    kernel f = DISPATCH(s->N, s->M, s->K, &ldb, &lda, &ldc, &alpha, &beta, &flags, &prefetch);
    table[at].shape = *s;
    table[at].f = f;
    return f;
}

CLONES
void smm_ref(real *C, const real *A, const real *B, int M, int N, int K, int add)
{
    if (!add) memset(C, 0, (size_t)M * (size_t)N * sizeof *C);
    for (int m = 0; m < M; m++)
        for (int k = 0; k < K; k++) {
            const real a = A[m * K + k];
            for (int n = 0; n < N; n++) C[m * N + n] += a * B[k * N + n];
        }
}

void smm(real *C, const real *A, const real *B, int M, int N, int K, int add)
{
    const struct smm_shape s = { M, N, K, N, K, N, add, 0 };
    kernel f = find(&s);
    if (f) f(B, A, C);
    else smm_ref(C, A, B, M, N, K, add);
}

void smm_tn(real *C, const real *A, const real *B, int M, int N, int K, int add)
{
    const struct smm_shape s = { M, N, K, N, M, N, add, 1 };
    smm_block(C, A, B, &s);
}

CLONES
void smm_block_ref(real *C, const real *A, const real *B, const struct smm_shape *s)
{
    for (int m = 0; m < s->M; m++) {
        real *c = C + (int64_t)m * s->ldc;
        if (!s->add) memset(c, 0, (size_t)s->N * sizeof *c);
        for (int k = 0; k < s->K; k++) {
            const real a = s->transposed ? A[(int64_t)k * s->lda + m] : A[(int64_t)m * s->lda + k];
            const real *b = B + (int64_t)k * s->ldb;
            for (int n = 0; n < s->N; n++) c[n] += a * b[n];
        }
    }
}

void smm_block(real *C, const real *A, const real *B, const struct smm_shape *s)
{
    kernel f = find(s);
    if (f) f(B, A, C);
    else smm_block_ref(C, A, B, s);
}

#define ROWS 16  /* of C, copied and added to while they are in the L1 cache */

void smm_tn_from(real *C, const real *from, const real *A, const real *B, int M, int N, int K)
{
    if (!from) smm_tn(C, A, B, M, N, K, 0);
    if (from)
        for (int m = 0; m < M; m += ROWS) {
            const int rows = M - m < ROWS ? M - m : ROWS;
            const struct smm_shape s = { rows, N, K, N, M, N, 1, 1 };
            real *at = C + (int64_t)m * N;
            if (C != from) memcpy(at, from + (int64_t)m * N, (size_t)rows * (size_t)N * sizeof *at);
            smm_block(at, A + m, B, &s);
        }
}

#define SIDE TRANSPOSE_SIDE

/* What becomes of an element a of A'; old is that of B, s that of S. */
enum meet { SET, ADD, TIMES };
#define MEET(how, old, s, a) ((how) == SET ? (a) : (how) == ADD ? (old) + (a) : (s) * (a))

#ifdef TTT_F64

INLINE void transpose_block(real *B, int ldb, const real *S, const real *A, int lda, enum meet how)
{
    for (int n = 0; n < SIDE; n++)
        for (int m = 0; m < SIDE; m++)
            B[n * ldb + m] = MEET(how, B[n * ldb + m], S[n * ldb + m], A[m * lda + n]);
}

#else

typedef float row16 __attribute__((vector_size(SIDE * sizeof(float))));

INLINE void transpose_block(real *B, int ldb, const real *S, const real *A, int lda, enum meet how)
{
    transpose_row r[SIDE];
    #pragma GCC unroll 8
    for (int m = 0; m < SIDE; m++) memcpy(&r[m], A + m * lda, sizeof r[m]);
    transpose_registers(r);
    #pragma GCC unroll 8
    for (int n = 0; n < SIDE; n++) {
        row16 s = { 0 }, a;
        memcpy(&a, &r[n], sizeof a);
        if (how != SET) memcpy(&s, (how == ADD ? B : S) + n * ldb, sizeof s);
        a = MEET(how, s, s, a);
        memcpy(B + n * ldb, &a, sizeof a);
    }
}

#endif

INLINE void transpose(real *B, const real *A, const real *S, int M, int N, enum meet how)
{
    const int m_whole = M / SIDE * SIDE, n_whole = N / SIDE * SIDE;

    for (int n = 0; n < n_whole; n += SIDE)
        for (int m = 0; m < m_whole; m += SIDE)
            transpose_block(B + n * M + m, M, S + n * M + m, A + m * N + n, N, how);
    for (int n = 0; n < N; n++)
        for (int m = n < n_whole ? m_whole : 0; m < M; m++)
            B[n * M + m] = MEET(how, B[n * M + m], S[n * M + m], A[m * N + n]);
}

CLONES
void smm_transpose(real *restrict B, const real *restrict A, int M, int N)
{
    transpose(B, A, B, M, N, SET);
}

CLONES
void smm_transpose_add(real *restrict B, const real *restrict A, int M, int N)
{
    transpose(B, A, B, M, N, ADD);
}

CLONES
void smm_transpose_times(real *B, const real *A, const real *S, int M, int N)
{
    transpose(B, A, S, M, N, TIMES);
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
