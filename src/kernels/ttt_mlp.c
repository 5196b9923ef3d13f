#include "src/kernels/ttt_mlp.h"

#include <string.h>

#include "src/kernels/inner_dense.h"
#include "src/kernels/inner_gelu.h"
#include "src/kernels/inner_out.h"
#include "src/kernels/smm.h"

#define HIDDEN 4  /* hidden width in head widths */

static int part(int i, int F, const char **name, int *rows, int *cols)
{
    static const char *const names[] = { "W1", "b1", "W2", "b2" };
    if (i > 3) return 0;
    *name = names[i];
    *rows = i == 0 ? F : i == 2 ? HIDDEN * F : 1;
    *cols = i < 2 ? HIDDEN * F : F;
    return 1;
}

/* The state's parts. */
struct state { real *W1, *b1, *W2, *b2; };

static struct state state_at(const real *block, int F)
{
    real *p = (real *)(uintptr_t)block;
    const int64_t M = (int64_t)HIDDEN * F;
    return (struct state){ p, p + F * M, p + F * M + M, p + 2 * F * M + M };
}

static int64_t state_reals(int F) { return 2 * (int64_t)HIDDEN * F * F + HIDDEN * F + F; }

/* What forward leaves for backward: the state before; of keys Z1, X2, g1, A = g2 W2' and LN of Z2; of
 * queries Z1b, X2b and LN of Z2b; the two P; transposes of the keys' sides. */
struct saved {
    real *state, *Z1, *X2, *g1, *A, *Z1b, *X2b, *X2T;  /* (S), then (r,4F) each */
    real *h1, *g2, *h2, *XT;                            /* (r,F) each            */
    real *s1, *s2, *P1, *P2;                            /* (r), (r,r)            */
};

static int64_t lay_out(struct saved *s, real *p, int r, int F)
{
    const int64_t rM = (int64_t)r * HIDDEN * F, rF = (int64_t)r * F;
    int64_t used = 0;
    const struct { real **to; int64_t n; } arrays[] = {
        { &s->state, state_reals(F) }, { &s->Z1, rM }, { &s->X2, rM }, { &s->g1, rM },
        { &s->A, rM }, { &s->Z1b, rM }, { &s->X2b, rM }, { &s->X2T, rM }, { &s->h1, rF },
        { &s->g2, rF }, { &s->h2, rF }, { &s->XT, rF }, { &s->s1, r }, { &s->s2, r },
        { &s->P1, (int64_t)r * r }, { &s->P2, (int64_t)r * r },
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i].to = p ? p + used : NULL;
        used += align_reals(arrays[i].n);
    }
    return used;
}

static int64_t saved_reals(int K, int F)
{
    struct saved s;
    return lay_out(&s, NULL, K, F);
}

static struct saved saved_at(const real *block, int r, int F)
{
    struct saved s;
    lay_out(&s, (real *)(uintptr_t)block, r, F);
    return s;
}

static int64_t work_reals(int K, int F)
{
    return saved_reals(K, F) + 6 * align_reals((int64_t)K * HIDDEN * F) +
           inner_dense_work(K, HIDDEN * F, HIDDEN * F);
}

/* The two layers, for these rows. */
struct both { struct inner_dense one, two; };

static struct both both_of(const struct inner_in *in)
{
    const int F = in->F, M = HIDDEN * F, bias = !(in->without & WITHOUT_BIAS);
    return (struct both){ { in->r, F, M, bias, in->tok, in->lr },
                          { in->r, M, F, bias, in->tok, in->lr } };
}

/* Keys' side: [E16]. */
static void gradient(const struct saved *s, const real *state, const struct inner_in *in, real *p,
                     double *loss)
{
    const struct both d = both_of(in);
    const struct state w = state_at(state, in->F);
    const int r = in->r, F = in->F, M = HIDDEN * F;
    const int64_t rM = (int64_t)r * M;
    real *Z2 = inner_take(&p, (int64_t)r * F), *g2T = inner_take(&p, (int64_t)r * F);
    real *AT = inner_take(&p, rM);

    inner_affine(s->Z1, w.W1, w.b1, in->X, &d.one);
    inner_gelu(s->X2, s->Z1, rM);
    inner_affine(Z2, w.W2, w.b2, s->X2, &d.two);
    inner_out(s->h1, s->s1, Z2, in);
    inner_out_grad(s->g2, s->h1, s->s1, in, loss);
    smm_transpose(g2T, s->g2, r, F);
    smm(AT, w.W2, g2T, M, r, F, 0);
    smm_transpose(s->A, AT, M, r);
    memcpy(s->g1, s->A, (size_t)rM * sizeof *s->g1);
    inner_gelu_slope(s->g1, s->Z1, rM);
}

static void forward(real *O, real *state, real *igrad, const struct inner_in *in, int complete,
                    real *saved, real *work, double *loss)
{
    const struct both d = both_of(in);
    const int r = in->r, F = in->F, M = HIDDEN * F;
    const struct saved s = saved_at(saved ? saved : work, r, F);
    const struct state w = state_at(state, F);
    real *p = work + saved_reals(r, F), *Z2 = inner_take(&p, (int64_t)r * F);

    if (saved) memcpy(s.state, state, (size_t)state_reals(F) * sizeof *state);
    if (loss) *loss = 0;
    gradient(&s, state, in, p, loss);
    smm_transpose(s.XT, in->X, r, F);
    smm_transpose(s.X2T, s.X2, r, M);
    inner_dense_forward(s.Z1b, s.P1, w.W1, w.b1, in->Q, s.XT, s.g1, &d.one, p);
    inner_gelu(s.X2b, s.Z1b, (int64_t)r * M);
    inner_dense_forward(Z2, s.P2, w.W2, w.b2, s.X2b, s.X2T, s.g2, &d.two, p);
    inner_out(s.h2, s.s2, Z2, in);
    inner_out_value(O, s.h2, in);

    if (!complete && !igrad) return;
    const struct state to = state_at(complete ? state : igrad, F);
    if (!complete) memset(igrad, 0, (size_t)state_reals(F) * sizeof *igrad);
    inner_dense_step(to.W1, to.b1, s.XT, s.g1, complete, &d.one, p);
    inner_dense_step(to.W2, to.b2, s.X2T, s.g2, complete, &d.two, p);
}

static void backward(struct inner_grad *o, real *dstate, const real *dO,
                     const struct inner_in *in, int complete, const real *saved, real *work)
{
    const struct both d = both_of(in);
    const int r = in->r, F = in->F, M = HIDDEN * F;
    const int64_t rF = (int64_t)r * F, rM = (int64_t)r * M;
    const struct saved s = saved_at(saved, r, F);
    const struct state w = state_at(s.state, F), dw = state_at(dstate, F);
    real *p = work, *dZ2 = inner_take(&p, rF), *dg2 = inner_take(&p, rF);
    real *dX2b = inner_take(&p, rM), *dX2 = inner_take(&p, rM), *dZ = inner_take(&p, rM);
    real *dg1 = inner_take(&p, rM), *dA = inner_take(&p, rM);

    /* Queries' side, from the output down. */
    memset(dX2b, 0, (size_t)rM * sizeof *dX2b);
    memset(dX2, 0, (size_t)rM * sizeof *dX2);
    inner_out_value_backward(o, dZ2, dO, s.h2, s.s2, in);
    inner_dense_backward(o, dX2b, dX2, dg2, dw.W2, dw.b2, dZ2, s.P2, w.W2, s.X2b, s.X2, s.g2,
                         complete, &d.two, p);
    memset(dZ, 0, (size_t)rM * sizeof *dZ);
    inner_gelu_backward(dZ, dX2b, s.Z1b, rM);
    inner_dense_backward(o, o->dQ, o->dX, dg1, dw.W1, dw.b1, dZ, s.P1, w.W1, in->Q, in->X, s.g1,
                         complete, &d.one, p);

    /* g1 = A f(Z1), A = g2 W2' */
    memset(dZ, 0, (size_t)rM * sizeof *dZ);
    inner_gelu_slope_backward(dA, dZ, dg1, s.A, s.Z1, rM);
    smm(dg2, dA, w.W2, r, F, M, 1);
    smm_transpose(dX2b, dA, r, M);
    smm(dw.W2, dX2b, s.g2, M, F, r, 1);

    /* g2 and the keys' side. */
    inner_out_grad_backward(o, dZ2, dg2, s.g2, s.h1, s.s1, in);
    inner_affine_backward(dX2, dw.W2, dw.b2, dZ2, w.W2, s.X2T, &d.two, p);
    inner_gelu_backward(dZ, dX2, s.Z1, rM);
    inner_affine_backward(o->dX, dw.W1, dw.b1, dZ, w.W1, s.XT, &d.one, p);
}

static void step(real *O, real *state, real *igrad, const struct inner_in *in, int last,
                 real *work)
{
    const int F = in->F, M = HIDDEN * F;
    const struct saved s = saved_at(work, 1, F);
    struct state w = state_at(state, F), G = state_at(igrad, F);
    real *p = work + saved_reals(1, F), *z = inner_take(&p, F);

    if (in->without & WITHOUT_BIAS) w.b1 = w.b2 = G.b1 = G.b2 = NULL;
    gradient(&s, state, in, p, NULL);
    inner_dense_row_grad(G.W1, G.b1, in->X, s.g1, in->lr[0], F, M);
    inner_dense_row_grad(G.W2, G.b2, s.X2, s.g2, in->lr[0], M, F);
    inner_dense_row(s.Z1b, w.W1, w.b1, G.W1, G.b1, in->Q, in->tok[0], F, M, p);
    inner_gelu(s.X2b, s.Z1b, M);
    inner_dense_row(z, w.W2, w.b2, G.W2, G.b2, s.X2b, in->tok[0], M, F, p);
    inner_out(s.h2, s.s2, z, in);
    inner_out_value(O, s.h2, in);
    if (!last) return;
    inner_step_by(state, igrad, in->tok[0], state_reals(F));
    memset(igrad, 0, (size_t)state_reals(F) * sizeof *igrad);
}

static double loss_at(const real *state, const struct inner_in *in, real *work)
{
    const struct saved s = saved_at(work, in->r, in->F);
    double loss = 0;
    gradient(&s, state, in, work + saved_reals(in->r, in->F), &loss);
    return loss;
}

/* Z1, Z2, g2 W2', Q W1, X2b W2, two steps: 7 products of 2 F 4F; P and M g of both layers. */
static double flops(int K, int F)
{
    return 14.0 * HIDDEN * F * F + 4.0 * K * (F + HIDDEN * F);
}

const struct inner inner_mlp = {
    .name = "mlp", .part = part, .state_reals = state_reals, .saved_reals = saved_reals,
    .work_reals = work_reals, .forward = forward, .backward = backward, .step = step,
    .loss = loss_at, .flops = flops,
};
