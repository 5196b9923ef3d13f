#include "src/layers/linear.h"

#include "src/base/poke.h"
#include "src/kernels/gemm.h"

void linear_rows_forward(const struct layer_call *c, int k, int row, real *y, const real *x, int M,
                         int C)
{
    poke();
    gemm_nt(y, M, x, C, call_w(c, k) + (int64_t)row * C, C, c->B * c->T, M, C, c->T, GEMM_SET);
}

void linear_rows_backward(const struct layer_call *c, int k, int row, real *dx, const real *dy,
                          const real *x, int M, int C, int add)
{
    const int64_t first = (int64_t)row * C;
    poke();
    gemm_nn(dx, C, dy, M, call_w(c, k) + first, C, c->B * c->T, C, M, c->T, add ? GEMM_ADD : GEMM_SET);
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
