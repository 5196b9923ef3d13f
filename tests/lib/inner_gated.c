/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/inner_gated.h"

#include <math.h>

#include "src/kernels/inner_dense.h"
#include "src/kernels/inner_out.h"

#define HIDDEN 2

static int part(int i, int F, struct inner_part *p)
{
    const int M = HIDDEN * F;
    const struct inner_part parts[] = {
        { "W1", F, M, INNER_LEARNED }, { "b1", 1, M, INNER_LEARNED_BIAS },
        { "W2", M, F, INNER_LEARNED }, { "b2", 1, F, INNER_LEARNED_BIAS },
        { "W3", F, M, INNER_LEARNED }, { "b3", 1, M, INNER_LEARNED_BIAS },
    };
    if (i > 5) return 0;
    *p = parts[i];
    return 1;
}

/* 16 arrays of the hidden width or less. */
static int64_t work_reals(int r, int F)
{
    const int M = HIDDEN * F;
    return 16 * align_reals((int64_t)r * M) + align_reals(r) + inner_dense_work(r, M, M);
}

/* Layers 1, 2, 3 of a block like the state. */
struct layers { struct inner_dense d[3]; struct inner_dense_grad at[3]; struct inner_weight w[3]; };

static struct layers layers_at(const real *block, const struct inner_in *in)
{
    const int F = in->F, M = HIDDEN * F;
    struct layers l;
    real *p = (real *)(uintptr_t)block;
    for (int i = 0; i < 3; i++) {
        const int I = i == 1 ? M : F, O = i == 1 ? F : M;
        l.d[i] = inner_dense_exact(in, I, O, i);
        l.at[i] = (struct inner_dense_grad){ p, p + (int64_t)I * O };
        l.w[i] = (struct inner_weight){ .W = l.at[i].W, .b = l.at[i].b };
        p += (int64_t)I * O + O;
    }
    return l;
}

/* silu(a), its first and its second derivative. */
static void silu(real *s, real *s1, real *s2, const real *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const real g = (real)(1 / (1 + exp(-(double)a[i])));
        s[i] = a[i] * g;
        s1[i] = g * (1 + a[i] * (1 - g));
        s2[i] = g * (1 - g) * (2 + a[i] * (1 - 2 * g));
    }
}

/* Rows of queries or keys: h, s are the norm of p W2 + b2. */
struct rows { real *u, *s, *s1, *s2, *p, *h, *scale; };

static struct rows rows_of(const struct layers *l, const real *x, const struct inner_in *in,
                           real **work)
{
    const int64_t rF = (int64_t)in->r * in->F, rM = HIDDEN * rF;
    struct rows k = { .h = inner_take(work, rF), .scale = inner_take(work, in->r) };
    real **const hidden[] = { &k.u, &k.s, &k.s1, &k.s2, &k.p };
    for (int i = 0; i < 5; i++) *hidden[i] = inner_take(work, rM);
    real *t = *work, *z = inner_take(&t, rM);

    inner_affine(z, &l->w[0], x, &l->d[0], t);
    silu(k.s, k.s1, k.s2, z, rM);
    inner_affine(k.u, &l->w[2], x, &l->d[2], t);
    inner_times(k.p, k.s, k.u, rM);
    inner_affine(z, &l->w[1], k.p, &l->d[1], t);
    inner_out(k.h, k.scale, z, in);
    return k;
}

static void output(real *O, const real *state, const struct inner_in *in, real *work)
{
    const struct layers l = layers_at(state, in);
    const struct rows k = rows_of(&l, in->Q, in, &work);
    inner_out_value(O, k.h, in);
}

static void output_backward(struct inner_grad *g, real *dstate, const real *dO, const real *state,
                            const struct inner_in *in, real *work)
{
    const struct layers l = layers_at(state, in), to = layers_at(dstate, in);
    const struct rows k = rows_of(&l, in->Q, in, &work);
    const int64_t rF = (int64_t)in->r * in->F, rM = HIDDEN * rF;
    real *dz = inner_take(&work, rF), *dp = inner_take(&work, rM);
    real *da = inner_take(&work, rM), *du = inner_take(&work, rM);

    inner_out_value_backward(g, dz, dO, k.h, k.scale, in);
    inner_zero(dp, rM);
    inner_affine_grads(dp, &to.at[1], dz, k.p, &l.w[1], &l.d[1], work);
    for (int64_t i = 0; i < rM; i++) {
        da[i] = dp[i] * k.u[i] * k.s1[i];
        du[i] = dp[i] * k.s[i];
    }
    inner_affine_grads(g->dQ, &to.at[0], da, in->Q, &l.w[0], &l.d[0], work);
    inner_affine_grads(g->dQ, &to.at[2], du, in->Q, &l.w[2], &l.d[2], work);
}

/* Inner gradients of z, p, a and u: g, P = g W2', ga = P u s', gu = P s. */
struct grads { real *g, *P, *ga, *gu; };

static struct grads grads_of(const struct layers *l, const struct rows *k,
                             const struct inner_in *in, real **work)
{
    const int64_t rF = (int64_t)in->r * in->F, rM = HIDDEN * rF;
    struct grads n = { inner_take(work, rF), inner_take(work, rM), inner_take(work, rM),
                       inner_take(work, rM) };
    inner_out_grad(n.g, k->h, k->scale, in, NULL);
    inner_zero(n.P, rM);
    inner_back(n.P, &l->w[1], n.g, 1, &l->d[1], *work);
    for (int64_t i = 0; i < rM; i++) {
        n.ga[i] = n.P[i] * k->u[i] * k->s1[i];
        n.gu[i] = n.P[i] * k->s[i];
    }
    return n;
}

static void gradient(real *G, const real *state, const struct inner_in *in, real *work)
{
    const struct layers l = layers_at(state, in), to = layers_at(G, in);
    const struct rows k = rows_of(&l, in->X, in, &work);
    const struct grads n = grads_of(&l, &k, in, &work);

    inner_dense_add(&to.at[0], in->X, n.ga, &l.d[0], work);
    inner_dense_add(&to.at[1], k.p, n.g, &l.d[1], work);
    inner_dense_add(&to.at[2], in->X, n.gu, &l.d[2], work);
}

/* In the reverse order: G to ga, g, gu and their rows; ga, gu to P, a and u; P to g and W2; g to z;
 * z to p and W2; p to a and u; these to x. */
static void gradient_backward(struct inner_grad *o, real *dstate, const real *dG,
                              const real *state, const struct inner_in *in, real *work)
{
    const struct layers l = layers_at(state, in), to = layers_at(dstate, in);
    const struct layers D = layers_at(dG, in);
    const struct rows k = rows_of(&l, in->X, in, &work);
    const struct grads n = grads_of(&l, &k, in, &work);
    const int64_t rF = (int64_t)in->r * in->F, rM = HIDDEN * rF;
    real *dg = inner_take(&work, rF), *dz = inner_take(&work, rF), *dp = inner_take(&work, rM);
    real *dga = inner_take(&work, rM), *dgu = inner_take(&work, rM), *dP = inner_take(&work, rM);
    real *const da = dga, *const du = dgu;
    const struct inner_dense_terms terms[] = { { dga, o->dX, o->dlr }, { dg, dp, o->dlr + in->ld },
                                               { dgu, o->dX, o->dlr + 2 * in->ld } };

    inner_zero(dp, rM);
    inner_dense_add_backward(&terms[0], &D.w[0], in->X, n.ga, &l.d[0], work);
    inner_dense_add_backward(&terms[1], &D.w[1], k.p, n.g, &l.d[1], work);
    inner_dense_add_backward(&terms[2], &D.w[2], in->X, n.gu, &l.d[2], work);
    for (int64_t i = 0; i < rM; i++) {
        const real a = dga[i], u = dgu[i];
        dP[i] = a * k.u[i] * k.s1[i] + u * k.s[i];
        da[i] = a * n.P[i] * k.u[i] * k.s2[i] + u * n.P[i] * k.s1[i];
        du[i] = a * n.P[i] * k.s1[i];
    }
    inner_forth(dg, &l.w[1], dP, 1, &l.d[1], work);
    inner_outer(to.at[1].W, to.at[1].W, dP, n.g, in->r, &l.d[1], work);
    inner_out_grad_backward(o, dz, dg, n.g, k.h, k.scale, in);
    inner_affine_grads(dp, &to.at[1], dz, k.p, &l.w[1], &l.d[1], work);
    for (int64_t i = 0; i < rM; i++) {
        da[i] += dp[i] * k.u[i] * k.s1[i];
        du[i] += dp[i] * k.s[i];
    }
    inner_affine_grads(o->dX, &to.at[0], da, in->X, &l.w[0], &l.d[0], work);
    inner_affine_grads(o->dX, &to.at[2], du, in->X, &l.w[2], &l.d[2], work);
}

static double loss(const real *state, const struct inner_in *in, real *work)
{
    const struct layers l = layers_at(state, in);
    const struct rows k = rows_of(&l, in->X, in, &work);
    real *g = inner_take(&work, (int64_t)in->r * in->F);
    double sum = 0;
    inner_out_grad(g, k.h, k.scale, in, &sum);
    return sum;
}

static double flops(int K, int F) { (void)K; return 2.0 * 10 * HIDDEN * F * F; }

const struct inner_model inner_gated = {
    .name = "gated", .rates = 3, .part = part, .work_reals = work_reals, .output = output,
    .output_backward = output_backward, .gradient = gradient,
    .gradient_backward = gradient_backward, .loss = loss, .flops = flops,
};
