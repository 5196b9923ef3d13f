#include "src/layers/linear.h"

#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/kernels/gemm_bf16.h"

/* Operands of a parameter, of which M rows from `row` on are wanted; NULL: fp32. */
static const struct half_weight *half_of(const struct layer_call *c, int k, int row, int M)
{
    if (!c->half) return NULL;
    if (M < c->t->p[c->first + k].shape[0] && (row % BF16_PANEL || M % BF16_PANEL)) return NULL;
    check(c->half->made);
    if (!c->half->w[c->first + k].forward) return NULL;
    return &c->half->w[c->first + k];
}

void linear_share(const struct layer_call *c, const real *x)
{
    if (!c->half) return;
    c->half_work->shared = x;
    c->half_work->rounded = NULL;
}

static void forward_half(const struct layer_call *c, const bf16 *w, real *y, const real *x, int M,
                         int C)
{
    struct half_work *h = c->half_work;
    const int N = c->B * c->T;

    if (c->T == 1) {  /* of a unit, however many there are */
        for (int n = 0; n < N; n++)
            gemm_bf16_row(y + (int64_t)n * M, x + (int64_t)n * C, w, M, C);
        return;
    }
    if (x != h->shared) h->shared = h->rounded = NULL;
    if (!h->shared || x != h->rounded) bf16_rows(h->rows, x, C, N, C);
    h->rounded = h->shared;
    gemm_bf16(y, M, h->rows, w, N, M, C, 0, C, GEMM_SET);
}

void linear_rows_forward(const struct layer_call *c, int k, int row, real *y, const real *x, int M,
                         int C)
{
    const struct half_weight *half = half_of(c, k, row, M);
    poke();
    if (half)
        forward_half(c, half->forward + (int64_t)row * bf16_inner(C), y, x, M, C);
    else
        gemm_nt(y, M, x, C, call_w(c, k) + (int64_t)row * C, C, c->B * c->T, M, C, c->T, GEMM_SET);
}

static void backward_half(const struct layer_call *c, int k, int row, real *dx, const real *dy,
                          const real *x, int M, int C, enum gemm_c how)
{
    struct half_work *h = c->half_work;
    const int N = c->B * c->T, rows = (int)c->t->p[c->first + k].shape[0];

    h->shared = h->rounded = NULL;
    bf16_rows(h->rows, dy, M, N, M);
    gemm_bf16(dx, C, h->rows, half_of(c, k, row, M)->backward, N, C, M, row, rows, how);
    poke();
    for (int b = 0; b < c->B; b++) {
        bf16_turned(h->turned, dy + (int64_t)b * c->T * M, M, c->T, M);
        bf16_panels(h->panels, x + (int64_t)b * c->T * C, C, c->T, C);
        grad_add_tn_bf16(c->grad, call_at(c, k) + (int64_t)row * C, h->turned, h->panels, M, C,
                         c->T);
    }
}

void linear_rows_backward(const struct layer_call *c, int k, int row, real *dx, const real *dy,
                          const real *x, int M, int C, int add)
{
    const int64_t first = (int64_t)row * C;
    const enum gemm_c how = add ? GEMM_ADD : GEMM_SET;

    poke();
    if (half_of(c, k, row, M)) {
        backward_half(c, k, row, dx, dy, x, M, C, how);
        return;
    }
    gemm_nn(dx, C, dy, M, call_w(c, k) + first, C, c->B * c->T, C, M, c->T, how);
    poke();
    for (int b = 0; b < c->B; b++)
        grad_add_tn(c->grad, call_at(c, k) + first, dy + (int64_t)b * c->T * M, M,
                    x + (int64_t)b * c->T * C, C, M, C, c->T);
}

void linear_forward(const struct layer_call *c, int k, real *y, const real *x, int M, int C)
{
    linear_rows_forward(c, k, 0, y, x, M, C);
}

void linear_backward(const struct layer_call *c, int k, real *dx, const real *dy, const real *x,
                     int M, int C, int add)
{
    linear_rows_backward(c, k, 0, dx, dy, x, M, C, add);
}
