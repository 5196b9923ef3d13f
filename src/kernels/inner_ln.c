#include "src/kernels/inner_ln.h"

#include <math.h>

#define LANES 16

/* Sum of f(i) over a row, in LANES partial sums added in order. */
#define ROW_SUM(result, F, expr)                                          \
    do {                                                                  \
        real lane_[LANES] = { 0 }, sum_ = 0;                              \
        int i_ = 0;                                                       \
        for (; i_ + LANES <= (F); i_ += LANES)                            \
            for (int k_ = 0; k_ < LANES; k_++) {                          \
                const int i = i_ + k_;                                    \
                lane_[k_] += (expr);                                      \
            }                                                             \
        for (int i = i_; i < (F); i++) sum_ += (expr);                    \
        for (int k_ = 0; k_ < 8; k_++) lane_[k_] += lane_[k_ + 8];        \
        for (int k_ = 0; k_ < 4; k_++) lane_[k_] += lane_[k_ + 4];        \
        (result) = sum_ + ((lane_[0] + lane_[2]) + (lane_[1] + lane_[3])); \
    } while (0)

CLONES
void inner_ln(real *h, real *s, const real *z, int r, int F, real eps)
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

/* Two bodies from one text: the target is v - x or, without a residual, v. */
#define BODY static inline __attribute__((always_inline)) void
#define TARGET_I (residual ? v_n[i] - x_n[i] : v_n[i])

BODY grad(real *g, const real *h, const real *s, const real *v, const real *x, const real *gamma,
          const real *beta, int r, int F, double *loss, int residual)
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
    if (residual) grad(g, h, s, v, x, gamma, beta, r, F, loss, 1);
    else grad(g, h, s, v, x, gamma, beta, r, F, loss, 0);
}

CLONES
void inner_ln_backward(real *dz, real *dgamma, real *dbeta, const real *dy, const real *h,
                       const real *s, const real *gamma, int r, int F)
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

BODY grad_backward(real *dz, real *dgamma, real *dbeta, real *dv, real *dx, const real *dg,
                   const real *g, const real *h, const real *s, const real *v, const real *x,
                   const real *gamma, const real *beta, int r, int F, int residual)
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
    if (residual) grad_backward(dz, dgamma, dbeta, dv, dx, dg, g, h, s, v, x, gamma, beta, r, F, 1);
    else grad_backward(dz, dgamma, dbeta, dv, dx, dg, g, h, s, v, x, gamma, beta, r, F, 0);
}
