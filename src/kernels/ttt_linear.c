#include "src/kernels/ttt_linear.h"

#include <string.h>

#include "src/kernels/inner_kept.h"
#include "src/kernels/inner_out.h"
#include "src/kernels/smm.h"

static int part(int i, int F, const char **name, int *rows, int *cols)
{
    if (i > 1) return 0;
    *name = i == 0 ? "W1" : "b1";
    *rows = i == 0 ? F : 1;
    *cols = F;
    return 1;
}

static int64_t state_reals(int F) { return (int64_t)F * F + F; }

/* What replay leaves for backward.  The factors of dW are stacked: dW += [Q; X]' [dZb; dZ]. */
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

static void forward(real *O, real *next, real *igrad, const real *state, const struct inner_in *in,
                    real *kept, real *work, double *loss)
{
    const struct inner_dense d = dense_of(in);
    const int r = in->r, F = in->F;
    const int64_t FF = (int64_t)F * F, rF = (int64_t)r * F;
    const struct inner_kept n = inner_kept_at(kept ? kept : work, r, F, 1);
    real *p = work + kept_reals(r, F), *Z = inner_take(&p, rF), *g = inner_take(&p, rF);
    const struct inner_weight w = weight(state, INNER_FORTH, &d, &p);

    if (loss) *loss = 0;
    keys_forward(&n, &w, in, Z, p);
    inner_out_grad(g, n.h1, n.s1, in, loss);                                      /* [E11] */
    inner_dense_overlap(n.P[0], in->Q, in->X, &d, p);
    inner_dense_forward(Z, n.P[0], &w, in->Q, g, &d, p);
    inner_out(n.h2, n.s2, Z, in);
    inner_out_value(O, n.h2, in);
    if (next) inner_dense_step(next, next + FF, &w, in->X, g, &d, p);
    if (igrad) inner_dense_sum(igrad, igrad + FF, in->X, g, &d, p);
}

static void replay(real *saved, real *next, const real *state, const real *kept,
                   const struct inner_in *in, real *work)
{
    const struct inner_dense d = dense_of(in);
    const int r = in->r, F = in->F;
    const int64_t FF = (int64_t)F * F, rF = (int64_t)r * F;
    const struct inner_kept n = inner_kept_at(kept, r, F, 1);
    const struct saved s = saved_at(saved, r, F);
    const struct inner_weight w = { .W = state, .b = state + FF };

    memcpy(s.x, in->Q, (size_t)rF * sizeof *s.x);
    memcpy(s.x + rF, in->X, (size_t)rF * sizeof *s.x);
    inner_out_grad(s.g, n.h1, n.s1, in, NULL);
    if (next) inner_dense_step(next, next + FF, &w, in->X, s.g, &d, work);
}

static void backward(struct inner_grad *o, real *dstate, const real *dO, real *saved,
                     const real *state, const real *kept, const struct inner_in *in, int complete,
                     real *work)
{
    const struct inner_dense d = dense_of(in);
    const int r = in->r, F = in->F;
    const int64_t rF = (int64_t)r * F;
    const struct inner_kept n = inner_kept_at(kept, r, F, 1);
    const struct saved s = saved_at(saved, r, F);
    real *p = work, *z = inner_take(&p, 2 * rF), *const dZb = z, *const dZ = z + rF;
    real *dg = inner_take(&p, rF), *db = dstate + (int64_t)F * F;
    const struct inner_weight w = weight(state, INNER_BACK, &d, &p);
    const struct inner_weight dw = weight(dstate, INNER_FORTH + INNER_BACK, &d, &p);

    inner_out_value_backward(o, dZb, dO, n.h2, n.s2, in);
    inner_dense_backward(o, o->dQ, o->dX, dg, &dw, dZb, n.P[0], &w, in->Q, in->X, s.g, complete, 0,
                         &d, p);
    inner_out_grad_backward(o, dZ, dg, s.g, n.h1, n.s1, in);
    inner_affine_backward(o->dX, dZ, &w, &d, p);
    inner_outer(dstate, dstate, s.x, z, 2 * r, &d, p);
    inner_bias_backward(db, dZb, &d);
    inner_bias_backward(db, dZ, &d);
}

static void step(real *O, real *state, real *igrad, const struct inner_in *in, int last,
                 real *work)
{
    struct inner_in one = *in;
    const int F = in->F;
    const int64_t FF = (int64_t)F * F;
    const struct inner_kept n = inner_kept_at(work, 1, F, 1);
    real *p = work + kept_reals(1, F), *z = inner_take(&p, F), *g = inner_take(&p, F);
    const int bias = !(in->without & WITHOUT_BIAS);
    real *b = bias ? state + FF : NULL, *Gb = bias ? igrad + FF : NULL;

    const struct inner_weight w = { .W = state, .b = state + FF };
    one.bf16 = 0;
    keys_forward(&n, &w, &one, z, p);
    inner_out_grad(g, n.h1, n.s1, in, NULL);
    inner_dense_row_grad(igrad, Gb, in->X, g, in->lr[0], F, F);
    inner_dense_row(z, state, b, igrad, Gb, in->Q, in->tok[0], F, F, p);
    inner_out(n.h2, n.s2, z, in);
    inner_out_value(O, n.h2, in);
    if (!last) return;
    inner_step_by(state, igrad, in->tok[0], FF + F);
    memset(igrad, 0, (size_t)(FF + F) * sizeof *igrad);
}

static double loss_at(const real *state, const struct inner_in *in, real *work)
{
    const struct inner_kept n = inner_kept_at(work, in->r, in->F, 1);
    const struct inner_dense d = dense_of(in);
    real *p = work + kept_reals(in->r, in->F), *Z = inner_take(&p, (int64_t)in->r * in->F);
    const struct inner_weight w = weight(state, INNER_FORTH, &d, &p);
    double loss = 0;

    keys_forward(&n, &w, in, Z, p);
    inner_out_grad(Z, n.h1, n.s1, in, &loss);
    return loss;
}

static double flops(int K, int F) { return 6.0 * F * F + 4.0 * K * F; }

const struct inner inner_linear = {
    .name = "linear", .learns_from_zero = 1, .part = part, .state_reals = state_reals,
    .kept_reals = kept_reals, .saved_reals = saved_reals, .work_reals = work_reals,
    .forward = forward, .replay = replay, .backward = backward, .step = step, .loss = loss_at,
    .flops = flops,
};
