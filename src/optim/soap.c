/* SPDX-License-Identifier: Apache-2.0 */
#include "src/optim/soap.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/kernels/gemm.h"
#include "src/kernels/lapack.h"
#include "src/kernels/vecmath.h"

#define BLOCK 4096  /* elements of a thread at once */

/* Row-major matrices (rows,cols), one after another; with `transposed`, their transposes. */
struct stack { const real *at; int rows, cols, transposed; };

static struct stack stack_of(const real *at, int rows, int cols)
{
    return (struct stack){ at, rows, cols, 0 };
}

static struct stack transposed(struct stack s)
{
    s.transposed = !s.transposed;
    return s;
}

static int64_t elements(struct stack s) { return (int64_t)s.rows * s.cols; }

/* C_i = A_i B_i of `count` matrices: threads share out one matrix, or the matrices of a stack. */
static void product(real *C, struct stack a, struct stack b, int count)
{
    struct gemm p = {
        .N = a.transposed ? a.cols : a.rows, .M = b.transposed ? b.rows : b.cols,
        .K = a.transposed ? a.rows : a.cols, .lda = a.cols, .ldb = b.cols,
        .C = C, .A = a.at, .B = b.at, .transpose_A = a.transposed, .transpose_B = b.transposed,
    };

    if (count == 1) {
        gemm(&p);
        return;
    }
    #pragma omp parallel for schedule(static) firstprivate(p)
    for (int i = 0; i < count; i++) {
        p.C = C + (int64_t)i * p.N * p.M;
        p.A = a.at + i * elements(a);
        p.B = b.at + i * elements(b);
        gemm_tile(&p);
    }
}

static int64_t square(int d) { return (int64_t)d * d; }

CLONES
static void average(real *avg, const real *x, real beta, real rest, int64_t n)
{
    for (int64_t i = 0; i < n; i++) avg[i] = vfma(beta, avg[i], rest * x[i]);
}

int soap_factors(struct soap_state *s, const struct factored *f, double beta, const real *g,
                 real *work)
{
    const struct stack G = stack_of(g, f->rows, f->cols);
    int kept = 0;

    for (int side = 0; side < 2; side++) {
        const int d = factor_dim(f, side);
        if (!d) continue;
        if (side == LEFT) product(work, G, transposed(G), f->matrices);
        else product(work, transposed(G), G, f->matrices);
        #pragma omp parallel for schedule(static) reduction(+ : kept)
        for (int i = 0; i < f->matrices; i++) {
            const int64_t at = i * square(d);
            if (all_finite(work + at, square(d)))
                average(s->factor[side] + at, work + at, (real)beta, (real)(1 - beta), square(d));
            else kept++;
        }
    }
    return kept;
}

/* out = BL x BR', into the eigenbasis, or with `back` out = BL' x BR, out of it; through `between`.
 * A basis has its eigenvectors as rows, so BL x turns columns of x into coordinates.  out may be x
 * only if both factors exist. */
static void rotate(real *out, real *between, const real *x, const struct soap_state *s,
                   const struct factored *f, int back)
{
    const int m = f->rows, n = f->cols;
    const struct stack L = stack_of(s->basis[LEFT], m, m), R = stack_of(s->basis[RIGHT], n, n);

    if (f->has[LEFT]) {
        real *to = f->has[RIGHT] ? between : out;
        product(to, back ? transposed(L) : L, stack_of(x, m, n), f->matrices);
        x = to;
    }
    if (f->has[RIGHT])
        product(out, stack_of(x, m, n), back ? R : transposed(R), f->matrices);
}

/* --- elementwise, as in adamw.c ------------------------------------------------ */

CLONES
static void move_m(struct adam_rates a, real *restrict m, const real *restrict g, int n)
{
    for (int i = 0; i < n; i++) m[i] = vfma(a.b1, m[i], a.c1 * g[i]);            /* [E31] */
}

CLONES
static void move_v(struct adam_rates a, real *restrict v, const real *restrict g, int n)
{
    for (int i = 0; i < n; i++) v[i] = vfma(a.b2, v[i], a.c2 * g[i] * g[i]);     /* [E31] */
}

CLONES
static void divide(struct adam_rates a, real *restrict x, const real *restrict v, int n)
{
    for (int i = 0; i < n; i++) x[i] = x[i] * a.m / (vsqrt(v[i] * a.v) + a.eps); /* [E32] */
}

CLONES
static void apply(struct adam_rates a, real *restrict w, const real *restrict x, int n)
{
    for (int i = 0; i < n; i++) w[i] = vfma(-a.lr, vfma(a.decay, w[i], x[i]), w[i]);
}

typedef void elementwise(struct adam_rates a, real *restrict x, const real *restrict y, int n);

static void all(elementwise *f, const struct adam_rates *a, real *x, const real *y, int64_t n)
{
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += BLOCK)
        f(*a, x + i, y + i, n - i < BLOCK ? (int)(n - i) : BLOCK);
}

void soap_direction(struct soap_state *s, const struct factored *f, const struct adam_rates *a,
                    real *g, real *work)
{
    const int64_t n = (int64_t)f->matrices * f->rows * f->cols;
    real *x = work, *between = work + n;

    soap_move_m(a, s->m, g, n);
    rotate(x, between, g, s, f, 0);
    all(move_v, a, s->v, x, n);
    rotate(x, between, s->m, s, f, 0);
    all(divide, a, x, s->v, n);
    rotate(g, between, x, s, f, 1);                                              /* [E32] */
}

void soap_move_m(const struct adam_rates *a, real *m, const real *g, int64_t n)
{
    all(move_m, a, m, g, n);
}

void soap_divide(const struct adam_rates *a, real *x, real *v, const real *g, int64_t n)
{
    all(move_v, a, v, g, n);
    all(divide, a, x, v, n);
}

void soap_apply(const struct adam_rates *a, real *w, const real *direction, int64_t n)
{
    all(apply, a, w, direction, n);
}

/* --- bases ------------------------------------------------------------------------ */

struct rank { real value; int row; };

static int by_value(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return x->row - y->row;
}

/* A's rows, or with `columns` its columns, in the order of `order`. */
static void reorder(real *A, real *room, const struct rank *order, int rows, int cols, int columns)
{
    memcpy(room, A, (size_t)((int64_t)rows * cols) * sizeof *A);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            A[(int64_t)r * cols + c] = columns ? room[(int64_t)r * cols + order[c].row]
                                               : room[(int64_t)order[r].row * cols + c];
}

/* One step of the power method (orthogonal iteration) for the basis B of the factor A [E33].
 *
 * Rows of B A are longer the larger their eigenvalue; diag(B A B') estimates the eigenvalues.  QR
 * takes the rows one after another, so the order decides which rows keep their direction: they are
 * sorted by the estimates first, and the rows or columns of v (rows, cols), which belong to them,
 * as well. */
static int power_step(real *B, const real *A, int d, real *v, const struct factored *f, int side)
{
    const int64_t each = (int64_t)f->rows * f->cols;
    real *next = mem_new(square(d) + d + (each > square(d) ? each : square(d)), sizeof *next,
                         "power step");
    real *diag = next + square(d), *room = diag + d;
    struct rank *order = mem_new(d, sizeof *order, "power step");

    product(next, stack_of(B, d, d), stack_of(A, d, d), 1);
    for (int k = 0; k < d; k++) {
        double sum = 0;
        for (int j = 0; j < d; j++)
            sum += (double)next[(int64_t)k * d + j] * (double)B[(int64_t)k * d + j];
        order[k] = (struct rank){ (real)sum, k };
    }
    qsort(order, (size_t)d, sizeof *order, by_value);
    reorder(next, room, order, d, d, 0);
    const int info = lapack_orthonormal(next, diag, d, d);
    if (info == 0) {
        memcpy(B, next, (size_t)square(d) * sizeof *B);
        reorder(v, room, order, f->rows, f->cols, side == RIGHT);
    }
    mem_free(next);
    mem_free(order);
    return info;
}

static int all_eigenvectors(real *B, const real *A, int d)
{
    real *next = mem_new(square(d) + d, sizeof *next, "eigenvectors");

    memcpy(next, A, (size_t)square(d) * sizeof *next);
    const int info = lapack_eigen(next, next + square(d), d);
    if (info == 0) memcpy(B, next, (size_t)square(d) * sizeof *B);
    mem_free(next);
    return info;
}

void soap_refresh(struct soap_state *s, const struct factored *f, int i, int first,
                  struct soap_trouble *trouble)
{
    real *v = s->v + (int64_t)i * f->rows * f->cols;

    for (int side = 0; side < 2; side++) {
        const int d = factor_dim(f, side);
        if (!d) continue;
        real *B = s->basis[side] + i * square(d), *A = s->factor[side] + i * square(d);
        const int info = first ? all_eigenvectors(B, A, d) : power_step(B, A, d, v, f, side);
        if (!info) continue;
        trouble->kept++;
        trouble->info = info;
    }
}
