/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/grid/blacs.h"

#include <math.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/plan/cyclic_plan.h"

static const int one = 1;

void blacs_init(struct blacs *b, const struct axis *axis, int rows, int cols)
{
    int *ranks = mem_new((int64_t)rows * cols, sizeof *ranks, "process grid");

    check(rows * cols <= axis->size);
    *b = (struct blacs){ .axis = axis, .rows = rows, .cols = cols, .row = -1, .col = -1 };
    for (int i = 0; i < rows * cols; i++) ranks[i % cols * rows + i / cols] = i;
    mpi_do(MPI_Comm_dup(axis->comm, &b->comm));
    b->handle = b->context = Csys2blacs_handle(b->comm);
    Cblacs_gridmap(&b->context, ranks, rows, rows, cols);
    mem_free(ranks);
    if (axis->rank >= rows * cols) b->context = -1;
    if (b->context < 0) return;
    int r, c;
    Cblacs_set(b->context, BLACS_REPEATABLE, &one);  /* else sums run in the order of arrival */
    Cblacs_set(b->context, BLACS_COHERENT, &one);
    Cblacs_gridinfo(b->context, &r, &c, &b->row, &b->col);
    check(r == rows && c == cols && b->row == axis->rank / cols && b->col == axis->rank % cols);
}

void blacs_done(struct blacs *b)
{
    if (!b->axis) return;
    if (b->context >= 0) {
        Cblacs_freebuff(b->context, 1);  /* sends that BLACS has not completed yet */
        Cblacs_gridexit(b->context);
    }
    Cfree_blacs_system_handle(b->handle);
    mpi_do(MPI_Comm_free(&b->comm));
    *b = (struct blacs){ 0 };
}

void blocks_init(struct blocks *x, const struct blacs *b, int m, int n, int mb, int nb, real *a)
{
    const struct cyclic r = { m, mb, b->rows }, c = { n, nb, b->cols };

    *x = (struct blocks){ .b = b, .m = m, .n = n, .a = a, .owned = !a };
    if (b->context >= 0) {
        x->rows = (int)cyclic_count(&r, b->row);
        x->cols = (int)cyclic_count(&c, b->col);
    }
    const int desc[DESC_SIZE] = { 1, b->context, m, n, mb, nb, 0, 0, x->rows > 1 ? x->rows : 1 };
    for (int i = 0; i < DESC_SIZE; i++) x->desc[i] = desc[i];
    if (!a) x->a = mem_new((int64_t)x->rows * x->cols, sizeof *x->a, "blocks of a matrix");
}

void blocks_done(struct blocks *x)
{
    if (x->owned) mem_free(x->a);
    *x = (struct blocks){ 0 };
}

int blocks_row(const struct blocks *x, int i)
{
    const struct cyclic r = { x->m, x->desc[DESC_MB], x->b->rows };
    return (int)cyclic_global(&r, i, x->b->row);
}

int blocks_col(const struct blocks *x, int j)
{
    const struct cyclic c = { x->n, x->desc[DESC_NB], x->b->cols };
    return (int)cyclic_global(&c, j, x->b->col);
}

void blocks_copy(struct blocks *to, const struct blocks *from, const struct blacs *all)
{
    check(to->m == from->m && to->n == from->n && all->context >= 0);
    CPXGEMR2D(to->m, to->n, from->a, 1, 1, from->desc, to->a, 1, 1, to->desc, all->context);
}

/* Set the topology of messages before every call: it is global, routines change it, and the order
 * of sums would depend on what was called before. */
static void same_paths(const struct blocks *A)
{
    for (int i = 0; i < 6; i++)
        pb_topset_(&A->b->context, &"BBBCCC"[i], &"RCARCA"[i], " ", 1, 1, 1);
}

void blocks_product(struct blocks *C, char ta, const struct blocks *A, char tb,
                    const struct blocks *B, real alpha, real beta)
{
    const int k = ta == 'T' ? A->m : A->n;
    if (C->b->context < 0) return;
    same_paths(C);
    PXGEMM(&ta, &tb, &C->m, &C->n, &k, &alpha, A->a, &one, &one, A->desc, B->a, &one, &one,
           B->desc, &beta, C->a, &one, &one, C->desc, 1, 1);
}

/* Size of a workspace from the answer of a query.  It is rounded to float, and too small for some
 * shapes in ScaLAPACK 2.2, so somewhat more is taken. */
static int room(real asked, int64_t more)
{
    const int64_t n = (int64_t)((double)asked * (1 + 2 * REAL_EPS)) + more;
    check(n < INT32_MAX);
    return (int)n;
}

int blocks_eigen(struct blocks *Q, real *w, struct blocks *A)
{
    const int ask = -1;
    int info = 0, iroom = 0;
    real asked = 0;

    if (A->b->context < 0) return 0;
    same_paths(A);
    PXSYEVD("V", "L", &A->n, A->a, &one, &one, A->desc, w, Q->a, &one, &one, Q->desc, &asked, &ask,
            &iroom, &ask, &info, 1, 1);
    check(info == 0);
    const int nb = A->desc[DESC_NB], liwork = iroom + 8 * A->n;
    const int lwork = room(asked, (A->rows + A->cols + 3 * (int64_t)nb) * nb + 8 * (int64_t)A->n);
    real *work = mem_new(lwork, sizeof *work, "eigenvectors");
    int *iwork = mem_new(liwork, sizeof *iwork, "eigenvectors");
    PXSYEVD("V", "L", &A->n, A->a, &one, &one, A->desc, w, Q->a, &one, &one, Q->desc, work, &lwork,
            iwork, &liwork, &info, 1, 1);
    check(info >= 0);
    mem_free(work);
    mem_free(iwork);
    return info;
}

void blocks_orthonormal(struct blocks *A)
{
    const int ask = -1;
    int info = 0;
    real asked[2];

    if (A->b->context < 0) return;
    same_paths(A);
    check(A->m >= A->n);
    PXGEQRF(&A->m, &A->n, A->a, &one, &one, A->desc, asked, &asked[0], &ask, &info);
    check(info == 0);
    PXORGQR(&A->m, &A->n, &A->n, A->a, &one, &one, A->desc, asked, &asked[1], &ask, &info);
    check(info == 0);
    const int lwork = room(asked[0] > asked[1] ? asked[0] : asked[1], 1);
    real *work = mem_new((int64_t)lwork + A->cols + 1, sizeof *work, "orthonormal columns");
    real *tau = work + lwork;
    PXGEQRF(&A->m, &A->n, A->a, &one, &one, A->desc, tau, work, &lwork, &info);
    check(info == 0);
    PXORGQR(&A->m, &A->n, &A->n, A->a, &one, &one, A->desc, tau, work, &lwork, &info);
    check(info == 0);
    mem_free(work);
}

int blocks_singular(real *s, struct blocks *A)
{
    const int ask = -1;
    int info = 0;
    real asked = 0, none = 0;

    if (A->b->context < 0) return 0;
    same_paths(A);
    PXGESVD("N", "N", &A->m, &A->n, A->a, &one, &one, A->desc, s, &none, &one, &one, A->desc,
            &none, &one, &one, A->desc, &asked, &ask, &info, 1, 1);
    check(info == 0);
    const int lwork = room(asked, 8 * ((int64_t)A->m + A->n));
    real *work = mem_new(lwork, sizeof *work, "singular values");
    PXGESVD("N", "N", &A->m, &A->n, A->a, &one, &one, A->desc, s, &none, &one, &one, A->desc,
            &none, &one, &one, A->desc, work, &lwork, &info, 1, 1);
    check(info >= 0);
    mem_free(work);
    return info;
}
