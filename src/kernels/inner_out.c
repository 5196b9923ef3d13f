/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/inner_out.h"

#include <string.h>

#include "src/kernels/inner_vec.h"
#include "src/kernels/inner_ln.h"

static int has(const struct inner_in *in, enum without part) { return !(in->without & part); }

static int64_t reals(const struct inner_in *in) { return (int64_t)in->r * in->F; }

/* --- without the norm ------------------------------------------------------ */

/* g = z - (v - x), or z - v. */
CLONES
static void plain_grad(real *g, const real *z, const real *v, const real *x, int64_t n,
                       int residual, double *loss)
{
    for (int64_t i = 0; i < n; i++) g[i] = z[i] - (residual ? v[i] - x[i] : v[i]);
    for (int64_t i = 0; loss && i < n; i++) *loss += 0.5 * (double)g[i] * (double)g[i];
}

/* g = -v. */
static void plain_dot_grad(real *g, const real *z, const real *v, int64_t n, double *loss)
{
    for (int64_t i = 0; i < n; i++) g[i] = -v[i];
    for (int64_t i = 0; loss && i < n; i++) *loss += (double)g[i] * (double)z[i];
}

/* --- either way -------------------------------------------------------------- */

void inner_out(real *h, real *s, const real *Z, const struct inner_in *in)
{
    if (has(in, WITHOUT_NORM)) inner_ln(h, s, Z, in->r, in->F, in->eps);
    else memcpy(h, Z, (size_t)reals(in) * sizeof *h);
}

static struct inner_ln_rows rows_of(const real *h, const real *s, const struct inner_in *in)
{
    return (struct inner_ln_rows){
        .h = h, .s = s, .gamma = in->gamma, .beta = in->beta, .v = in->V, .x = in->X, .r = in->r,
        .F = in->F, .residual = has(in, WITHOUT_RESIDUAL), .dot = in->loss == INNER_DOT,
    };
}

static struct inner_ln_grads grads_of(const struct inner_grad *o)
{
    return (struct inner_ln_grads){ o->dgamma, o->dbeta, o->dV, o->dX };
}

/* The residual's part of a dot product is no part of the gradient. */
static void residual_dot(const struct inner_in *in, double *loss)
{
    for (int64_t i = 0; i < reals(in); i++) *loss -= (double)in->V[i] * (double)in->X[i];
}

void inner_out_grad(real *g, const real *h, const real *s, const struct inner_in *in,
                    double *loss)
{
    const int dot = in->loss == INNER_DOT;

    if (has(in, WITHOUT_NORM)) {
        const struct inner_ln_rows n = rows_of(h, s, in);
        inner_ln_grad(g, &n, loss);
    } else if (dot) {
        plain_dot_grad(g, h, in->V, reals(in), loss);
    } else {
        plain_grad(g, h, in->V, in->X, reals(in), has(in, WITHOUT_RESIDUAL), loss);
    }
    if (loss && dot && has(in, WITHOUT_RESIDUAL)) residual_dot(in, loss);
}

/* gamma h + beta, and Q before it. */
CLONES
static void normed(real *O, const real *Q, const real *h, const real *gamma, const real *beta,
                   int r, int F, int residual)
{
    for (int n = 0; n < r; n++)
        for (int i = 0; i < F; i++) {
            const real y = gamma[i] * h[n * F + i] + beta[i];
            O[n * F + i] = residual ? Q[n * F + i] + y : y;
        }
}

void inner_out_value(real *O, const real *h, const struct inner_in *in)
{
    const int residual = has(in, WITHOUT_RESIDUAL);

    if (has(in, WITHOUT_NORM)) {
        normed(O, in->Q, h, in->gamma, in->beta, in->r, in->F, residual);
        return;
    }
    memcpy(O, h, (size_t)reals(in) * sizeof *O);
    if (residual) inner_add(O, in->Q, reals(in));
}

void inner_out_value_backward(struct inner_grad *o, real *dZ, const real *dO, const real *h,
                              const real *s, const struct inner_in *in)
{
    const struct inner_ln_rows n = rows_of(h, s, in);
    const struct inner_ln_grads to = grads_of(o);

    if (has(in, WITHOUT_RESIDUAL)) inner_add(o->dQ, dO, reals(in));
    if (has(in, WITHOUT_NORM)) inner_ln_backward(dZ, &to, dO, &n);
    else memcpy(dZ, dO, (size_t)reals(in) * sizeof *dZ);
}

void inner_out_grad_backward(struct inner_grad *o, real *dZ, const real *dg, const real *g,
                             const real *h, const real *s, const struct inner_in *in)
{
    const struct inner_ln_rows n = rows_of(h, s, in);
    const struct inner_ln_grads to = grads_of(o);

    if (has(in, WITHOUT_NORM)) {
        inner_ln_grad_backward(dZ, &to, dg, g, &n);
        return;
    }
    inner_step_by(o->dV, dg, 1, reals(in));
    if (n.dot) {
        memset(dZ, 0, (size_t)reals(in) * sizeof *dZ);
        return;
    }
    memcpy(dZ, dg, (size_t)reals(in) * sizeof *dZ);
    if (n.residual) inner_add(o->dX, dg, reals(in));
}
