/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/linear.h"

#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/kernels/bias.h"
#include "src/kernels/gemm_bf16.h"

/* Operands of a parameter, of which M rows from `row` on are wanted; NULL: fp32. */
static const struct bf16_weight *bf16_of(const struct layer_call *c, int k, int row, int M)
{
    if (!c->bf16) return NULL;
    if (M < c->t->p[c->first + k].shape[0] && (row % BF16_PANEL || M % BF16_PANEL)) return NULL;
    check(c->bf16->made);
    if (!c->bf16->w[c->first + k].forward) return NULL;
    return &c->bf16->w[c->first + k];
}

static const void *address(struct operand x) { return x.rows ? (const void *)x.rows : x.x; }

void linear_share(const struct layer_call *c, struct operand x)
{
    struct bf16_work *h = c->bf16_work;
    if (!c->bf16) return;
    h->shared = address(x);
    h->rows_made = h->panels_made = 0;
}

/* Rows of x: its own, or made in h. */
static const bf16 *rows_of(struct bf16_work *h, struct operand x, int N, int C)
{
    if (x.rows) return x.rows;
    if (x.x != h->shared || !h->rows_made) bf16_rows(h->rows, x.x, C, N, C);
    h->rows_made = x.x == h->shared;
    return h->rows;
}

/* Generation: one token of each sequence.  w, or panels in bf16. */
static void forward_decode(const struct layer_call *c, const real *w, const bf16 *panels, real *y,
                          const real *x, int M, int C)
{
    for (int b = 0; b < c->B; b++, x += C, y += M) {
        if (panels) gemm_bf16_row(y, x, panels, M, C);
        else gemm_row(y, x, w, M, C);
    }
}

/* Columns of a parameter, whose rows are its first dimension. */
static int columns(const struct layer_call *c, int k)
{
    const struct param *p = &c->t->p[c->first + k];
    return (int)(p->n / p->shape[0]);
}

static int all_rows(const struct layer_call *c, int k)
{
    return (int)c->t->p[c->first + k].shape[0];
}

static void check_product(const struct layer_call *c, int k)
{
    if (!c->t->p[c->first + k].product)
        die("%s: a product reads it, so param_add_product() has to add it",
            c->t->p[c->first + k].name);
}

void linear_part_forward(const struct layer_call *c, int k, int row, int M, real *y,
                         struct operand x)
{
    const int C = columns(c, k);
    const struct bf16_weight *panels = bf16_of(c, k, row, M);
    const bf16 *h = panels ? panels->forward + (int64_t)row * bf16_inner(C) : NULL;
    const real *w = call_w(c, k) + (int64_t)row * C;
    const int N = c->B * c->T;

    poke();
    check_product(c, k);
    check(panels || x.x);
    if (c->decode) forward_decode(c, w, h, y, x.x, M, C);
    else if (panels)
        gemm_bf16(&(struct gemm_bf16){ .C = y, .rows = rows_of(c->bf16_work, x, N, C), .panels = h,
                                       .N = N, .M = M, .K = C });
    else
        gemm(&(struct gemm){ .C = y, .A = x.x, .B = w, .transpose_B = 1, .N = N, .M = M, .K = C });
}

/* Panels of every unit's x, in h. */
static void make_panels(const struct layer_call *c, struct operand x, int C)
{
    struct bf16_work *h = c->bf16_work;
    const int T = c->T;

    if (address(x) == h->shared && h->panels_made) return;
    for (int b = 0; b < c->B; b++) {
        bf16 *to = h->panels + b * bf16_panels_size(T, C);
        if (x.rows) bf16_panels_of_rows(to, x.rows + (int64_t)b * T * bf16_inner(C), T, C);
        else bf16_panels(to, x.x + (int64_t)b * T * C, C, T, C);
    }
    h->panels_made = address(x) == h->shared;
}

static void backward_bf16(const struct layer_call *c, int k, int row, int M, real *dx,
                          struct operand dy, struct operand x, int add)
{
    struct bf16_work *h = c->bf16_work;
    const int N = c->B * c->T, T = c->T, C = columns(c, k);
    const bf16 *rows = rows_of(h, dy, N, M);

    gemm_bf16(&(struct gemm_bf16){ .C = dx, .rows = rows, .panels = bf16_of(c, k, row, M)->backward,
                                   .N = N, .M = C, .K = M, .k0 = row, .panels_K = all_rows(c, k),
                                   .add = add });
    poke();
    make_panels(c, x, C);
    for (int b = 0; b < c->B; b++) {
        bf16_transposed(h->transposed, rows + (int64_t)b * T * bf16_inner(M), T, M);
        grad_add_tn_bf16(c->grad, call_at(c, k) + (int64_t)row * C, h->transposed,
                         h->panels + b * bf16_panels_size(T, C), M, C, T);
    }
}

void linear_part_backward(const struct layer_call *c, int k, int row, int M, real *dx,
                          struct operand dy, struct operand x, int add)
{
    const int C = columns(c, k);
    const int64_t first = (int64_t)row * C;

    poke();
    if (bf16_of(c, k, row, M)) {
        backward_bf16(c, k, row, M, dx, dy, x, add);
        return;
    }
    check(dy.x && x.x);
    const int64_t at = call_at(c, k) + first;
    const int set = grad_starts_tn(c->grad, at, M, C);
    #pragma omp parallel
    {
        gemm_team(&(struct gemm){ .C = dx, .A = dy.x, .B = call_w(c, k) + first,
                                  .N = c->B * c->T, .M = C, .K = M, .add = add });
        for (int b = 0; b < c->B; b++) {
            if (b > 0) {
                #pragma omp barrier
            }
            grad_add_tn_team(c->grad, at, dy.x + (int64_t)b * c->T * M,
                             x.x + (int64_t)b * c->T * C, M, C, c->T, set && b == 0);
        }
    }
}

void linear_forward(const struct layer_call *c, int k, real *y, struct operand x)
{
    linear_part_forward(c, k, 0, all_rows(c, k), y, x);
}

void linear_forward_each(const struct layer_call *c, const struct linear *y, int n,
                         struct operand x)
{
    int apart = c->decode;

    for (int i = 0; i < n; i++) apart |= bf16_of(c, y[i].k, 0, all_rows(c, y[i].k)) != NULL;
    if (apart) {
        for (int i = 0; i < n; i++) linear_forward(c, y[i].k, y[i].y, x);
        return;
    }
    poke();
    check(x.x);
    for (int i = 0; i < n; i++) check_product(c, y[i].k);
    #pragma omp parallel
    for (int i = 0; i < n; i++)
        gemm_team(&(struct gemm){ .C = y[i].y, .A = x.x, .B = call_w(c, y[i].k), .transpose_B = 1,
                                  .N = c->B * c->T, .M = all_rows(c, y[i].k),
                                  .K = columns(c, y[i].k) });
}

void linear_backward(const struct layer_call *c, int k, real *dx, struct operand dy,
                     struct operand x, int add)
{
    linear_part_backward(c, k, 0, all_rows(c, k), dx, dy, x, add);
}

void linear_bias(const struct layer_call *c, int k, real *y, int M)
{
    bias_forward(y, call_w(c, k), c->B * c->T, M);
}

void linear_bias_backward(const struct layer_call *c, int k, real *sum, const real *dy, int M)
{
    for (int b = 0; b < c->B; b++) {
        bias_backward(sum, dy + (int64_t)b * c->T * M, c->T, M);
        grad_add(c->grad, call_at(c, k), sum, M);
    }
}
