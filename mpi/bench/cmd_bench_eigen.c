/* SPDX-License-Identifier: Apache-2.0 */
/* ttt bench eigen: decompositions and redistribution of ScaLAPACK, compared with LAPACK on one
 * process. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mpi/bench/cmd_bench.h"
#include "mpi/grid/blacs.h"
#include "mpi/grid/grid.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/kernels/gemm.h"
#include "src/kernels/lapack.h"
#include "src/plan/cyclic_plan.h"

static const char about[] =
    "Measure eigenvectors, singular values, QR and one product of an N x N matrix that is spread\n"
    "over all processes, in seconds: what SOAP does with a matrix larger than optim.whole_dim,\n"
    "and ttt ckpt spectrum with one of --spread. Eigenvalues and singular values are first\n"
    "compared with LAPACK's on one process.\n"
    "\n"
    "example\n"
    "  for n in 1 2 4; do mpirun -n $n ttt bench eigen; done";

struct bench { struct blacs g; int n; struct blocks A, B; real *s, *w; };

/* A symmetric matrix, the same on any grid. */
static real element(int i, int j)
{
    const int a = i < j ? i : j, b = i < j ? j : i;
    return (real)rng_normal(7, (uint64_t)a << 32 | (uint64_t)b);
}

static void fill(struct blocks *A)
{
    for (int j = 0; j < A->cols; j++)
        for (int i = 0; i < A->rows; i++)
            A->a[(int64_t)j * A->rows + i] = element(blocks_row(A, i), blocks_col(A, j));
}

static void eigen(struct bench *b) { check(blocks_eigen(&b->B, b->w, &b->A) == 0); }
static void singular(struct bench *b) { check(blocks_singular(b->s, &b->A) == 0); }
static void orthonormal(struct bench *b) { blocks_orthonormal(&b->A); }
static void product(struct bench *b) { blocks_product(&b->B, 'N', &b->A, 'T', &b->A, 1, 0); }

/* Absolute eigenvalues are singular values, so both are compared with LAPACK's, in units of
 * n eps |A|. */
static int verify(struct bench *b, const struct axis *world)
{
    const int n = b->n;
    double worst = 0;

    fill(&b->A);
    eigen(b);
    fill(&b->A);
    singular(b);
    if (world->rank == 0) {
        real *A = mem_new((int64_t)n * n + n, sizeof *A, "matrix"), *w = A + (int64_t)n * n;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) A[(int64_t)i * n + j] = element(i, j);
        check(lapack_eigen(A, w, n) == 0);
        for (int i = 0; i < n; i++)
            worst = fmax(worst, fabs((double)(w[n - 1 - i] - b->w[i])));
        const double norm = fmax((double)w[0], -(double)w[n - 1]);
        worst = fmax(worst, fabs((double)b->s[0] - norm)) / (n * REAL_EPS * norm);
        mem_free(A);
    }
    return axis_agree(world, worst < 4 ? OK : fail(ERR_DATA, "ScaLAPACK's values differ from "
                                                    "LAPACK's by %.1f n eps |A|", worst));
}

/* The smaller of two; the slowest process counts. */
static double seconds(struct bench *b, void (*f)(struct bench *), const struct axis *world)
{
    double best = INFINITY;
    for (int k = 0; k < 2; k++) {
        fill(&b->A);
        mpi_do(MPI_Barrier(world->comm));
        const double begin = clock_s();
        f(b);
        double s = clock_s() - begin;
        mpi_do(MPI_Allreduce(MPI_IN_PLACE, &s, 1, MPI_DOUBLE, MPI_MAX, world->comm));
        best = fmin(best, s);
    }
    return best;
}

static int run(const struct axis *world, int n, int json)
{
    struct bench b = { .n = n };
    int rows, cols;

    gemm_start();
    cyclic_grid(&rows, &cols, world->size);
    blacs_init(&b.g, world, rows, cols);
    const int nb = cyclic_block(n, cols);
    blocks_init(&b.A, &b.g, n, n, nb, nb, NULL);
    blocks_init(&b.B, &b.g, n, n, nb, nb, NULL);
    b.s = mem_new(n, sizeof *b.s, "singular values");
    b.w = mem_new(n, sizeof *b.w, "eigenvalues");
    const int rc = verify(&b, world);
    if (rc == OK) {
        const double e = seconds(&b, eigen, world), s = seconds(&b, singular, world);
        const double q = seconds(&b, orthonormal, world), p = seconds(&b, product, world);
        if (world->rank > 0) { }
        else if (json)
            printf("{\"bench\": \"eigen\", \"n\": %d, \"grid\": \"%dx%d\", \"eigen_s\": %.6g, "
                   "\"singular_s\": %.6g, \"qr_s\": %.6g, \"product_s\": %.6g}\n", n, rows, cols,
                   e, s, q, p);
        else
            printf("n %d on %dx%d processes: eigenvectors %.4f s, singular values %.4f s, QR "
                   "%.4f s, product %.4f s\n", n, rows, cols, e, s, q, p);
    }
    blocks_done(&b.A);
    blocks_done(&b.B);
    blacs_done(&b.g);
    mem_free(b.s);
    mem_free(b.w);
    return rc;
}

int cmd_bench_eigen(int argc, char **argv)
{
    int64_t n = 1024;
    int json = 0;
    const struct arg args[] = {
        { "size", ARG_INT, &n, "N", "side of the matrix (default 1024)" },
        { "json", ARG_FLAG, &json, NULL, "print one JSON object" },
    };
    struct arg_rest rest;
    struct axis world;

    comm_first_reports();
    int rc = args_parse(&rest, argc, argv, args, 2, "ttt bench eigen", about);
    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 0 || n < 2 || n > 32768)
        return fail(ERR_USAGE, "ttt bench eigen takes --size N from 2 to 32768");
    comm_start(&world);
    rc = run(&world, (int)n, json);
    comm_stop(&world);
    return rc;
}
