/* SPDX-License-Identifier: Apache-2.0 */
/* test_lapack.c -- factorizations against matrices whose answers are known, and by residuals. */
#include "tests/unit/numeric.h"

#include "src/base/status.h"
#include "src/kernels/gemm.h"
#include "src/kernels/lapack.h"

static const int sizes[] = { 1, 2, 7, 16, 67, 130 };
#define SIZES (int)(sizeof sizes / sizeof *sizes)

/* |rows rows' - I| largest, in units of n eps. */
static double not_orthonormal(const real *Q, int m, int n)
{
    double worst = 0;
    for (int i = 0; i < m; i++)
        for (int j = 0; j <= i; j++)
            worst = fmax(worst, fabs(dot(Q + (int64_t)i * n, Q + (int64_t)j * n, n) - (i == j)));
    return worst / (n * REAL_EPS);
}

/* The second difference: eigenvalues 2 - 2 cos(k pi / (n + 1)). */
static void known_eigenvalues(void **state)
{
    (void)state;
    for (int k = 0; k < SIZES; k++) {
        const int n = sizes[k];
        real *A = zeros((int64_t)n * n), *w = zeros(n);
        for (int i = 0; i < n; i++) {
            A[i * n + i] = 2;
            if (i > 0) A[i * n + i - 1] = A[(i - 1) * n + i] = -1;
        }
        assert_int_equal(lapack_eigen(A, w, n), 0);
        for (int i = 0; i < n; i++) {
            const double want = 2 - 2 * cos((n - i) * 3.14159265358979323846 / (n + 1));
            assert_true(fabs((double)w[i] - want) < 4 * n * REAL_EPS);
        }
        assert_true(not_orthonormal(A, n, n) < 4);
        release();
    }
}

/* |A Q - Q D| and |Q'Q - I| of A = X X', in units of n eps |A|. */
static void eigenvector_residuals(void **state)
{
    (void)state;
    for (int k = 0; k < SIZES; k++) {
        const int n = sizes[k];
        real *X = noise((int64_t)n * n, 3), *A = zeros((int64_t)n * n), *w = zeros(n);
        gemm(&(struct gemm){ .C = A, .A = X, .B = X, .transpose_B = 1, .N = n, .M = n, .K = n });
        real *B = copy(A, (int64_t)n * n), *y = zeros(n);
        assert_int_equal(lapack_eigen(B, w, n), 0);
        double worst = 0;
        for (int i = 0; i < n; i++) {
            assert_true(i == 0 || w[i] <= w[i - 1]);
            for (int r = 0; r < n; r++) {
                y[r] = (real)dot(A + (int64_t)r * n, B + (int64_t)i * n, n);
                worst = fmax(worst, fabs((double)(y[r] - w[i] * B[i * n + r])));
            }
        }
        assert_true(worst < 4 * n * REAL_EPS * (double)w[0]);
        assert_true(not_orthonormal(B, n, n) < 4);
        B[0] += (real)0.5;                                     /* the measure can fail */
        assert_true(not_orthonormal(B, n, n) > 4);
        release();
    }
}

static void rows_become_orthonormal(void **state)
{
    (void)state;
    for (int k = 0; k < SIZES; k++)
        for (int wide = 0; wide < 2; wide++) {
            const int m = sizes[k], n = wide ? 3 * m + 1 : m;
            real *A = noise((int64_t)m * n, 5), *Q = copy(A, (int64_t)m * n), *d = zeros(m);
            assert_int_equal(lapack_orthonormal(Q, d, m, n), 0);
            assert_true(not_orthonormal(Q, m, n) < 4);
            for (int i = 0; i < m; i++)              /* A = R' Q, R' lower triangular */
                for (int j = i; j < m; j++) {
                    const double x = dot(A + (int64_t)i * n, Q + (int64_t)j * n, n);
                    const double want = i == j ? (double)d[i] : 0;
                    assert_true(fabs(x - want) < 10 * n * REAL_EPS * sqrt(n));
                }
            release();
        }
    /* Rows that depend on each other are filled up. */
    real A[9] = { 1, 2, 3, 2, 4, 6, 0, 0, 0 }, d[3];
    assert_int_equal(lapack_orthonormal(A, d, 3, 3), 0);
    assert_true(not_orthonormal(A, 3, 3) < 4);
}

/* U diag(s) V' with orthonormal rows of U and V: s comes back, and |A|_F. */
static void known_singular_values(void **state)
{
    (void)state;
    for (int k = 0; k < SIZES; k++)
        for (int wide = 0; wide < 3; wide++) {
            const int d = sizes[k], m = wide == 1 ? 2 * d + 1 : d, n = wide == 2 ? 2 * d + 1 : d;
            real *U = noise((int64_t)d * m, 7), *V = noise((int64_t)d * n, 8), *A, *s, *t;
            A = zeros((int64_t)m * n);
            s = zeros(d);
            t = zeros(d);
            assert_int_equal(lapack_orthonormal(U, t, d, m), 0);
            assert_int_equal(lapack_orthonormal(V, t, d, n), 0);
            for (int i = 0; i < d; i++) s[i] = (real)exp(-3.0 * i / d);
            for (int r = 0; r < m; r++)
                for (int c = 0; c < n; c++)
                    for (int i = 0; i < d; i++)
                        A[(int64_t)r * n + c] += U[i * m + r] * s[i] * V[i * n + c];
            assert_int_equal(lapack_singular(t, A, m, n), 0);
            for (int i = 0; i < d; i++)
                assert_true(fabs((double)(t[i] - s[i])) < 10 * (m + n) * REAL_EPS);
            release();
        }
}

static void not_finite_is_said(void **state)
{
    (void)state;
    real A[4] = { 1, (real)NAN, 0, 1 }, s[2];
    assert_int_equal(lapack_eigen(A, s, 2), LAPACK_NOT_FINITE);
    assert_int_equal(lapack_orthonormal(A, s, 2, 2), LAPACK_NOT_FINITE);
    A[1] = (real)INFINITY;
    assert_int_equal(lapack_singular(s, A, 2, 2), LAPACK_NOT_FINITE);
    assert_int_equal(all_finite(A, 1), 1);
    assert_int_equal(all_finite(A, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_eigenvalues),
        cmocka_unit_test(eigenvector_residuals),
        cmocka_unit_test(rows_become_orthonormal),
        cmocka_unit_test(known_singular_values),
        cmocka_unit_test(not_finite_is_said),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
