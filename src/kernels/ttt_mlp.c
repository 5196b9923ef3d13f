/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/ttt_mlp.h"

#include <string.h>

#include "src/kernels/inner_dense.h"
#include "src/kernels/inner_gelu.h"
#include "src/kernels/inner_kept.h"
#include "src/kernels/inner_mlp.h"
#include "src/kernels/inner_out.h"
#include "src/kernels/inner_plain.h"
#include "src/kernels/smm.h"

#define HIDDEN INNER_MLP_HIDDEN

/* What replay leaves for backward.  Factors of dW1 and dW2 are stacked, so that each is one
 * product.  Backward fills in the rows in brackets, and dZ of layer two after dZ2b and g2:
 *
 *     dW1 += [Q; X]' [dZ1b; dZ1]       dW2 += [X2b; dA; X2]' [dZ2b; g2; dZ2]
 */
struct saved {
    real *x1;                          /* Q, X                          (2,r,F)   */
    real *x2, *z2;                     /* X2b, [dA], X2;  [dZ2b], g2, [dZ2]  (3,r,4F), (3,r,F) */
    real *g1, *f, *Adf;                /* g1, f(Z1), A f'(Z1) with A = g2 W2'   (r,4F) */
    real *d, *db;                      /* gelu' of Z1 and Z1b                   (r,4F) */
};

static int64_t lay_out(struct saved *s, real *p, int r, int F)
{
    const int64_t rM = (int64_t)r * HIDDEN * F, rF = (int64_t)r * F;
    int64_t used = 0;
    const struct { real **to; int64_t n; } arrays[] = {
        { &s->x1, 2 * rF }, { &s->x2, 3 * rM }, { &s->z2, 3 * rF }, { &s->g1, rM }, { &s->f, rM },
        { &s->Adf, rM }, { &s->d, rM }, { &s->db, rM },
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

static struct saved saved_at(real *block, int r, int F)
{
    struct saved s;
    lay_out(&s, block, r, F);
    return s;
}

static int64_t kept_reals(int K, int F) { return inner_kept_reals(K, F, 2); }

static int64_t work_reals(int K, int F)
{
    const int M = HIDDEN * F;
    return kept_reals(K, F) + saved_reals(K, F) + 6 * align_reals((int64_t)K * M) +
           4 * inner_weight_reals(F, M) + inner_dense_work(K, M, M);
}

/* The two layers, for these rows, and their weights. */
struct both { struct inner_dense one, two; };
struct weights { struct inner_weight one, two; };

static struct both both_of(const struct inner_in *in)
{
    const int F = in->F, M = HIDDEN * F;
    return (struct both){ inner_dense_of(in, F, M), inner_dense_of(in, M, F) };
}

static struct weights weights_of(const real *state, const struct both *d, int ways_one,
                                 int ways_two, real **p)
{
    const struct inner_mlp_parts s = inner_mlp_parts(state, d->one.I);
    struct weights w;
    w.one = inner_weight(s.W1, s.b1, ways_one, &d->one, p);
    w.two = inner_weight(s.W2, s.b2, ways_two, &d->two, p);
    return w;
}

/* --- the keys' side: [E16] -------------------------------------------------- */

struct keys { real *X2, *f, *A, *g1, *g2; };

/* X2, f and the norm of Z2. */
static void keys_forward(const struct keys *k, const struct inner_kept *n, const struct weights *w,
                         const struct inner_in *in, real *p)
{
    const struct both d = both_of(in);
    const int64_t rM = (int64_t)in->r * HIDDEN * in->F;
    real *Z = inner_take(&p, rM);

    inner_affine(Z, &w->one, in->X, &d.one, p);
    inner_gelu_slope(k->X2, k->f, Z, rM);
    inner_affine(Z, &w->two, k->X2, &d.two, p);
    inner_out(n->h1, n->s1, Z, in);
}

/* g2 and A = g2 W2'. */
static void keys_gradient(const struct keys *k, const struct inner_kept *n,
                          const struct weights *w, const struct inner_in *in, real *p,
                          double *loss)
{
    const struct both d = both_of(in);
    inner_out_grad(k->g2, n->h1, n->s1, in, loss);
    inner_back(k->A, &w->two, k->g2, 0, &d.two, p);
}

static void move(real *next, const struct weights *w, const struct keys *k,
                 const struct inner_in *in, real *p)
{
    const struct both d = both_of(in);
    const struct inner_mlp_parts to = inner_mlp_parts(next, in->F);
    inner_dense_step(to.W1, to.b1, &w->one, in->X, k->g1, &d.one, p);
    inner_dense_step(to.W2, to.b2, &w->two, k->X2, k->g2, &d.two, p);
}

/* --- a mini-batch ------------------------------------------------------------ */

static struct keys take_keys(real **p, const struct inner_in *in)
{
    const int64_t rF = (int64_t)in->r * in->F, rM = HIDDEN * rF;
    struct keys k;
    k.X2 = inner_take(p, rM);
    k.f = inner_take(p, rM);
    k.A = inner_take(p, rM);
    k.g1 = inner_take(p, rM);
    k.g2 = inner_take(p, rF);
    return k;
}

static void forward(const struct inner_result *to, const real *state, const struct inner_in *in,
                    real *work)
{
    const struct both d = both_of(in);
    const int r = in->r, F = in->F;
    const int64_t rM = (int64_t)r * HIDDEN * F;
    const struct inner_kept n = inner_kept_at(to->kept ? to->kept : work, r, F);
    real *p = work + kept_reals(r, F);
    const struct weights w = weights_of(state, &d, INNER_FORTH, INNER_FORTH + INNER_BACK, &p);
    const struct keys k = take_keys(&p, in);
    real *Z = inner_take(&p, rM), *X2b = inner_take(&p, rM);

    if (to->loss) *to->loss = 0;
    keys_forward(&k, &n, &w, in, p);
    keys_gradient(&k, &n, &w, in, p, to->loss);
    inner_times(k.g1, k.A, k.f, rM);
    inner_dense_overlap(inner_overlap(&n, 0), in->Q, in->X, &d.one, p);
    inner_dense_forward(Z, inner_overlap(&n, 0), &w.one, in->Q, k.g1, &d.one, p);
    inner_gelu(X2b, Z, rM);
    inner_dense_overlap(inner_overlap(&n, 1), X2b, k.X2, &d.two, p);
    inner_dense_forward(Z, inner_overlap(&n, 1), &w.two, X2b, k.g2, &d.two, p);
    inner_out(n.h2, n.s2, Z, in);
    inner_out_value(to->O, n.h2, in);

    if (to->next) move(to->next, &w, &k, in, p);
    if (!to->igrad) return;
    const struct inner_mlp_parts G = inner_mlp_parts(to->igrad, F);
    inner_dense_sum(G.W1, G.b1, in->X, k.g1, &d.one, p);
    inner_dense_sum(G.W2, G.b2, k.X2, k.g2, &d.two, p);
}

static void replay(const struct inner_tape *t, real *next, const struct inner_in *in, real *work)
{
    const struct both d = both_of(in);
    const int r = in->r, F = in->F, M = HIDDEN * F;
    const int64_t rF = (int64_t)r * F, rM = (int64_t)r * M;
    const struct inner_kept n = inner_kept_at(t->kept, r, F);
    const struct saved s = saved_at(t->saved, r, F);
    real *p = work, *Z = inner_take(&p, rM), *df = inner_take(&p, rM);
    const struct keys k = { .X2 = s.x2 + 2 * rM, .f = s.f, .A = inner_take(&p, rM), .g1 = s.g1,
                            .g2 = s.z2 + rF };
    const struct weights w = weights_of(t->state, &d, INNER_FORTH, INNER_BACK, &p);

    memcpy(s.x1, in->Q, (size_t)rF * sizeof *s.x1);
    memcpy(s.x1 + rF, in->X, (size_t)rF * sizeof *s.x1);
    inner_affine(Z, &w.one, in->X, &d.one, p);
    inner_gelu_slope_derivatives(k.X2, s.d, k.f, df, Z, rM);
    keys_gradient(&k, &n, &w, in, p, NULL);
    inner_times_both(k.g1, s.Adf, k.A, k.f, df, rM);
    inner_dense_forward(Z, inner_overlap(&n, 0), &w.one, in->Q, k.g1, &d.one, p);
    inner_gelu_derivative(s.x2, s.db, Z, rM);
    if (next) move(next, &w, &k, in, p);
}

/* In the reverse order of forward: the queries' side from the output down to Q, which gives the
 * gradients of g1 and g2 (through M1, M2 and the step); then the keys' side, of which g1 and g2 are
 * the last results: g1 = A f(Z1) and A = g2 W2', then g2 and what is below it. */
static void backward(struct inner_grad *o, real *dstate, const real *dO,
                     const struct inner_tape *t, const struct inner_in *in, real *work)
{
    const struct both d = both_of(in);
    const int r = in->r, F = in->F, M = HIDDEN * F;
    const int64_t rF = (int64_t)r * F, rM = (int64_t)r * M;
    const struct inner_kept n = inner_kept_at(t->kept, r, F);
    const struct saved s = saved_at(t->saved, r, F);
    const struct inner_mlp_parts ds = inner_mlp_parts(dstate, F);
    real *const X2b = s.x2, *const dA = s.x2 + rM, *const X2 = s.x2 + 2 * rM;
    real *const dZ2b = s.z2, *const g2 = s.z2 + rF, *const dZ2 = s.z2 + 2 * rF;
    real *p = work, *dX2b = inner_take(&p, rM), *dX2 = inner_take(&p, rM);
    real *z1 = inner_take(&p, 2 * rM), *const dZ1b = z1, *const dZ1 = z1 + rM;
    real *dg1 = inner_take(&p, rM), *dg2 = inner_take(&p, rF);
    const int ways = INNER_FORTH + INNER_BACK;
    const struct weights w = weights_of(t->state, &d, INNER_BACK, ways, &p);
    const struct weights dw = weights_of(dstate, &d, ways, ways, &p);
    const struct inner_dense_backward two = {
        .w = &w.two, .dw = &dw.two, .q = X2b, .x = X2, .g = g2, .P = inner_overlap(&n, 1),
        .dy = dZ2b, .dq = dX2b, .dx = dX2, .dg = dg2, .dlr = o->dlr, .dtok = o->dtok,
        .complete = in->complete, .fresh = 1,
    }, one = {
        .w = &w.one, .dw = &dw.one, .q = in->Q, .x = in->X, .g = s.g1, .P = inner_overlap(&n, 0),
        .dy = dZ1b, .dq = o->dQ, .dx = o->dX, .dg = dg1, .dlr = o->dlr, .dtok = o->dtok,
        .complete = in->complete,
    };

    /* Queries' side, from the output down. */
    inner_out_value_backward(o, dZ2b, dO, n.h2, n.s2, in);
    inner_dense_backward(&two, &d.two, p);
    inner_times(dZ1b, dX2b, s.db, rM);
    inner_dense_backward(&one, &d.one, p);

    /* g1 = A f(Z1), A = g2 W2' */
    inner_times_both(dA, dZ1, dg1, s.f, s.Adf, rM);
    inner_forth(dg2, &w.two, dA, 1, &d.two, p);

    /* g2 and the keys' side. */
    inner_out_grad_backward(o, dZ2, dg2, g2, n.h1, n.s1, in);
    inner_back(dX2, &w.two, dZ2, 1, &d.two, p);
    inner_add_times(dZ1, dX2, s.d, rM);
    inner_back(o->dX, &w.one, dZ1, 1, &d.one, p);

    inner_outer(ds.W2, ds.W2, s.x2, s.z2, 3 * r, &d.two, p);
    inner_outer(ds.W1, ds.W1, s.x1, z1, 2 * r, &d.one, p);
    inner_bias_backward(ds.b2, dZ2b, &d.two);
    inner_bias_backward(ds.b2, dZ2, &d.two);
    inner_bias_backward(ds.b1, dZ1b, &d.one);
    inner_bias_backward(ds.b1, dZ1, &d.one);
}

/* --- one token -------------------------------------------------------------- */

static void token(real *O, real *state, real *igrad, const struct inner_in *in, real *work)
{
    struct inner_in one = *in;
    one.bf16 = 0;
    const int F = in->F, M = HIDDEN * F;
    const struct both d = both_of(&one);
    const struct inner_kept n = inner_kept_at(work, 1, F);
    struct inner_mlp_parts w = inner_mlp_parts(state, F), G = inner_mlp_parts(igrad, F);
    real *p = work + kept_reals(1, F);
    const struct weights both = weights_of(state, &d, 0, 0, &p);
    const struct keys k = take_keys(&p, in);
    real *z = inner_take(&p, M), *X2b = inner_take(&p, M);
    const int64_t S = inner_model_reals(&inner_mlp, F);

    if (in->without & WITHOUT_BIAS) w.b1 = w.b2 = G.b1 = G.b2 = NULL;
    const struct inner_dense_moved m1 = { w.W1, w.b1, G.W1, G.b1, in->tok[0], F, M };
    const struct inner_dense_moved m2 = { w.W2, w.b2, G.W2, G.b2, in->tok[0], M, F };
    keys_forward(&k, &n, &both, &one, p);
    keys_gradient(&k, &n, &both, &one, p, NULL);
    inner_times(k.g1, k.A, k.f, M);
    inner_dense_row_grad(G.W1, G.b1, in->X, k.g1, in->lr[0], F, M);
    inner_dense_row_grad(G.W2, G.b2, k.X2, k.g2, in->lr[0], M, F);
    inner_dense_row(z, in->Q, &m1, p);
    inner_gelu(X2b, z, M);
    inner_dense_row(z, X2b, &m2, p);
    inner_out(n.h2, n.s2, z, in);
    inner_out_value(O, n.h2, in);
    if (!in->complete) return;
    inner_step_by(state, igrad, in->tok[0], S);
    memset(igrad, 0, (size_t)S * sizeof *igrad);
}

static const struct inner_fused dual = {
    .kept_reals = kept_reals, .saved_reals = saved_reals, .work_reals = work_reals,
    .forward = forward, .replay = replay, .backward = backward, .token = token,
};

const struct inner ttt_mlp = { .name = "mlp", .model = &inner_mlp, .step = &inner_plain,
                               .fused = &dual };
