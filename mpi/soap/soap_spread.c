/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/soap/soap_spread.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/tiling.h"
#include "src/kernels/lapack.h"
#include "src/plan/cyclic_plan.h"

static int is_spread(const struct matrix *a) { return a->owner == SOAP_SPREAD; }

void soap_spread_init(struct soap *s)
{
    for (int k = 0; k < s->n; k++) {
        struct matrix *a = &s->a[k];
        const int which = a->axis == &s->g->ends;
        int rows, cols;
        if (!is_spread(a)) continue;
        a->rest = &s->rest_grid[which];
        a->grid = &s->step_grid[which];
        if (a->rest->axis) continue;
        cyclic_grid(&rows, &cols, a->axis->size);
        blacs_init(&s->rest_grid[which], a->axis, 1, a->axis->size);
        blacs_init(&s->step_grid[which], a->axis, rows, cols);
    }
}

void soap_spread_done(struct soap *s)
{
    for (int which = 0; which < 2; which++) {
        blacs_done(&s->rest_grid[which]);
        blacs_done(&s->step_grid[which]);
    }
}

/* --- between rest and step ------------------------------------------------------ */

/* A row-major array (rows, cols) of a matrix at rest. */
static struct blocks at_rest(const struct matrix *a, int rows, int cols, real *array)
{
    const struct tiling c = tiling_of((int64_t[]){ rows, cols }, 2);
    struct blocks x;
    blocks_init(&x, a->rest, cols, rows, cols, (int)c.panel, array);
    return x;
}

static struct blocks room(const struct matrix *a, int rows, int cols)
{
    const int least = a->f.rows < a->f.cols ? a->f.rows : a->f.cols;
    const int nb = cyclic_block(least, a->grid->cols);
    struct blocks x;
    blocks_init(&x, a->grid, cols, rows, nb, nb, NULL);
    return x;
}

static struct blocks fetch(const struct matrix *a, int rows, int cols, real *array)
{
    struct blocks from = at_rest(a, rows, cols, array), to = room(a, rows, cols);
    blocks_copy(&to, &from, a->rest);
    return to;
}

static void put(const struct matrix *a, int rows, int cols, real *array, const struct blocks *from)
{
    struct blocks to = at_rest(a, rows, cols, array);
    blocks_copy(&to, from, a->rest);
}

static int64_t elements(const struct blocks *x) { return (int64_t)x->rows * x->cols; }

/* Is all of a matrix finite?  Collective. */
static int finite_all(const struct matrix *a, const struct blocks *x)
{
    int good = all_finite(x->a, elements(x));
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &good, 1, MPI_INT, MPI_MIN, a->axis->comm));
    return good;
}

/* --- one step ------------------------------------------------------------------------ */

/* X <- QR' X QL, or back. */
static void rotate(const struct matrix *a, struct blocks *X, const struct blocks Q[2], int back)
{
    for (int side = 0; side < 2; side++) {
        if (!a->f.has[side]) continue;
        struct blocks Y = room(a, a->f.rows, a->f.cols);
        if (side == RIGHT) blocks_product(&Y, back ? 'N' : 'T', &Q[side], 'N', X, 1, 0);
        else blocks_product(&Y, 'N', X, back ? 'T' : 'N', &Q[side], 1, 0);
        memcpy(X->a, Y.a, (size_t)elements(X) * sizeof(real));
        blocks_done(&Y);
    }
}

static void direction(struct matrix *a, const struct adam_rates *r, const struct blocks Q[2],
                      struct blocks *X, struct blocks *v)
{
    soap_move_m(r, a->s.m, a->g, matrix_local(a, a->f.rows, a->f.cols));
    struct blocks M = fetch(a, a->f.rows, a->f.cols, a->s.m);

    rotate(a, X, Q, 0);
    rotate(a, &M, Q, 0);
    soap_divide(r, M.a, v->a, X->a, elements(v));
    rotate(a, &M, Q, 1);
    put(a, a->f.rows, a->f.cols, a->g, &M);
    blocks_done(&M);
}

/* The new average of a factor, at rest only if it is finite.  returns whether it is */
static int average(const struct matrix *a, const struct blocks *X, double beta, int side,
                   struct blocks *F)
{
    const int d = factor_dim(&a->f, side);
    const char t = side == LEFT ? 'T' : 'N';

    blocks_product(F, t, X, t == 'T' ? 'N' : 'T', X, (real)(1 - beta), (real)beta);
    if (!finite_all(a, F)) return 0;
    put(a, d, d, a->s.factor[side], F);
    return 1;
}

struct place_of { double value; int column; };

static int by_value(const void *a, const void *b)
{
    const struct place_of *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return x->column - y->column;
}

/* P: column j of T P is column order[j] of T, by diag(Q' T) descending.  returns 0 if that is the
 * order they are in. */
static int find_order(const struct matrix *a, struct blocks *P, const struct blocks *Q,
                      const struct blocks *T)
{
    const int n = T->n;
    double *e = mem_new(n, sizeof *e, "eigenvalues");
    struct place_of *order = mem_new(n, sizeof *order, "eigenvalues");
    int moved = 0;

    for (int j = 0; j < T->cols; j++)
        for (int i = 0; i < T->rows; i++)
            e[blocks_col(T, j)] += (double)T->a[(int64_t)j * T->rows + i] *
                                   (double)Q->a[(int64_t)j * T->rows + i];
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, e, n, MPI_DOUBLE, MPI_SUM, a->axis->comm));
    for (int j = 0; j < n; j++) order[j] = (struct place_of){ e[j], j };
    qsort(order, (size_t)n, sizeof *order, by_value);
    for (int j = 0; j < n; j++) moved += order[j].column != j;
    for (int j = 0; j < P->cols; j++)
        for (int i = 0; i < P->rows; i++)
            P->a[(int64_t)j * P->rows + i] =
                order[blocks_col(P, j)].column == blocks_row(P, i);
    mem_free(e);
    mem_free(order);
    return moved > 0;
}

/* X P, or P' X: products with zeros and ones, exact. */
static void permute(const struct matrix *a, struct blocks *X, const struct blocks *P, int rows,
                    int cols, int from_left)
{
    struct blocks Y = room(a, rows, cols);
    if (from_left) blocks_product(&Y, 'T', P, 'N', X, 1, 0);
    else blocks_product(&Y, 'N', X, 'N', P, 1, 0);
    memcpy(X->a, Y.a, (size_t)elements(X) * sizeof(real));
    blocks_done(&Y);
}

/* returns 0, or why the basis stays as it was */
static int power_step(struct matrix *a, int side, const struct blocks *F, const struct blocks *Q,
                      struct blocks *v)
{
    const int d = factor_dim(&a->f, side);
    struct blocks T = room(a, d, d), P = room(a, d, d);

    blocks_product(&T, 'N', F, 'N', Q, 1, 0);
    int good = finite_all(a, &T);
    if (good) {
        const int moved = find_order(a, &P, Q, &T);
        if (moved) permute(a, &T, &P, d, d, 0);
        blocks_orthonormal(&T);
        good = finite_all(a, &T);
        if (good && moved) permute(a, v, &P, a->f.rows, a->f.cols, side == RIGHT);
        if (good) put(a, d, d, a->s.basis[side], &T);
    }
    blocks_done(&T);
    blocks_done(&P);
    return good ? 0 : LAPACK_NOT_FINITE;
}

static int eigenvectors(struct matrix *a, int side, struct blocks *F)
{
    const int d = factor_dim(&a->f, side);
    struct blocks Q = room(a, d, d);
    real *w = mem_new(d, sizeof *w, "eigenvalues");
    int info = finite_all(a, F) ? blocks_eigen(&Q, w, F) : LAPACK_NOT_FINITE;

    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &info, 1, MPI_INT, MPI_MAX, a->axis->comm));
    if (!info) put(a, d, d, a->s.basis[side], &Q);
    blocks_done(&Q);
    mem_free(w);
    return info;
}

static void step(struct soap *s, struct matrix *a, const struct adam_rates *r, int first,
                 int renew)
{
    const int rows = a->f.rows, cols = a->f.cols;
    struct blocks X = fetch(a, rows, cols, a->g), v = fetch(a, rows, cols, a->s.v);
    struct blocks F[2] = { { 0 }, { 0 } }, Q[2] = { { 0 }, { 0 } };
    int kept = 0;

    for (int side = 0; side < 2; side++) {
        const int d = factor_dim(&a->f, side);
        if (!d) continue;
        F[side] = fetch(a, d, d, a->s.factor[side]);
        Q[side] = fetch(a, d, d, a->s.basis[side]);
        kept += !average(a, &X, s->o.factor_beta, side, &F[side]);
    }
    if (!first) direction(a, r, Q, &X, &v);
    for (int side = 0; side < 2; side++) {
        if (!a->f.has[side]) continue;
        const int info = !renew ? 0 : first ? eigenvectors(a, side, &F[side])
                                            : power_step(a, side, &F[side], &Q[side], &v);
        if (info && a->axis->rank == 0) s->trouble.kept++;
        if (info > s->trouble.info) s->trouble.info = info;
        blocks_done(&F[side]);
        blocks_done(&Q[side]);
    }
    if (!first) put(a, rows, cols, a->s.v, &v);
    if (a->axis->rank == 0) s->kept_factors += kept;
    blocks_done(&X);
    blocks_done(&v);
}

void soap_spread_step(struct soap *s, const struct adam_rates *a, int first, int renew)
{
    for (int k = 0; k < s->n; k++)
        if (is_spread(&s->a[k])) step(s, &s->a[k], a, first, renew);
}
