/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/inner_linear.h"

#include "src/kernels/inner_dense.h"
#include "src/kernels/inner_out.h"

static int part(int i, int F, struct inner_part *p)
{
    const struct inner_part parts[] = { { "W1", F, F, INNER_LEARNED },
                                        { "b1", 1, F, INNER_LEARNED_BIAS } };
    if (i > 1) return 0;
    *p = parts[i];
    return 1;
}

static int64_t work_reals(int r, int F)
{
    return 4 * align_reals((int64_t)r * F) + align_reals(r) + inner_weight_reals(F, F) +
           inner_dense_work(r, F, F);
}

static struct inner_weight weight(const real *state, int F)
{
    return (struct inner_weight){ .W = state, .b = state + (int64_t)F * F };
}

static struct inner_dense_grad grad_at(real *dstate, int F)
{
    return (struct inner_dense_grad){ dstate, dstate + (int64_t)F * F };
}

/* The norm of Z = x W + b. */
struct normed { real *h, *s; };

static struct normed norm_of(const real *x, const real *state, const struct inner_in *in,
                             real **work)
{
    const struct inner_dense d = inner_dense_exact(in, in->F, in->F, 0);
    const struct inner_weight w = weight(state, in->F);
    const int64_t rF = (int64_t)in->r * in->F;
    struct normed n = { .h = inner_take(work, rF), .s = inner_take(work, in->r) };
    real *p = *work, *Z = inner_take(&p, rF);

    inner_affine(Z, &w, x, &d, p);
    inner_out(n.h, n.s, Z, in);
    return n;
}

static void output(real *O, const real *state, const struct inner_in *in, real *work)
{
    const struct normed n = norm_of(in->Q, state, in, &work);
    inner_out_value(O, n.h, in);
}

static void output_backward(struct inner_grad *o, real *dstate, const real *dO, const real *state,
                            const struct inner_in *in, real *work)
{
    const struct inner_dense d = inner_dense_exact(in, in->F, in->F, 0);
    const struct inner_weight w = weight(state, in->F);
    const struct inner_dense_grad dw = grad_at(dstate, in->F);
    const struct normed n = norm_of(in->Q, state, in, &work);
    real *dZ = inner_take(&work, (int64_t)in->r * in->F);

    inner_out_value_backward(o, dZ, dO, n.h, n.s, in);
    inner_affine_grads(o->dQ, &dw, dZ, in->Q, &w, &d, work);
}

static void gradient(real *G, const real *state, const struct inner_in *in, real *work)
{
    const struct inner_dense d = inner_dense_exact(in, in->F, in->F, 0);
    const struct inner_dense_grad to = grad_at(G, in->F);
    const struct normed n = norm_of(in->X, state, in, &work);
    real *g = inner_take(&work, (int64_t)in->r * in->F);

    inner_out_grad(g, n.h, n.s, in, NULL);
    inner_dense_add(&to, in->X, g, &d, work);
}

/* First through G = X' diag(lr) g to g and X, then through g to Z (inner_out.h), then through Z. */
static void gradient_backward(struct inner_grad *o, real *dstate, const real *dG,
                              const real *state, const struct inner_in *in, real *work)
{
    const struct inner_dense d = inner_dense_exact(in, in->F, in->F, 0);
    const struct inner_weight w = weight(state, in->F), D = weight(dG, in->F);
    const struct inner_dense_grad dw = grad_at(dstate, in->F);
    const struct normed n = norm_of(in->X, state, in, &work);
    const int64_t rF = (int64_t)in->r * in->F;
    real *g = inner_take(&work, rF), *dg = inner_take(&work, rF), *dZ = inner_take(&work, rF);
    const struct inner_dense_terms terms = { dg, o->dX, o->dlr };

    inner_out_grad(g, n.h, n.s, in, NULL);
    inner_dense_add_backward(&terms, &D, in->X, g, &d, work);
    inner_out_grad_backward(o, dZ, dg, g, n.h, n.s, in);
    inner_affine_grads(o->dX, &dw, dZ, in->X, &w, &d, work);
}

static double loss(const real *state, const struct inner_in *in, real *work)
{
    const struct inner_dense d = inner_dense_of(in, in->F, in->F);
    const int64_t rF = (int64_t)in->r * in->F;
    real *Z = inner_take(&work, rF), *h = inner_take(&work, rF), *s = inner_take(&work, in->r);
    const struct inner_weight w = inner_weight(state, state + (int64_t)in->F * in->F, INNER_FORTH,
                                               &d, &work);
    double sum = 0;

    inner_affine(Z, &w, in->X, &d, work);
    inner_out(h, s, Z, in);
    inner_out_grad(Z, h, s, in, &sum);
    return sum;
}

/* Z, X' g, Q W, and the dual form's P and M g. */
static double flops(int K, int F) { return 6.0 * F * F + 4.0 * K * F; }

const struct inner_model inner_linear = {
    .name = "linear", .learns_from_zero = 1, .rates = 1, .part = part, .work_reals = work_reals,
    .output = output, .output_backward = output_backward, .gradient = gradient,
    .gradient_backward = gradient_backward, .loss = loss, .flops = flops,
};
