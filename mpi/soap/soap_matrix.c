/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/soap/soap_matrix.h"

#include "src/base/mem.h"
#include "src/base/tiling.h"
#include "src/model/soap_plan.h"

static int shape_of(const struct matrix *a, int rows, int cols, int64_t shape[3])
{
    const int stack = a->f.matrices > 1;
    shape[0] = a->f.matrices;
    shape[stack] = rows;
    shape[stack + 1] = cols;
    return 2 + stack;
}

/* A tile of such an array that this process has: its number, and where it is in the array and in
 * memory. */
struct own_tile { int64_t number, at, n, local; };

/* The i-th own tile, in order.  returns 0 past the last */
static int matrix_tile(const struct matrix *a, int rows, int cols, int64_t i, struct own_tile *tile)
{
    int64_t shape[3];
    const int ndim = shape_of(a, rows, cols, shape);
    const struct tiling c = tiling_of(shape, ndim);

    tile->number = a->owner == SOAP_SPREAD ? i * a->axis->size + a->axis->rank : i;
    if (tile->number >= tiling_count(&c)) return 0;
    tiling_at(&c, tile->number, &tile->at, &tile->n);
    tile->local = a->owner == SOAP_SPREAD ? i * c.panel * c.entry : tile->at;
    return a->owner == SOAP_SPREAD || a->owner == a->axis->rank;
}

int64_t matrix_local(const struct matrix *a, int rows, int cols)
{
    struct own_tile tile;
    int64_t n = 0;
    for (int64_t i = 0; matrix_tile(a, rows, cols, i, &tile); i++) n += tile.n;
    return n;
}

/* The identity, as far as its rows are here. */
static void start_basis(struct matrix *a, int side)
{
    const int64_t d = factor_dim(&a->f, side);
    struct own_tile tile;

    if (!d) return;
    for (int64_t i = 0; matrix_tile(a, (int)d, (int)d, i, &tile); i++)
        for (int64_t row = tile.at / d; row < (tile.at + tile.n) / d; row++)
            a->s.basis[side][tile.local + row * d + row % d - tile.at] = 1;
}

void matrix_init(struct matrix *a)
{
    const struct factored *f = &a->f;
    const int64_t n = matrix_local(a, f->rows, f->cols);

    if (a->owner != SOAP_SPREAD && !n) return;
    a->s.m = mem_new(n, sizeof(real), "first moments of a matrix");
    a->s.v = mem_new(n, sizeof(real), "second moments of a matrix");
    a->g = mem_new(n, sizeof(real), "gradient of a matrix");
    for (int side = 0; side < 2; side++) {
        const int d = factor_dim(f, side);
        const int64_t each = matrix_local(a, d, d);
        if (!d) continue;
        a->s.factor[side] = mem_new(each, sizeof(real), "factor of a matrix");
        a->s.basis[side] = mem_new(each, sizeof(real), "eigenbasis of a matrix");
    }
    for (int side = 0; side < 2; side++) start_basis(a, side);
}

void matrix_done(struct matrix *a)
{
    mem_free(a->s.m);
    mem_free(a->s.v);
    mem_free(a->g);
    for (int side = 0; side < 2; side++) {
        mem_free(a->s.factor[side]);
        mem_free(a->s.basis[side]);
    }
}

int64_t matrix_places(struct place *places, const struct matrix *a, int rows, int cols, int tensor,
                      real *base)
{
    struct own_tile tile;
    int64_t i = 0;

    for (; matrix_tile(a, rows, cols, i, &tile); i++)
        if (places)
            places[i] = (struct place){ .tensor = tensor, .tile = tile.number,
                                        .raw = base + tile.local };
    return i;
}
