/* SPDX-License-Identifier: Apache-2.0 */
/* test_proof.c -- the check at a run's start: passes here, and finds products that do not keep what
 * equal bits rest on. */
#include "tests/unit/numeric.h"

#include "src/base/failpoint.h"
#include "src/base/status.h"
#include "src/kernels/gemm.h"
#include "src/kernels/proof.h"

enum { M = PROOF_COLUMNS };

static void this_machine_holds(void **state)
{
    (void)state;
    static const int shapes[][2] = { { 16, 64 }, { 1, 8 }, { 64, 10 }, { 5, 128 } };
    for (int i = 0; i < 4; i++)
        for (int threads = 1; threads <= 3; threads++) {
            const struct proof_of p = { .bf16 = 1, .K = shapes[i][0], .F = shapes[i][1],
                                        .lapack = 1 };
            omp_set_num_threads(threads);
            char why[PROOF_TEXT];
            assert_int_equal(proof_run(why, &p), OK);
            assert_int_equal(omp_get_max_threads(), threads);   /* left as it was */
        }
}

/* Products with one fault each. */
struct fault { int of_rows, of_place, of_threads; };

static void product(void *ctx, real *y, int n0, int n)
{
    const struct fault *f = ctx;
    for (int i = 0; i < n * M; i++) y[i] = (real)(n0 * M + i);
    if (f->of_rows && n < 16) y[M + 3 < n * M ? M + 3 : 3] += 1;
    if (f->of_place && n0 == 64) y[5] += 1;
    if (f->of_threads && omp_get_max_threads() > 1) y[n * M - 1] += 1;
}

static void faults_are_found(void **state)
{
    (void)state;
    struct fault none = { 0, 0, 0 }, rows = { .of_rows = 1 }, place = { .of_place = 1 };
    struct fault threads = { .of_threads = 1 };
    omp_set_num_threads(2);
    assert_null(proof_of_rows(product, &none));
    assert_non_null(proof_of_rows(product, &rows));
    assert_non_null(proof_of_rows(product, &place));
    assert_non_null(proof_of_rows(product, &threads));
    omp_set_num_threads(1);
    assert_null(proof_of_rows(product, &threads));
}

/* Each part is tried, and named. */
static void what_fails_is_named(void **state)
{
    (void)state;
    static const char *const parts[][2] = {
        { "proof.fp32=err", "ttt " }, { "proof.bf16=err", "ttt " }, { "proof.small=err", "ttt " },
        { "proof.lapack=err", "OpenBLAS " },
    };
    for (int i = 0; i < 4; i++) {
        const struct proof_of p = { .bf16 = 1, .K = 16, .F = 64, .lapack = 1 };
        char why[PROOF_TEXT] = "";
        failpoint_set(parts[i][0]);
        assert_int_equal(proof_run(why, &p), ERR_CONFIG);
        assert_int_equal(failpoint_acted(), 1);
        const char *version = why + strlen(parts[i][1]);
        assert_ptr_equal(strstr(why, parts[i][1]), why);
        assert_true(*version >= '0' && *version <= '9');
    }
    failpoint_set(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_holds), cmocka_unit_test(faults_are_found),
        cmocka_unit_test(what_fails_is_named),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
