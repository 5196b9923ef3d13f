/* SPDX-License-Identifier: Apache-2.0 */
/* ScaLAPACK through mpi/blacs: layouts against numroc, redistribution between every pair of grids
 * up to 3x3, products, eigenvectors, orthonormal columns and singular values by residuals. */
#include <math.h>
#include <string.h>

#include "mpi/grid/blacs.h"
#include "src/base/rng.h"
#include "src/kernels/gemm.h"
#include "src/kernels/lapack.h"
#include "src/plan/cyclic_plan.h"
#include "tests/mpi/mpitest.h"

#define EPS REAL_EPS

static real number(int seed, int i, int j)
{
    return (real)rng_normal((uint64_t)seed, (uint64_t)i << 32 | (uint64_t)j);
}

static void fill(struct blocks *x, int seed)
{
    for (int j = 0; j < x->cols; j++)
        for (int i = 0; i < x->rows; i++)
            x->a[(int64_t)j * x->rows + i] = number(seed, blocks_row(x, i), blocks_col(x, j));
}

static int is_filled(const struct blocks *x, int seed)
{
    int good = 1;
    for (int j = 0; j < x->cols; j++)
        for (int i = 0; i < x->rows; i++)
            good &= x->a[(int64_t)j * x->rows + i] ==
                    number(seed, blocks_row(x, i), blocks_col(x, j));
    return good;
}

static void counts_are_numroc(void **state)
{
    (void)state;
    const int first = 0;
    int good = 1;
    for (int n = 0; n < 50; n++)
        for (int nb = 1; nb < 9; nb++)
            for (int p = 1; p < 6; p++)
                for (int r = 0; r < p; r++) {
                    const struct cyclic c = { n, nb, p };
                    good &= cyclic_count(&c, r) == numroc_(&n, &nb, &r, &first, &p);
                }
    all_true(&world, good);
}

/* Sizes that divide nothing, one block, blocks larger than the matrix; there and back. */
static void one_pair(const struct blacs *a, const struct blacs *b, const struct blacs *all)
{
    static const int sizes[][6] = { { 7, 5, 2, 3, 3, 2 }, { 1, 11, 4, 4, 1, 1 },
                                    { 23, 13, 5, 1, 2, 7 }, { 4, 4, 64, 64, 1, 3 } };
    for (int k = 0; k < 4; k++) {
        struct blocks x, y, z;
        blocks_init(&x, a, sizes[k][0], sizes[k][1], sizes[k][2], sizes[k][3], NULL);
        blocks_init(&y, b, sizes[k][0], sizes[k][1], sizes[k][4], sizes[k][5], NULL);
        blocks_init(&z, a, sizes[k][0], sizes[k][1], sizes[k][2], sizes[k][3], NULL);
        fill(&x, k);
        blocks_copy(&y, &x, all);
        blocks_copy(&z, &y, all);
        all_true(&world, is_filled(&y, k) && is_filled(&z, k));
        all_true(&world, y.rows * y.cols == 0 || !is_filled(&y, k + 1));
        blocks_done(&x);
        blocks_done(&y);
        blocks_done(&z);
    }
}

static void every_pair_of_grids(void **state)
{
    (void)state;
    struct blacs all, grid[9];
    int n = 0;

    blacs_init(&all, &world, 1, world.size);
    for (int r = 1; r <= 3; r++)
        for (int c = 1; c <= 3; c++)
            if (r * c <= world.size) blacs_init(&grid[n++], &world, r, c);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) one_pair(&grid[i], &grid[j], &all);
    for (int i = 0; i < n; i++) blacs_done(&grid[i]);
    blacs_done(&all);
}

/* The whole matrix, row-major (n,m): the transpose. */
static real *gathered(const struct blocks *x)
{
    real *w = mem_new((int64_t)x->m * x->n, sizeof *w, "test");
    for (int j = 0; j < x->cols; j++)
        for (int i = 0; i < x->rows; i++)
            w[(int64_t)blocks_col(x, j) * x->m + blocks_row(x, i)] =
                x->a[(int64_t)j * x->rows + i];
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, w, x->m * x->n, sizeof(real) == 4 ? MPI_FLOAT : MPI_DOUBLE,
                         MPI_SUM, world.comm));
    return w;
}

/* Rows of a gathered matrix (n,m) are orthonormal columns of it. */
static double not_orthonormal(const real *Q, int n, int m)
{
    double worst = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = i == j ? -1 : 0;
            for (int k = 0; k < m; k++) sum += (double)Q[i * m + k] * (double)Q[j * m + k];
            worst = fmax(worst, fabs(sum));
        }
    return worst / (m * EPS);
}

static void eigen(const struct blacs *g, int n, int nb)
{
    struct blocks X, A, Q;
    real *w = mem_new(n, sizeof *w, "test");
    blocks_init(&X, g, n, n, nb, nb, NULL);
    blocks_init(&A, g, n, n, nb, nb, NULL);
    blocks_init(&Q, g, n, n, nb, nb, NULL);
    fill(&X, 4);
    blocks_product(&A, 'N', &X, 'T', &X, 1, 0);
    real *whole = gathered(&A), worst = 0;
    all_true(&world, blocks_eigen(&Q, w, &A) == 0);
    real *q = gathered(&Q);
    if (world.rank == 0)
        for (int i = 0; i < n; i++)
            for (int r = 0; r < n; r++) {
                double sum = -(double)w[i] * (double)q[i * n + r];
                for (int k = 0; k < n; k++)
                    sum += (double)whole[r * n + k] * (double)q[i * n + k];
                worst = (real)fmax((double)worst, fabs(sum));
            }
    /* In units of n eps |A|. */
    all_true(&world, world.rank > 0 || (double)worst / (n * EPS * (double)w[n - 1]) < 4);
    all_true(&world, not_orthonormal(q, n, n) < 4);
    real *lambda = mem_new(n, sizeof *lambda, "test");
    check(lapack_eigen(whole, lambda, n) == 0);
    int same = 1;
    for (int i = 0; world.rank == 0 && i < n; i++)
        same &= fabs((double)(w[i] - lambda[n - 1 - i])) < 4 * n * EPS * (double)lambda[0];
    all_true(&world, same);
    mem_free(whole);
    mem_free(lambda);
    mem_free(q);
    mem_free(w);
    blocks_done(&X);
    blocks_done(&A);
    blocks_done(&Q);
}

static void orthonormal(const struct blacs *g, int n, int nb)
{
    struct blocks A;
    blocks_init(&A, g, n, n, nb, nb, NULL);
    fill(&A, 5);
    real *before = gathered(&A);
    blocks_orthonormal(&A);
    real *q = gathered(&A);
    double worst = 0;
    for (int i = 0; i < n; i++)       /* column i of A is none of the later ones of Q */
        for (int j = i + 1; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < n; k++) sum += (double)before[i * n + k] * (double)q[j * n + k];
            worst = fmax(worst, fabs(sum));
        }
    all_true(&world, worst / (n * EPS * sqrt(n)) < 10 && not_orthonormal(q, n, n) < 4);
    mem_free(before);
    mem_free(q);
    blocks_done(&A);
}

static void singular(const struct blacs *g, int m, int n, int nb)
{
    const int d = m < n ? m : n;
    struct blocks A;
    real *s = mem_new(d, sizeof *s, "test"), *t = mem_new(d, sizeof *t, "test");
    blocks_init(&A, g, m, n, nb, nb, NULL);
    fill(&A, 6);
    real *whole = gathered(&A);
    const int info = blocks_singular(s, &A);
    check(lapack_singular(t, whole, n, m) == 0);
    int same = info == 0;
    for (int i = 0; world.rank == 0 && i < d; i++)
        same &= fabs((double)(s[i] - t[i])) < 4 * (m + n) * EPS * (double)t[0];
    all_true(&world, same);
    mem_free(whole);
    mem_free(s);
    mem_free(t);
    blocks_done(&A);
}

/* Matrices smaller than a block, and than the grid; on grids as training has them. */
static void decompositions(void **state)
{
    (void)state;
    static const int sizes[][2] = { { 1, 8 }, { 2, 1 }, { 5, 8 }, { 33, 4 }, { 70, 16 } };
    struct blacs g;
    int r, c;

    gemm_start();
    cyclic_grid(&r, &c, world.size);
    blacs_init(&g, &world, r, c);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        eigen(&g, sizes[k][0], sizes[k][1]);
        orthonormal(&g, sizes[k][0], sizes[k][1]);
        singular(&g, sizes[k][0], sizes[k][0], sizes[k][1]);
        singular(&g, sizes[k][0], 2 * sizes[k][0] + 1, sizes[k][1]);
        singular(&g, 3 * sizes[k][0] + 2, sizes[k][0], sizes[k][1]);
    }
    blacs_done(&g);
}

static const struct CMUnitTest tests[] = {
    mpi_test(counts_are_numroc),
    mpi_test(every_pair_of_grids),
    mpi_test(decompositions),
};

MPITEST_MAIN(tests)
