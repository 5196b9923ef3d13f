#include "src/kernels/gemm.h"

#include <cblas.h>
#ifndef TTT_F64
#include <oneapi/dnnl/dnnl.h>
#endif
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/isa.h"

/* Tiles of y = x W': rows within a unit, columns.  One call of this size runs
 * at the rate of a large product, and the sizes never depend on the machine. */
#define TILE_ROWS 256
#define TILE_COLS 256

/* The libraries use other code, with other rounding, for fewer rows than this, and
 * OpenBLAS for the rest of a number that is no multiple of it.  A row's result does not
 * depend on how many multiples there are (measured for oneDNN 2.6 and OpenBLAS 0.3.21,
 * tested in tests/unit/test_gemm.c, test_model.c and test_golden_probe.c). */
#define FEW_ROWS 16

#ifdef TTT_F64

void gemm_start(void) { openblas_set_num_threads(1); }

void gemm_tile(char ta, char tb, real *C, int ldc, const real *A, int lda, const real *B, int ldb,
               int M, int N, int K, enum gemm_c c)
{
    cblas_dgemm(CblasRowMajor, ta == 'T' ? CblasTrans : CblasNoTrans,
                tb == 'T' ? CblasTrans : CblasNoTrans, M, N, K, 1, A, lda, B, ldb,
                c == GEMM_ADD, C, ldc);
}

#else

void gemm_start(void)
{
    isa_best();   /* before oneDNN's first call */
    openblas_set_num_threads(1);
}

/* oneDNN runs on the calling thread inside a parallel region of ours. */
void gemm_tile(char ta, char tb, real *C, int ldc, const real *A, int lda, const real *B, int ldb,
               int M, int N, int K, enum gemm_c c)
{
    check(dnnl_sgemm(ta, tb, M, N, K, 1.0f, A, lda, B, ldb, c == GEMM_ADD ? 1.0f : 0.0f, C, ldc)
          == dnnl_success);
}

#endif

static void plain_tile(char tb, real *C, int ldc, const real *A, int lda, const real *B, int ldb,
                       int n, int M, int K, enum gemm_c c)
{
    gemm_tile('N', tb, C, ldc, A, lda, B, ldb, n, M, K, c);
}

/* A tile of few rows, filled up with zero rows to FEW_ROWS.  The last slice of a
 * sequence ends in one if its length is odd. */
static void padded_tile(char tb, real *C, int ldc, const real *A, int lda, const real *B, int ldb,
                        int n, int M, int K, enum gemm_c c)
{
    real *a = mem_new((int64_t)FEW_ROWS * (K + M), sizeof *a, "padded rows");
    real *y = a + (int64_t)FEW_ROWS * K;

    for (int i = 0; i < n; i++) {
        memcpy(a + (int64_t)i * K, A + (int64_t)i * lda, (size_t)K * sizeof *a);
        if (c == GEMM_ADD)
            memcpy(y + (int64_t)i * M, C + (int64_t)i * ldc, (size_t)M * sizeof *y);
    }
    gemm_tile('N', tb, y, M, a, K, B, ldb, FEW_ROWS, M, K, c);
    for (int i = 0; i < n; i++)
        memcpy(C + (int64_t)i * ldc, y + (int64_t)i * M, (size_t)M * sizeof *y);
    mem_free(a);
}

static void product(char tb, real *C, int ldc, const real *A, int lda, const real *B, int ldb,
                    int N, int M, int K, int R, enum gemm_c how)
{
    if (N == 0) return;
    check(R > 0 && N % R == 0);
    const int units = N / R, rows = (R + TILE_ROWS - 1) / TILE_ROWS;
    const int cols = (M + TILE_COLS - 1) / TILE_COLS;

    #pragma omp parallel for schedule(dynamic) collapse(3)
    for (int u = 0; u < units; u++) {
        for (int c = 0; c < cols; c++) {
            for (int r = 0; r < rows; r++) {
                const int n0 = u * R + r * TILE_ROWS, m0 = c * TILE_COLS;
                const int left = (u + 1) * R - n0, n = left < TILE_ROWS ? left : TILE_ROWS;
                const int m = M - m0 < TILE_COLS ? M - m0 : TILE_COLS;
                const int whole = R > 1 ? n / FEW_ROWS * FEW_ROWS : n;
                const real *a = A + (int64_t)n0 * lda;
                const real *b = tb == 'T' ? B + (int64_t)m0 * ldb : B + m0;
                real *y = C + (int64_t)n0 * ldc + m0;
                if (whole) plain_tile(tb, y, ldc, a, lda, b, ldb, whole, m, K, how);
                if (whole < n)
                    padded_tile(tb, y + (int64_t)whole * ldc, ldc, a + (int64_t)whole * lda, lda,
                                b, ldb, n - whole, m, K, how);
            }
        }
    }
}

/* --- units of one row: bound by reading B --------------------------------------- */

#define ROWS 32   /* of B, a thread's share */
#define LANES 16

/* y[j] = x . B_j for n rows.  Sums are taken in lanes, so the order is fixed by this text. */
CLONES
static void row_dots(real *restrict y, const real *restrict x, const real *restrict B, int ldb,
                     int n, int K)
{
    for (int j = 0; j < n; j++) {
        const real *b = B + (int64_t)j * ldb;
        real lane[4][LANES] = { { 0 } }, rest = 0;
        int k = 0;
        for (; k + 4 * LANES <= K; k += 4 * LANES)
            for (int q = 0; q < 4; q++)
                for (int i = 0; i < LANES; i++)
                    lane[q][i] += x[k + q * LANES + i] * b[k + q * LANES + i];
        for (; k < K; k++) rest += x[k] * b[k];
        for (int i = 0; i < LANES; i++)
            lane[0][i] = (lane[0][i] + lane[1][i]) + (lane[2][i] + lane[3][i]);
        for (int h = LANES / 2; h > 0; h /= 2)
            for (int i = 0; i < h; i++) lane[0][i] += lane[0][i + h];
        y[j] = lane[0][0] + rest;
    }
}

static void single_rows(real *C, int ldc, const real *A, int lda, const real *B, int ldb, int N,
                        int M, int K)
{
    #pragma omp parallel for schedule(static)
    for (int m = 0; m < M; m += ROWS)
        for (int n = 0; n < N; n++)
            row_dots(C + (int64_t)n * ldc + m, A + (int64_t)n * lda, B + (int64_t)m * ldb, ldb,
                     M - m < ROWS ? M - m : ROWS, K);
}

void gemm_nt(real *C, int ldc, const real *A, int lda, const real *B, int ldb,
             int N, int M, int K, int R, enum gemm_c c)
{
    if (R == 1 && c == GEMM_SET) single_rows(C, ldc, A, lda, B, ldb, N, M, K);
    else product('T', C, ldc, A, lda, B, ldb, N, M, K, R, c);
}

void gemm_nn(real *C, int ldc, const real *A, int lda, const real *B, int ldb,
             int N, int M, int K, int R, enum gemm_c c)
{
    product('N', C, ldc, A, lda, B, ldb, N, M, K, R, c);
}
