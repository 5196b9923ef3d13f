#include <math.h>
#include <stdio.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/kernels/gemm_bf16.h"

/* y = x W' of linear layers of the published sizes, and a cube. */
static const struct { int N, M, K; } shapes[] = {
    { 2048, 2048, 2048 }, { 2048, 768, 2048 }, { 2048, 2048, 768 }, { 2048, 4096, 1024 },
};
#define SHAPES ((int)(sizeof shapes / sizeof *shapes))

/* bf16: operands are rounded before the clock starts, as a step rounds its weights once. */
struct product { real *C, *A, *B; bf16 *rows, *panels; int N, M, K; };

static void run(void *ctx)
{
    const struct product *p = ctx;
    if (p->rows)
        gemm_bf16(&(struct gemm_bf16){ .C = p->C, .rows = p->rows, .panels = p->panels,
                                       .N = p->N, .M = p->M, .K = p->K });
    else
        gemm(&(struct gemm){ .C = p->C, .A = p->A, .B = p->B, .transpose_B = 1,
                             .N = p->N, .M = p->M, .K = p->K });
}

/* Elements spread over all tiles against sums in double. */
static int verify(const struct product *p)
{
    /* Sums over k of terms below 1, each off by two roundings, which have no sign. */
    const double off = p->rows ? 8 * 0x1p-8 * sqrt(p->K) : 4 * REAL_EPS * p->K;

    if (p->rows) {
        bf16_rows(p->rows, p->A, p->K, p->N, p->K);
        bf16_panels_transposed(p->panels, p->B, p->K, p->K, p->M);
    }
    run((void *)(uintptr_t)p);
    for (int i = 0; i < 1000; i++) {
        const int n = (int)(i * 7919LL % p->N), m = (int)(i * 104729LL % p->M);
        double sum = 0;
        for (int k = 0; k < p->K; k++)
            sum += (double)p->A[(int64_t)n * p->K + k] * (double)p->B[(int64_t)m * p->K + k];
        const double got = (double)p->C[(int64_t)n * p->M + m];
        if (!(fabs(got - sum) < off))
            return fail(ERR_DATA, "gemm %d x %d x %d gives %g for %g in row %d, column %d",
                        p->N, p->M, p->K, got, sum, n, m);
    }
    return OK;
}

int bench_gemm(const struct bench_opts *o, int rows, int in_bf16, double *gflops)
{
    int rc = OK;
    bf16 *X = in_bf16 ? mem_new(bf16_rows_size(2048, 2048), sizeof *X, "rows") : NULL;
    bf16 *P = in_bf16 ? mem_new(bf16_panels_size(2048, 4096), sizeof *P, "panels") : NULL;
    real *A = bench_noise(2048 * 2048, "A"), *B = bench_noise(4096 * 2048, "B");
    real *C = bench_noise(2048 * 4096, "C");

    *gflops = 0;
    for (int i = 0; i < SHAPES; i++) {
        struct product p = { C, A, B, X, P, shapes[i].N, shapes[i].M, shapes[i].K };
        TRY(verify(&p));
        const double s = bench_time(run, &p, o->repeat);
        const double rate = 2e-9 * p.N * p.M * p.K / s;
        if (rate > *gflops) *gflops = rate;
        if (!rows) continue;
        printf(o->json ? "{\"bench\": \"gemm\", \"precision\": \"%s\", \"n\": %d, \"m\": %d, "
                         "\"k\": %d, \"threads\": %d, \"seconds\": %.6g, \"gflops\": %.5g}\n"
                       : "gemm  %s  %5d x %5d x %5d  %2d threads  %.4f s  %7.1f GFLOP/s\n",
               in_bf16 ? "bf16" : "fp32", p.N, p.M, p.K, o->threads, s, rate);
        fflush(stdout);
    }
out:
    mem_free(A);
    mem_free(B);
    mem_free(C);
    mem_free(X);
    mem_free(P);
    return rc;
}
