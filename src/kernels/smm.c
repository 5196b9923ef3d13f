#include "src/kernels/smm.h"

#include <string.h>

#include <libxsmm.h>

#include "src/kernels/isa.h"
#include "src/kernels/turn.h"

#ifdef TTT_F64
typedef libxsmm_dmmfunction kernel;
#define DISPATCH libxsmm_dmmdispatch
#else
typedef libxsmm_smmfunction kernel;
#define DISPATCH libxsmm_smmdispatch
#endif

/* Code for a shape, remembered by each thread: a look-up in libxsmm costs a
 * tenth of a 16 x 64 x 64 product. */
struct made { int M, N, K, add; kernel f; };
#define MADE 32

static kernel find(int M, int N, int K, int add)
{
    static _Thread_local struct made table[MADE];
    struct made *e = &table[((unsigned)M * 7u + (unsigned)N * 3u + (unsigned)K * 5u +
                             (unsigned)add) % MADE];
    if (e->f && e->M == M && e->N == N && e->K == K && e->add == add) return e->f;

    /* libxsmm counts columns first: its C' = B' A' is our C = A B. */
    const libxsmm_blasint ldb = N, lda = K, ldc = N;
    const real alpha = 1, beta = (real)add;
    const int flags = 0, prefetch = 0;
    if (isa_best() == ISA_PLAIN) return NULL;
    kernel f = DISPATCH(N, M, K, &ldb, &lda, &ldc, &alpha, &beta, &flags, &prefetch);
    if (f) *e = (struct made){ M, N, K, add, f };
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
    kernel f = find(M, N, K, add);
    if (f) f(B, A, C);
    else smm_ref(C, A, B, M, N, K, add);
}

/* The same for parts of arrays. */
static kernel find_block(const struct smm_shape *s)
{
    static _Thread_local struct { struct smm_shape shape; kernel f; } table[MADE];
    unsigned at = 0;
    const int parts[] = { s->M, s->N, s->K, s->ldc, s->lda, s->ldb, s->add, s->turned };
    for (int i = 0; i < 8; i++) at = at * 31u + (unsigned)parts[i];
    at = (at ^ at >> 7) % MADE;
    if (table[at].f && !memcmp(&table[at].shape, s, sizeof *s)) return table[at].f;

    const libxsmm_blasint ldb = s->ldb, lda = s->lda, ldc = s->ldc;
    const real alpha = 1, beta = (real)s->add;
    const int flags = s->turned ? LIBXSMM_GEMM_FLAG_TRANS_B : 0, prefetch = 0;
    if (isa_best() == ISA_PLAIN) return NULL;
    kernel f = DISPATCH(s->N, s->M, s->K, &ldb, &lda, &ldc, &alpha, &beta, &flags, &prefetch);
    table[at].shape = *s;
    table[at].f = f;
    return f;
}

CLONES
void smm_block_ref(real *C, const real *A, const real *B, const struct smm_shape *s)
{
    for (int m = 0; m < s->M; m++) {
        real *c = C + (int64_t)m * s->ldc;
        if (!s->add) memset(c, 0, (size_t)s->N * sizeof *c);
        for (int k = 0; k < s->K; k++) {
            const real a = s->turned ? A[(int64_t)k * s->lda + m] : A[(int64_t)m * s->lda + k];
            const real *b = B + (int64_t)k * s->ldb;
            for (int n = 0; n < s->N; n++) c[n] += a * b[n];
        }
    }
}

void smm_block(real *C, const real *A, const real *B, const struct smm_shape *s)
{
    kernel f = find_block(s);
    if (f) f(B, A, C);
    else smm_block_ref(C, A, B, s);
}

#define SIDE TURN_SIDE

#ifdef TTT_F64

CLONES
static void transpose_block(real *restrict B, int ldb, const real *restrict A, int lda)
{
    for (int n = 0; n < SIDE; n++)
        for (int m = 0; m < SIDE; m++) B[n * ldb + m] = A[m * lda + n];
}

#else

CLONES
static void transpose_block(real *restrict B, int ldb, const real *restrict A, int lda)
{
    turn_row r[SIDE];
    for (int m = 0; m < SIDE; m++) memcpy(&r[m], A + m * lda, sizeof r[m]);
    turn_block(r);
    for (int n = 0; n < SIDE; n++) memcpy(B + n * ldb, &r[n], sizeof r[n]);
}

#endif

void smm_transpose(real *restrict B, const real *restrict A, int M, int N)
{
    const int m_whole = M / SIDE * SIDE, n_whole = N / SIDE * SIDE;

    for (int n = 0; n < n_whole; n += SIDE)
        for (int m = 0; m < m_whole; m += SIDE)
            transpose_block(B + n * M + m, M, A + m * N + n, N);
    for (int n = 0; n < N; n++)
        for (int m = n < n_whole ? m_whole : 0; m < M; m++) B[n * M + m] = A[m * N + n];
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
