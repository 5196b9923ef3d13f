/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic peak: what its loops do, never how fast. */
#include <math.h>
#include <omp.h>

#include "src/bench/peak.h"
#include "src/kernels/gemm_bf16.h"
#include "tests/unit/numeric.h"

/* Its sums count the operations of a loop, whose terms are 1 x 1. */
static void loops_do_what_is_counted(void **state)
{
    (void)state;
    for (int isa = ISA_PLAIN; isa <= (int)isa_best(); isa++)
        for (int in_bf16 = 0; in_bf16 < 2; in_bf16++) {
            const struct peak_loop *l = peak_loop((enum isa)isa, in_bf16);
            assert_true(l->isa <= (enum isa)isa);
            if (!isa_has(l->isa)) continue;     /* below an emulated one */
            for (int64_t rounds = 1; rounds < 40; rounds += 13)
                assert_true(2 * l->run(rounds) == l->flops * (double)rounds);
            assert_true(2 * l->run(l->rounds) == l->flops * (double)l->rounds);
        }
}

/* The best set that may be used; bf16 has a loop of its own where there are instructions. */
static void the_loop_is_that_of_products(void **state)
{
    (void)state;
    const enum isa best = isa_best();
    const struct peak_loop *fp32 = peak_loop(best, 0), *in_bf16 = peak_loop(best, 1);

#ifdef __x86_64__
    assert_int_equal(fp32->isa, best < ISA_AVX512 ? best : ISA_AVX512);
    if (gemm_bf16_native()) assert_int_equal(in_bf16->isa, best);
#endif
    assert_int_equal(in_bf16->in_bf16, gemm_bf16_native());
    assert_int_equal(fp32->in_bf16, 0);
    if (!gemm_bf16_native()) assert_ptr_equal(fp32, in_bf16);
}

static void a_measurement_is_a_number(void **state)
{
    (void)state;
    const int threads = omp_get_max_threads();

    for (int n = 1; n <= 3; n += 2) {
        struct peak p;
        omp_set_num_threads(n);
        peak_measure(&p, 0, 1);
        assert_ptr_equal(p.loop, peak_loop(isa_best(), 0));
        assert_int_equal(p.threads, n);
        assert_true(isfinite(p.gflops) && p.gflops > 0);
        assert_true(isfinite(p.ghz) && p.ghz > 0);
        assert_true(fabs(peak_flops_per_cycle(&p) * p.ghz * n / p.gflops - 1) < 1e-9);
    }
    omp_set_num_threads(threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_do_what_is_counted),
        cmocka_unit_test(the_loop_is_that_of_products),
        cmocka_unit_test(a_measurement_is_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
