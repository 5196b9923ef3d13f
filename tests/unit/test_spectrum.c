/* SPDX-License-Identifier: Apache-2.0 */
/* test_spectrum.c -- ranks of matrices whose ranks are known, and which matrices are looked at. */
#include "tests/unit/numeric.h"

#include "src/base/status.h"
#include "src/infer/spectrum.h"
#include "src/kernels/gemm.h"
#include "src/kernels/lapack.h"

static struct spectrum of(const real *A, int rows, int cols)
{
    struct spectrum x = { .rows = rows, .cols = cols, .at = A, .n = rows < cols ? rows : cols };
    x.s = zeros(x.n);
    spectrum_find(&x);
    return x;
}

static void known_ranks(void **state)
{
    (void)state;
    enum { N = 12, M = 30 };
    real *Q = noise(N * M, 1), *d = zeros(N), *A = zeros(N * M), *u = noise(N, 2);
    assert_int_equal(lapack_orthonormal(Q, d, N, M), 0);
    struct spectrum x = of(Q, N, M);                     /* all values 1 */
    assert_true(fabs(spectrum_effective_rank(&x) - N) < 1e-4);
    assert_true(fabs(spectrum_stable_rank(&x) - N) < 1e-4);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++) A[i * M + j] = u[i] * Q[j];
    x = of(A, N, M);                                     /* an outer product */
    assert_true(fabs(spectrum_stable_rank(&x) - 1) < 1e-5);
    assert_true(fabs(spectrum_effective_rank(&x) - 1) < 1e-3);
    for (int i = 0; i < N * M; i++) A[i] = 0;            /* 4, 2, 1, 1 */
    A[0] = 4, A[M + 1] = -2, A[2 * M + 2] = 1, A[3 * M + 3] = 1;
    x = of(A, N, M);
    assert_true(fabs(spectrum_stable_rank(&x) - 22.0 / 16) < 1e-6);
    const double entropy = 0.5 * log(2) + 0.25 * log(4) + 2 * 0.125 * log(8);
    assert_true(fabs(spectrum_effective_rank(&x) - exp(entropy)) < 1e-6);
    A[0] = 0, A[M + 1] = 0, A[2 * M + 2] = 0, A[3 * M + 3] = 0;
    x = of(A, N, M);                                     /* nothing */
    assert_true(spectrum_effective_rank(&x) == 0 && spectrum_stable_rank(&x) == 0);
    A[5] = (real)NAN;
    x = of(A, N, M);
    assert_int_equal(x.info, LAPACK_NOT_FINITE);
    assert_true(spectrum_effective_rank(&x) == 0 && spectrum_stable_rank(&x) == 0);
    release();
}

/* W0 of every head among the weights; after no step of learning the fast weights are W0, behind a
 * text they are not. */
static void fast_weights(void **state)
{
    (void)state;
    const struct dims dims = { .layer = "ttt_linear", .V = 50, .L = 2, .C = 32, .H = 4, .E = 20,
        .K = 4, .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = 1,
        .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6, .init_std = 0.2, .inner_lr = 1 };
    const int32_t tokens[] = { 1, 4, 2, 9, 17, 3, 40, 2, 1, 6 };
    struct spectra w = { 0 }, x = { 0 }, y = { 0 };
    struct model *m;
    assert_int_equal(model_new(&m, &dims), OK);
    model_init(m, 3);
    spectra_weights(&w, m, "W1");
    spectra_fast_weights(&x, m, tokens, 3, 4, "");     /* an unfinished mini-batch */
    spectra_fast_weights(&y, m, tokens, 10, 3, "");
    assert_true(w.count == 8 && x.count == 8 && y.count == 8);
    for (int i = 0; i < 8; i++) {
        assert_true(w.v[i].head == i % 4 && x.v[i].head == i % 4);
        assert_same(x.v[i].at, w.v[i].at, 64);
        assert_other(y.v[i].at, w.v[i].at, 64);
    }
    assert_string_equal(x.v[5].name, "layers.1.W1 after 3 tokens");
    spectra_weights(&w, m, "no such name");
    assert_int_equal(w.count, 8);
    spectra_done(&w);
    spectra_done(&x);
    spectra_done(&y);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_ranks),
        cmocka_unit_test(fast_weights),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
