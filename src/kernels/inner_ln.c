#include "src/kernels/inner_ln.h"

#include <math.h>

#include "src/kernels/row_sum.h"

/* Several bodies from one text: for heads of the paper's width, so that a row stays in registers,
 * and any other; with and without a residual, and for both losses. */
#define BODY static inline __attribute__((always_inline)) void
#define USUAL 64

/* e of row n: [E21]. */
#define TARGET_I (residual ? v_n[i] - x_n[i] : v_n[i])
#define E_I (dot ? -v_n[i] : gamma[i] * h_n[i] + beta[i] - TARGET_I)

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

BODY grad(real *restrict g, const struct inner_ln_rows *restrict rows, int F, double *loss,
          int residual, int dot)
{
    const real *restrict h = rows->h, *restrict v = rows->v, *restrict x = rows->x;
    const real *restrict gamma = rows->gamma, *restrict beta = rows->beta, *s = rows->s;
    const real per = (real)1 / (real)F;
    for (int n = 0; n < rows->r; n++) {
        const int64_t at = (int64_t)n * F;
        const real *h_n = h + at, *v_n = v + at, *x_n = x + at;
        real *g_n = g + at, mean, along;
        for (int i = 0; i < F; i++) g_n[i] = E_I;
        if (loss) {
            real sum;
            if (dot) ROW_SUM(sum, F, -v_n[i] * (gamma[i] * h_n[i] + beta[i]));
            else ROW_SUM(sum, F, g_n[i] * g_n[i]);
            *loss += (dot ? 1 : 0.5) * (double)sum;
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
void inner_ln_grad(real *restrict g, const struct inner_ln_rows *restrict n, double *loss)
{
    if (n->dot) grad(g, n, n->F, loss, 0, 1);
    else if (n->residual && n->F == USUAL) grad(g, n, USUAL, loss, 1, 0);
    else if (n->residual) grad(g, n, n->F, loss, 1, 0);
    else grad(g, n, n->F, loss, 0, 0);
}

BODY backward(real *restrict dz, const struct inner_ln_grads *restrict o, const real *restrict dy,
              const struct inner_ln_rows *restrict rows, int F)
{
    const real *restrict h = rows->h, *restrict gamma = rows->gamma, *s = rows->s;
    real *restrict dgamma = o->dgamma, *restrict dbeta = o->dbeta;
    const real per = (real)1 / (real)F;
    for (int n = 0; n < rows->r; n++) {
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
void inner_ln_backward(real *restrict dz, const struct inner_ln_grads *restrict o,
                       const real *restrict dy, const struct inner_ln_rows *restrict n)
{
    if (n->F == USUAL) backward(dz, o, dy, n, USUAL);
    else backward(dz, o, dy, n, n->F);
}

BODY grad_backward(real *restrict dz, const struct inner_ln_grads *restrict o,
                   const real *restrict dg, const real *restrict g,
                   const struct inner_ln_rows *restrict rows, int F, int residual, int dot)
{
    const real *restrict h = rows->h, *restrict v = rows->v, *restrict x = rows->x;
    const real *restrict gamma = rows->gamma, *restrict beta = rows->beta, *s = rows->s;
    real *restrict dgamma = o->dgamma, *restrict dbeta = o->dbeta;
    real *restrict dv = o->dv, *restrict dx = o->dx;
    const real per = (real)1 / (real)F;
    for (int n = 0; n < rows->r; n++) {
        const int64_t at = (int64_t)n * F;
        const real *dg_n = dg + at, *g_n = g + at, *h_n = h + at, *v_n = v + at, *x_n = x + at;
        real *dz_n = dz + at, *dv_n = dv + at, *dx_n = dx + at;
        real dg_mean, dg_along, p_along, ds, mean, along;
        const real inverse = 1 / s[n];

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
            const real along_p = (dg_n[i] * p_along + p * dg_along) * inverse;
            dgamma[i] += dot ? dp * e : dp * e + de * h_n[i];
            if (!dot) dbeta[i] += de;
            dv_n[i] -= de;
            if (residual) dx_n[i] += de;
            dz_n[i] = dot ? -along_p : de * gamma[i] - along_p;        /* dh */
        }
        ROW_SUM(mean, F, dz_n[i]);
        ROW_SUM(along, F, dz_n[i] * h_n[i]);
        mean *= per;
        along *= per;
        for (int i = 0; i < F; i++)
            dz_n[i] = (dz_n[i] - mean - h_n[i] * along) * inverse + ds * per * h_n[i];
    }
}

CLONES
void inner_ln_grad_backward(real *restrict dz, const struct inner_ln_grads *restrict o,
                            const real *restrict dg, const real *restrict g,
                            const struct inner_ln_rows *restrict n)
{
    if (n->dot) grad_backward(dz, o, dg, g, n, n->F, 0, 1);
    else if (n->residual && n->F == USUAL) grad_backward(dz, o, dg, g, n, USUAL, 1, 0);
    else if (n->residual) grad_backward(dz, o, dg, g, n, n->F, 1, 0);
    else grad_backward(dz, o, dg, g, n, n->F, 0, 0);
}
