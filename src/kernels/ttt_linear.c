#include "src/kernels/ttt_linear.h"

#include <string.h>

#include "src/kernels/inner_dense.h"
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

/* What forward leaves for backward. */
struct saved {
    real *W;            /* (F,F), then b (F): state before the mini-batch */
    real *h1, *s1;      /* (r,F), (r) LN of Z                             */
    real *g;            /* (r,F)                                          */
    real *h2, *s2;      /* (r,F), (r) LN of Zb                            */
    real *P;            /* (r,r) Q X' + 1, whole                          */
    real *XT;           /* (F,r)                                          */
};

static int64_t saved_reals(int K, int F)
{
    return align_reals(state_reals(F)) + 4 * align_reals((int64_t)K * F) + 2 * align_reals(K) +
           align_reals((int64_t)K * K);
}

static struct saved saved_at(const real *block, int r, int F)
{
    real *p = (real *)(uintptr_t)block;
    const int64_t rF = (int64_t)r * F;
    struct saved s;
    s.W = inner_take(&p, state_reals(F));
    s.h1 = inner_take(&p, rF);
    s.g = inner_take(&p, rF);
    s.h2 = inner_take(&p, rF);
    s.XT = inner_take(&p, rF);
    s.s1 = inner_take(&p, r);
    s.s2 = inner_take(&p, r);
    s.P = inner_take(&p, (int64_t)r * r);
    return s;
}

static int64_t work_reals(int K, int F)
{
    return saved_reals(K, F) + 2 * align_reals((int64_t)K * F) + inner_dense_work(K, F, F);
}

static struct inner_dense dense_of(const struct inner_in *in)
{
    return (struct inner_dense){ in->r, in->F, in->F, !(in->without & WITHOUT_BIAS), in->tok,
                                 in->lr };
}

/* Z = X W + b and what follows from it: [E10], [E11]. */
static void gradient(const struct saved *s, const real *state, const struct inner_in *in, real *Z,
                     double *loss)
{
    const struct inner_dense d = dense_of(in);
    inner_affine(Z, state, state + (int64_t)in->F * in->F, in->X, &d);
    inner_out(s->h1, s->s1, Z, in);
    inner_out_grad(s->g, s->h1, s->s1, in, loss);
}

static void forward(real *O, real *state, real *igrad, const struct inner_in *in, int complete,
                    real *saved, real *work, double *loss)
{
    const struct inner_dense d = dense_of(in);
    const int r = in->r, F = in->F;
    const int64_t FF = (int64_t)F * F;
    const struct saved s = saved_at(saved ? saved : work, r, F);
    real *p = work + saved_reals(r, F), *Z = inner_take(&p, (int64_t)r * F);

    if (saved) memcpy(s.W, state, (size_t)state_reals(F) * sizeof *state);
    if (loss) *loss = 0;
    gradient(&s, state, in, Z, loss);
    smm_transpose(s.XT, in->X, r, F);
    inner_dense_forward(Z, s.P, state, state + FF, in->Q, s.XT, s.g, &d, p);
    inner_out(s.h2, s.s2, Z, in);
    inner_out_value(O, s.h2, in);

    if (!complete && !igrad) return;
    real *to = complete ? state : igrad;
    if (!complete) memset(igrad, 0, (size_t)state_reals(F) * sizeof *igrad);
    inner_dense_step(to, to + FF, s.XT, s.g, complete, &d, p);
}

static void backward(struct inner_grad *o, real *dstate, const real *dO,
                     const struct inner_in *in, int complete, const real *saved, real *work)
{
    const struct inner_dense d = dense_of(in);
    const int r = in->r, F = in->F;
    const int64_t rF = (int64_t)r * F;
    const struct saved s = saved_at(saved, r, F);
    real *p = work, *dZ = inner_take(&p, rF), *dg = inner_take(&p, rF);
    real *dW = dstate, *db = dstate + (int64_t)F * F;

    inner_out_value_backward(o, dZ, dO, s.h2, s.s2, in);
    inner_dense_backward(o, o->dQ, o->dX, dg, dW, db, dZ, s.P, s.W, in->Q, in->X, s.g, complete,
                         &d, p);
    inner_out_grad_backward(o, dZ, dg, s.g, s.h1, s.s1, in);
    inner_affine_backward(o->dX, dW, db, dZ, s.W, s.XT, &d, p);
}

static void step(real *O, real *state, real *igrad, const struct inner_in *in, int last,
                 real *work)
{
    const int F = in->F;
    const int64_t FF = (int64_t)F * F;
    const struct saved s = saved_at(work, 1, F);
    real *p = work + saved_reals(1, F), *z = inner_take(&p, F);
    const int bias = !(in->without & WITHOUT_BIAS);
    real *b = bias ? state + FF : NULL, *Gb = bias ? igrad + FF : NULL;

    gradient(&s, state, in, z, NULL);
    inner_dense_row_grad(igrad, Gb, in->X, s.g, in->lr[0], F, F);
    inner_dense_row(z, state, b, igrad, Gb, in->Q, in->tok[0], F, F, p);
    inner_out(s.h2, s.s2, z, in);
    inner_out_value(O, s.h2, in);
    if (!last) return;
    inner_step_by(state, igrad, in->tok[0], FF + F);
    memset(igrad, 0, (size_t)(FF + F) * sizeof *igrad);
}

static double loss_at(const real *state, const struct inner_in *in, real *work)
{
    const struct saved s = saved_at(work, in->r, in->F);
    double loss = 0;
    gradient(&s, state, in, work + saved_reals(in->r, in->F), &loss);
    return loss;
}

static double flops(int K, int F) { return 6.0 * F * F + 4.0 * K * F; }

const struct inner inner_linear = {
    .name = "linear", .learns_from_zero = 1, .part = part, .state_reals = state_reals, .saved_reals = saved_reals,
    .work_reals = work_reals, .forward = forward, .backward = backward, .step = step,
    .loss = loss_at, .flops = flops,
};
