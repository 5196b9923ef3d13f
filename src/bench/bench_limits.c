/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/bench/peak.h"
#include "src/bench/product.h"

/* y = x W' of linear layers of the published sizes, and a cube. */
static const struct product_shape shapes[] = {
    { .N = 2048, .M = 2048, .K = 2048 }, { .N = 2048, .M = 768, .K = 2048 },
    { .N = 2048, .M = 2048, .K = 768 }, { .N = 2048, .M = 4096, .K = 1024 },
};

static void run(void *product) { product_run(product, OURS); }

int bench_limits(const struct bench_opts *o, int in_bf16, struct bench_limits *l)
{
    real *A = bench_noise(2048 * 2048, "A"), *B = bench_noise(4096 * 2048, "B");
    real *C = bench_noise(2048 * 4096, "C");
    struct timed_product p = { .C = NULL };
    struct peak peak;
    int rc = OK;

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct product_shape s = shapes[i];
        s.transpose_B = 1;
        s.in_bf16 = in_bf16;
        product_done(&p);
        product_init(&p, &s, C, A, B);
        TRY(product_verify(&p, OURS));
        const double rate = 1e-9 * product_flops(&p) / bench_time(run, &p, o->repeat);
        if (rate > l->gemm) l->gemm = rate;
    }
    peak_measure(&peak, in_bf16, 5);
    if (peak.gflops > l->peak) l->peak = peak.gflops;
out:
    product_done(&p);
    mem_free(A);
    mem_free(B);
    mem_free(C);
    return rc;
}
