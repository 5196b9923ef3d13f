/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/inner_mlp.h"

#include "src/kernels/inner_dense.h"
#include "src/kernels/inner_gelu.h"
#include "src/kernels/inner_out.h"

#define HIDDEN INNER_MLP_HIDDEN

static int part(int i, int F, struct inner_part *p)
{
    const struct inner_part parts[] = {
        { "W1", F, HIDDEN * F, INNER_LEARNED }, { "b1", 1, HIDDEN * F, INNER_LEARNED_BIAS },
        { "W2", HIDDEN * F, F, INNER_LEARNED }, { "b2", 1, F, INNER_LEARNED_BIAS },
    };
    if (i > 3) return 0;
    *p = parts[i];
    return 1;
}

/* At most 9 arrays of the hidden width, 6 of the head's. */
static int64_t work_reals(int r, int F)
{
    const int M = HIDDEN * F;
    return 9 * align_reals((int64_t)r * M) + 6 * align_reals((int64_t)r * F) + align_reals(r) +
           2 * inner_weight_reals(F, M) + inner_dense_work(r, M, M);
}

/* The two layers of rows, at a state. */
struct layers { struct inner_dense one, two; struct inner_weight w1, w2; };

static struct layers layers_at(const real *state, const struct inner_in *in)
{
    const int F = in->F, M = HIDDEN * F;
    const struct inner_mlp_parts s = inner_mlp_parts(state, F);
    return (struct layers){ inner_dense_exact(in, F, M, 0), inner_dense_exact(in, M, F, 0),
                            { .W = s.W1, .b = s.b1 }, { .W = s.W2, .b = s.b2 } };
}

static struct inner_dense_grad one(const struct inner_mlp_parts *s)
{
    return (struct inner_dense_grad){ s->W1, s->b1 };
}

static struct inner_dense_grad two(const struct inner_mlp_parts *s)
{
    return (struct inner_dense_grad){ s->W2, s->b2 };
}

/* --- output ------------------------------------------------------------------------- */

/* X2 = gelu(Z1), d = gelu'(Z1), and the norm of Z2. */
struct outputs { real *X2, *d, *h, *s; };

static struct outputs outputs_of(const struct layers *l, const struct inner_in *in, real **work)
{
    const int64_t rF = (int64_t)in->r * in->F, rM = HIDDEN * rF;
    struct outputs o = { .X2 = inner_take(work, rM), .d = inner_take(work, rM),
                         .h = inner_take(work, rF), .s = inner_take(work, in->r) };
    real *p = *work, *Z = inner_take(&p, rM);

    inner_affine(Z, &l->w1, in->Q, &l->one, p);
    inner_gelu_derivative(o.X2, o.d, Z, rM);
    inner_affine(Z, &l->w2, o.X2, &l->two, p);
    inner_out(o.h, o.s, Z, in);
    return o;
}

static void output(real *O, const real *state, const struct inner_in *in, real *work)
{
    const struct layers l = layers_at(state, in);
    const struct outputs o = outputs_of(&l, in, &work);
    inner_out_value(O, o.h, in);
}

static void output_backward(struct inner_grad *g, real *dstate, const real *dO, const real *state,
                            const struct inner_in *in, real *work)
{
    const struct layers l = layers_at(state, in);
    const struct inner_mlp_parts ds = inner_mlp_parts(dstate, in->F);
    const struct inner_dense_grad d1 = one(&ds), d2 = two(&ds);
    const struct outputs o = outputs_of(&l, in, &work);
    const int64_t rF = (int64_t)in->r * in->F, rM = HIDDEN * rF;
    real *dZ2 = inner_take(&work, rF), *dX2 = inner_take(&work, rM), *dZ1 = inner_take(&work, rM);

    inner_out_value_backward(g, dZ2, dO, o.h, o.s, in);
    inner_zero(dX2, rM);
    inner_affine_grads(dX2, &d2, dZ2, o.X2, &l.w2, &l.two, work);
    inner_times(dZ1, dX2, o.d, rM);
    inner_affine_grads(g->dQ, &d1, dZ1, in->Q, &l.w1, &l.one, work);
}

/* --- gradient of the inner loss: [E16] -------------------------------------------------- */

/* f = f(Z1), df = f'(Z1), d = gelu'(Z1); the norm of Z2. */
struct gradients { real *X2, *d, *f, *df, *A, *g1, *g2, *h, *s; };

static struct gradients gradients_of(const struct layers *l, const struct inner_in *in,
                                     real **work)
{
    const int64_t rF = (int64_t)in->r * in->F, rM = HIDDEN * rF;
    struct gradients k = { .g2 = inner_take(work, rF), .h = inner_take(work, rF),
                           .s = inner_take(work, in->r) };
    real **const hidden[] = { &k.X2, &k.d, &k.f, &k.df, &k.A, &k.g1 };
    for (int i = 0; i < 6; i++) *hidden[i] = inner_take(work, rM);
    real *p = *work, *Z = inner_take(&p, rM);

    inner_affine(Z, &l->w1, in->X, &l->one, p);
    inner_gelu_slope_derivatives(k.X2, k.d, k.f, k.df, Z, rM);
    inner_affine(Z, &l->w2, k.X2, &l->two, p);
    inner_out(k.h, k.s, Z, in);
    inner_out_grad(k.g2, k.h, k.s, in, NULL);
    inner_back(k.A, &l->w2, k.g2, 0, &l->two, p);
    inner_times(k.g1, k.A, k.f, rM);
    return k;
}

static void gradient(real *G, const real *state, const struct inner_in *in, real *work)
{
    const struct layers l = layers_at(state, in);
    const struct inner_mlp_parts to = inner_mlp_parts(G, in->F);
    const struct inner_dense_grad G1 = one(&to), G2 = two(&to);
    const struct gradients k = gradients_of(&l, in, &work);

    inner_dense_add(&G1, in->X, k.g1, &l.one, work);
    inner_dense_add(&G2, k.X2, k.g2, &l.two, work);
}

/* In the reverse order of gradients_of(): G to g1, g2, X and X2; g1 = A f(Z1) to A and Z1;
 * A = g2 W2' to g2 and W2; g2 to Z2 (inner_out.h); Z2 to X2, W2; X2 to Z1; Z1 to X, W1. */
static void gradient_backward(struct inner_grad *g, real *dstate, const real *dG,
                              const real *state, const struct inner_in *in, real *work)
{
    const struct layers l = layers_at(state, in), D = layers_at(dG, in);
    const struct inner_mlp_parts ds = inner_mlp_parts(dstate, in->F);
    const struct inner_dense_grad d1 = one(&ds), d2 = two(&ds);
    const struct gradients k = gradients_of(&l, in, &work);
    const int64_t rF = (int64_t)in->r * in->F, rM = HIDDEN * rF;
    real *dg1 = inner_take(&work, rM), *dX2 = inner_take(&work, rM), *dA = k.g1;
    real *dg2 = inner_take(&work, rF), *dZ2 = inner_take(&work, rF);
    real *dZ1 = k.df;
    const struct inner_dense_terms terms1 = { dg1, g->dX, g->dlr }, terms2 = { dg2, dX2, g->dlr };

    inner_zero(dX2, rM);
    inner_dense_add_backward(&terms1, &D.w1, in->X, k.g1, &l.one, work);
    inner_dense_add_backward(&terms2, &D.w2, k.X2, k.g2, &l.two, work);
    for (int64_t i = 0; i < rM; i++) {
        dA[i] = dg1[i] * k.f[i];
        dZ1[i] = dg1[i] * k.A[i] * k.df[i];
    }
    inner_forth(dg2, &l.w2, dA, 1, &l.two, work);
    inner_outer(d2.W, d2.W, dA, k.g2, in->r, &l.two, work);
    inner_out_grad_backward(g, dZ2, dg2, k.g2, k.h, k.s, in);
    inner_affine_grads(dX2, &d2, dZ2, k.X2, &l.w2, &l.two, work);
    inner_add_times(dZ1, dX2, k.d, rM);
    inner_affine_grads(g->dX, &d1, dZ1, in->X, &l.w1, &l.one, work);
}

static double loss(const real *state, const struct inner_in *in, real *work)
{
    const int F = in->F, M = HIDDEN * F;
    const int64_t rF = (int64_t)in->r * F, rM = HIDDEN * rF;
    const struct inner_mlp_parts s = inner_mlp_parts(state, F);
    const struct inner_dense d1 = inner_dense_of(in, F, M), d2 = inner_dense_of(in, M, F);
    const struct inner_weight w1 = inner_weight(s.W1, s.b1, INNER_FORTH, &d1, &work);
    const struct inner_weight w2 = inner_weight(s.W2, s.b2, INNER_FORTH, &d2, &work);
    real *Z = inner_take(&work, rM), *X2 = inner_take(&work, rM);
    real *h = inner_take(&work, rF), *scale = inner_take(&work, in->r);
    double sum = 0;

    inner_affine(Z, &w1, in->X, &d1, work);
    inner_gelu(X2, Z, rM);
    inner_affine(Z, &w2, X2, &d2, work);
    inner_out(h, scale, Z, in);
    inner_out_grad(Z, h, scale, in, &sum);
    return sum;
}

/* Z1, Z2, g2 W2', Q W1, X2b W2, two steps: 7 products of 2 F 4F; the dual form's P and M g of both
 * layers. */
static double flops(int K, int F)
{
    return 14.0 * HIDDEN * F * F + 4.0 * K * (F + HIDDEN * F);
}

const struct inner_model inner_mlp = {
    .name = "mlp", .rates = 1, .part = part, .work_reals = work_reals, .output = output,
    .output_backward = output_backward, .gradient = gradient,
    .gradient_backward = gradient_backward, .loss = loss, .flops = flops,
};
