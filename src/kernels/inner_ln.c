#include "src/kernels/inner_ln.h"

#include <math.h>

#include "src/kernels/row_sum.h"

/* Several bodies from one text: for heads of the paper's width, so that a row stays in registers,
 * and any other; the target is v - x or, without a residual, v. */
#define BODY static inline __attribute__((always_inline)) void
#define TARGET_I (residual ? v_n[i] - x_n[i] : v_n[i])
#define USUAL 64

BODY norm(real *restrict h, real *restrict s, const real *restrict z, int r, int F, real eps)
{
    const real per = (real)1 / (real)F;
    for (int n = 0; n < r; n++) {
        const real *z_n = z + (int64_t)n * F;
        real *h_n = h + (int64_t)n * F, mean, var;
        ROW_SUM(mean, F, z_n[i]);
        mean *= per;
        ROW_SUM(var, F, (z_n[i] - mean) * (z_n[i] - mean));
        s[n] = (real)sqrt((double)(var * per + eps));
        const real inverse = 1 / s[n];
        for (int i = 0; i < F; i++) h_n[i] = (z_n[i] - mean) * inverse;
    }
}

CLONES
void inner_ln(real *h, real *s, const real *z, int r, int F, real eps)
{
    if (F == USUAL) norm(h, s, z, r, USUAL, eps);
    else norm(h, s, z, r, F, eps);
}

BODY grad(real *restrict g, const real *restrict h, const real *s, const real *restrict v,
          const real *restrict x, const real *restrict gamma, const real *restrict beta, int r,
          int F, double *loss, int residual)
{
    const real per = (real)1 / (real)F;
    for (int n = 0; n < r; n++) {
        const int64_t at = (int64_t)n * F;
        const real *h_n = h + at, *v_n = v + at, *x_n = x + at;
        real *g_n = g + at, mean, along;
        for (int i = 0; i < F; i++)
            g_n[i] = gamma[i] * h_n[i] + beta[i] - TARGET_I;           /* e */
        if (loss) {
            real sum;
            ROW_SUM(sum, F, g_n[i] * g_n[i]);
            *loss += 0.5 * (double)sum;
        }
        for (int i = 0; i < F; i++) g_n[i] *= gamma[i];                /* p */
        ROW_SUM(mean, F, g_n[i]);
        ROW_SUM(along, F, g_n[i] * h_n[i]);
        mean *= per;
        along *= per;
        const real inverse = 1 / s[n];
        for (int i = 0; i < F; i++) g_n[i] = (g_n[i] - mean - h_n[i] * along) * inverse;
    }
}

CLONES
void inner_ln_grad(real *g, const real *h, const real *s, const real *v, const real *x,
                   const real *gamma, const real *beta, int r, int F, int residual, double *loss)
{
    if (residual && F == USUAL) grad(g, h, s, v, x, gamma, beta, r, USUAL, loss, 1);
    else if (residual) grad(g, h, s, v, x, gamma, beta, r, F, loss, 1);
    else grad(g, h, s, v, x, gamma, beta, r, F, loss, 0);
}

BODY backward(real *restrict dz, real *restrict dgamma, real *restrict dbeta,
              const real *restrict dy, const real *restrict h, const real *s,
              const real *restrict gamma, int r, int F)
{
    const real per = (real)1 / (real)F;
    for (int n = 0; n < r; n++) {
        const int64_t at = (int64_t)n * F;
        const real *dy_n = dy + at, *h_n = h + at;
        real *dz_n = dz + at, mean, along;
        for (int i = 0; i < F; i++) {
            dgamma[i] += dy_n[i] * h_n[i];
            dbeta[i] += dy_n[i];
        }
        ROW_SUM(mean, F, dy_n[i] * gamma[i]);
        ROW_SUM(along, F, dy_n[i] * gamma[i] * h_n[i]);
        mean *= per;
        along *= per;
        const real inverse = 1 / s[n];
        for (int i = 0; i < F; i++)
            dz_n[i] = (dy_n[i] * gamma[i] - mean - h_n[i] * along) * inverse;
    }
}

CLONES
void inner_ln_backward(real *dz, real *dgamma, real *dbeta, const real *dy, const real *h,
                       const real *s, const real *gamma, int r, int F)
{
    if (F == USUAL) backward(dz, dgamma, dbeta, dy, h, s, gamma, r, USUAL);
    else backward(dz, dgamma, dbeta, dy, h, s, gamma, r, F);
}

BODY grad_backward(real *restrict dz, real *restrict dgamma, real *restrict dbeta,
                   real *restrict dv, real *restrict dx, const real *restrict dg,
                   const real *restrict g, const real *restrict h, const real *s,
                   const real *restrict v, const real *restrict x, const real *restrict gamma,
                   const real *restrict beta, int r, int F, int residual)
{
    const real per = (real)1 / (real)F;
    for (int n = 0; n < r; n++) {
        const int64_t at = (int64_t)n * F;
        const real *dg_n = dg + at, *g_n = g + at, *h_n = h + at, *v_n = v + at, *x_n = x + at;
        real *dz_n = dz + at, *dv_n = dv + at, *dx_n = dx + at;
        real dg_mean, dg_along, p_along, ds, mean, along;
        const real inverse = 1 / s[n];

#define E_I (gamma[i] * h_n[i] + beta[i] - TARGET_I)
        ROW_SUM(dg_mean, F, dg_n[i]);
        ROW_SUM(dg_along, F, dg_n[i] * h_n[i]);
        ROW_SUM(p_along, F, E_I * gamma[i] * h_n[i]);
        ROW_SUM(ds, F, dg_n[i] * g_n[i]);
        dg_mean *= per;
        dg_along *= per;
        p_along *= per;
        ds *= -inverse;
        for (int i = 0; i < F; i++) {
            const real e = E_I, p = e * gamma[i];
            const real dp = (dg_n[i] - dg_mean - h_n[i] * dg_along) * inverse;
            const real de = dp * gamma[i];
            dgamma[i] += dp * e + de * h_n[i];
            dbeta[i] += de;
            dv_n[i] -= de;
            if (residual) dx_n[i] += de;
            dz_n[i] = de * gamma[i] - (dg_n[i] * p_along + p * dg_along) * inverse;  /* dh */
        }
#undef E_I
        ROW_SUM(mean, F, dz_n[i]);
        ROW_SUM(along, F, dz_n[i] * h_n[i]);
        mean *= per;
        along *= per;
        for (int i = 0; i < F; i++)
            dz_n[i] = (dz_n[i] - mean - h_n[i] * along) * inverse + ds * per * h_n[i];
    }
}

CLONES
void inner_ln_grad_backward(real *dz, real *dgamma, real *dbeta, real *dv, real *dx,
                            const real *dg, const real *g, const real *h, const real *s,
                            const real *v, const real *x, const real *gamma, const real *beta,
                            int r, int F, int residual)
{
    if (residual && F == USUAL)
        grad_backward(dz, dgamma, dbeta, dv, dx, dg, g, h, s, v, x, gamma, beta, r, USUAL, 1);
    else if (residual)
        grad_backward(dz, dgamma, dbeta, dv, dx, dg, g, h, s, v, x, gamma, beta, r, F, 1);
    else
        grad_backward(dz, dgamma, dbeta, dv, dx, dg, g, h, s, v, x, gamma, beta, r, F, 0);
}
