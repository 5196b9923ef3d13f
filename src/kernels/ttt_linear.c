/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/ttt_linear.h"

#include <string.h>

#include "src/kernels/inner_kept.h"
#include "src/kernels/inner_linear.h"
#include "src/kernels/inner_out.h"
#include "src/kernels/inner_plain.h"
#include "src/kernels/smm.h"

/* What replay leaves for backward.  The factors of dW are stacked. */
struct saved {
    real *x;   /* (2,r,F) Q, X                    */
    real *g;   /* (r,F)                           */
};

static int64_t saved_reals(int K, int F)
{
    return align_reals(2 * (int64_t)K * F) + align_reals((int64_t)K * F);
}

static struct saved saved_at(real *p, int r, int F)
{
    const int64_t rF = (int64_t)r * F;
    struct saved s;
    s.x = inner_take(&p, 2 * rF);
    s.g = inner_take(&p, rF);
    return s;
}

static int64_t kept_reals(int K, int F) { return inner_kept_reals(K, F, 1); }

static int64_t work_reals(int K, int F)
{
    return kept_reals(K, F) + saved_reals(K, F) + 4 * align_reals((int64_t)K * F) +
           2 * inner_weight_reals(F, F) + inner_dense_work(K, F, F);
}

static struct inner_dense dense_of(const struct inner_in *in)
{
    return inner_dense_of(in, in->F, in->F);
}

static struct inner_weight weight(const real *state, int ways, const struct inner_dense *d,
                                  real **p)
{
    return inner_weight(state, state + (int64_t)d->I * d->O, ways, d, p);
}

/* Z = X W + b and its norm: [E10]. */
static void keys_forward(const struct inner_kept *n, const struct inner_weight *w,
                         const struct inner_in *in, real *Z, real *p)
{
    const struct inner_dense d = dense_of(in);
    inner_affine(Z, w, in->X, &d, p);
    inner_out(n->h1, n->s1, Z, in);
}

static void forward(const struct inner_result *to, const real *state, const struct inner_in *in,
                    real *work)
{
    const struct inner_dense d = dense_of(in);
    const int r = in->r, F = in->F;
    const int64_t FF = (int64_t)F * F, rF = (int64_t)r * F;
    const struct inner_kept n = inner_kept_at(to->kept ? to->kept : work, r, F);
    real *p = work + kept_reals(r, F), *Z = inner_take(&p, rF), *g = inner_take(&p, rF);
    const struct inner_weight w = weight(state, INNER_FORTH, &d, &p);

    if (to->loss) *to->loss = 0;
    keys_forward(&n, &w, in, Z, p);
    inner_out_grad(g, n.h1, n.s1, in, to->loss);                                  /* [E11] */
    inner_dense_overlap(inner_overlap(&n, 0), in->Q, in->X, &d, p);
    inner_dense_forward(Z, inner_overlap(&n, 0), &w, in->Q, g, &d, p);
    inner_out(n.h2, n.s2, Z, in);
    inner_out_value(to->O, n.h2, in);
    if (to->next) inner_dense_step(to->next, to->next + FF, &w, in->X, g, &d, p);
    if (to->igrad) inner_dense_sum(to->igrad, to->igrad + FF, in->X, g, &d, p);
}

static void replay(const struct inner_tape *t, real *next, const struct inner_in *in, real *work)
{
    const struct inner_dense d = dense_of(in);
    const int r = in->r, F = in->F;
    const int64_t FF = (int64_t)F * F, rF = (int64_t)r * F;
    const struct inner_kept n = inner_kept_at(t->kept, r, F);
    const struct saved s = saved_at(t->saved, r, F);
    const struct inner_weight w = { .W = t->state, .b = t->state + FF };

    memcpy(s.x, in->Q, (size_t)rF * sizeof *s.x);
    memcpy(s.x + rF, in->X, (size_t)rF * sizeof *s.x);
    inner_out_grad(s.g, n.h1, n.s1, in, NULL);
    if (next) inner_dense_step(next, next + FF, &w, in->X, s.g, &d, work);
}

/* From the output down to the queries and, through M, to the inner gradients g; from these through
 * the inner loss to the keys.  Both sides meet in W: dW += [Q; X]' [dZb; dZ], one product. */
static void backward(struct inner_grad *o, real *dstate, const real *dO,
                     const struct inner_tape *t, const struct inner_in *in, real *work)
{
    const struct inner_dense d = dense_of(in);
    const int r = in->r, F = in->F;
    const int64_t rF = (int64_t)r * F;
    const struct inner_kept n = inner_kept_at(t->kept, r, F);
    const struct saved s = saved_at(t->saved, r, F);
    real *p = work, *z = inner_take(&p, 2 * rF), *const dZb = z, *const dZ = z + rF;
    real *dg = inner_take(&p, rF), *db = dstate + (int64_t)F * F;
    const struct inner_weight w = weight(t->state, INNER_BACK, &d, &p);
    const struct inner_weight dw = weight(dstate, INNER_FORTH + INNER_BACK, &d, &p);
    const struct inner_dense_backward layer = {
        .w = &w, .dw = &dw, .q = in->Q, .x = in->X, .g = s.g, .P = inner_overlap(&n, 0),
        .dy = dZb, .dq = o->dQ, .dx = o->dX, .dg = dg, .dlr = o->dlr, .dtok = o->dtok,
        .complete = in->complete,
    };

    inner_out_value_backward(o, dZb, dO, n.h2, n.s2, in);
    inner_dense_backward(&layer, &d, p);
    inner_out_grad_backward(o, dZ, dg, s.g, n.h1, n.s1, in);
    inner_back(o->dX, &w, dZ, 1, &d, p);
    inner_outer(dstate, dstate, s.x, z, 2 * r, &d, p);
    inner_bias_backward(db, dZb, &d);
    inner_bias_backward(db, dZ, &d);
}

static void token(real *O, real *state, real *igrad, const struct inner_in *in, real *work)
{
    struct inner_in one = *in;
    const int F = in->F;
    const int64_t FF = (int64_t)F * F;
    const struct inner_kept n = inner_kept_at(work, 1, F);
    real *p = work + kept_reals(1, F), *z = inner_take(&p, F), *g = inner_take(&p, F);
    const int bias = !(in->without & WITHOUT_BIAS);
    real *b = bias ? state + FF : NULL, *Gb = bias ? igrad + FF : NULL;
    const struct inner_dense_moved m = { state, b, igrad, Gb, in->tok[0], F, F };

    const struct inner_weight w = { .W = state, .b = state + FF };
    one.bf16 = 0;
    keys_forward(&n, &w, &one, z, p);
    inner_out_grad(g, n.h1, n.s1, in, NULL);
    inner_dense_row_grad(igrad, Gb, in->X, g, in->lr[0], F, F);
    inner_dense_row(z, in->Q, &m, p);
    inner_out(n.h2, n.s2, z, in);
    inner_out_value(O, n.h2, in);
    if (!in->complete) return;
    inner_step_by(state, igrad, in->tok[0], FF + F);
    memset(igrad, 0, (size_t)(FF + F) * sizeof *igrad);
}

static const struct inner_fused dual = {
    .kept_reals = kept_reals, .saved_reals = saved_reals, .work_reals = work_reals,
    .forward = forward, .replay = replay, .backward = backward, .token = token,
};

const struct inner ttt_linear = { .name = "linear", .model = &inner_linear, .step = &inner_plain,
                                  .fused = &dual };
