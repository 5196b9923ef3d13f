#include "src/kernels/ttt_linear.h"

#include <string.h>

#include "src/kernels/inner_ln.h"
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
    real *W, *b;        /* (F,F), (F) state before the mini-batch */
    real *h1, *s1;      /* (r,F), (r) LN of Z                     */
    real *g;            /* (r,F)                                  */
    real *h2, *s2;      /* (r,F), (r) LN of Zb                    */
    real *P;            /* (r,r) Q X' + 1, whole                  */
    real *XT;           /* (F,r)                                  */
};

static int64_t saved_reals(int K, int F)
{
    return align_reals(state_reals(F)) + 4 * align_reals((int64_t)K * F) + 2 * align_reals(K) +
           align_reals((int64_t)K * K);
}

static real *take(real **p, int64_t n)
{
    real *at = *p;
    *p += align_reals(n);
    return at;
}

static struct saved saved_at(const real *block, int r, int F)
{
    real *p = (real *)(uintptr_t)block;
    struct saved s;
    s.W = take(&p, state_reals(F));
    s.b = s.W + (int64_t)F * F;
    s.h1 = take(&p, (int64_t)r * F);
    s.g = take(&p, (int64_t)r * F);
    s.h2 = take(&p, (int64_t)r * F);
    s.XT = take(&p, (int64_t)r * F);
    s.s1 = take(&p, r);
    s.s2 = take(&p, r);
    s.P = take(&p, (int64_t)r * r);
    return s;
}

static int64_t work_reals(int K, int F)
{
    return saved_reals(K, F) + 10 * align_reals((int64_t)K * F) + 4 * align_reals((int64_t)K * K) +
           2 * align_reals(F) + align_reals(K);
}

CLONES
static void add_row(real *y, const real *b, int r, int F)
{
    for (int n = 0; n < r; n++)
        for (int i = 0; i < F; i++) y[n * F + i] += b[i];
}

/* M_ij = tok_i lr_j P_ij for j <= i, else 0, with a sign. */
CLONES
static void mix(real *M, const real *P, const real *tok, const real *lr, int r, real sign)
{
    for (int i = 0; i < r; i++)
        for (int j = 0; j < r; j++)
            M[i * r + j] = j <= i ? sign * tok[i] * lr[j] * P[i * r + j] : 0;
}

/* y (F) += c_j x_j summed over rows j. */
CLONES
static void add_rows(real *y, const real *x, const real *c, int r, int F)
{
    for (int j = 0; j < r; j++)
        for (int i = 0; i < F; i++) y[i] += c[j] * x[j * F + i];
}

/* B_fj = c_j A_fj. */
CLONES
static void scale_columns(real *B, const real *A, const real *c, int F, int r)
{
    for (int f = 0; f < F; f++)
        for (int j = 0; j < r; j++) B[f * r + j] = c[j] * A[f * r + j];
}

/* Z = X W + b and what follows from it: [E10], [E11]. */
static void inner_gradient(const struct saved *s, const real *W, const real *b,
                           const struct inner_in *in, real *Z, double *loss)
{
    const int r = in->r, F = in->F;
    smm(Z, in->X, W, r, F, F, 0);
    add_row(Z, b, r, F);
    inner_ln(s->h1, s->s1, Z, r, F, in->eps);
    inner_ln_grad(s->g, s->h1, s->s1, in->V, in->X, in->gamma, in->beta, r, F, loss);
}

CLONES
static void output(real *O, const real *Q, const real *h, const real *gamma, const real *beta,
                   int r, int F)
{
    for (int n = 0; n < r; n++)
        for (int i = 0; i < F; i++)
            O[n * F + i] = Q[n * F + i] + (gamma[i] * h[n * F + i] + beta[i]);
}

static void forward(real *O, real *state, real *igrad, const struct inner_in *in, int complete,
                    real *saved, real *work, double *loss)
{
    const int r = in->r, F = in->F;
    const int64_t FF = (int64_t)F * F;
    real *W = state, *b = state + FF;
    struct saved s = saved_at(saved ? saved : work, r, F);
    real *p = work + saved_reals(r, F);
    real *Z = take(&p, (int64_t)r * F), *M = take(&p, (int64_t)r * r);
    real *u = take(&p, r), *XTu = take(&p, (int64_t)r * F);

    if (saved) memcpy(s.W, state, (size_t)(FF + F) * sizeof *state);
    if (loss) *loss = 0;
    inner_gradient(&s, W, b, in, Z, loss);

    smm_transpose(s.XT, in->X, r, F);
    smm(s.P, in->Q, s.XT, r, r, F, 0);
    for (int i = 0; i < r * r; i++) s.P[i] += 1;
    mix(M, s.P, in->tok, in->lr, r, -1);
    smm(Z, in->Q, W, r, F, F, 0);
    smm(Z, M, s.g, r, F, r, 1);
    add_row(Z, b, r, F);                                               /* [E13] */
    inner_ln(s.h2, s.s2, Z, r, F, in->eps);
    output(O, in->Q, s.h2, in->gamma, in->beta, r, F);                 /* [E14] */

    if (!complete && !igrad) return;
    for (int j = 0; j < r; j++) u[j] = complete ? -in->tok[r - 1] * in->lr[j] : in->lr[j];
    scale_columns(XTu, s.XT, u, F, r);
    real *to = complete ? state : igrad;
    if (!complete) memset(igrad, 0, (size_t)(FF + F) * sizeof *igrad);
    smm(to, XTu, s.g, F, F, r, 1);                                     /* [E15] */
    add_rows(to + FF, s.g, u, r, F);
}

/* out_j = sum_f x_jf y_jf over rows. */
CLONES
static void row_dots(real *out, const real *x, const real *y, int r, int F)
{
    for (int j = 0; j < r; j++) {
        real lane[16] = { 0 }, sum = 0;
        int f = 0;
        for (; f + 16 <= F; f += 16)
            for (int k = 0; k < 16; k++) lane[k] += x[j * F + f + k] * y[j * F + f + k];
        for (; f < F; f++) sum += x[j * F + f] * y[j * F + f];
        for (int k = 0; k < 16; k++) sum += lane[k];
        out[j] = sum;
    }
}

CLONES
static void add_to(real *y, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

/* From the step [E15], which every complete mini-batch ends with: with
 * u_j = tok_{r-1} lr_j and D = dW', d = db',
 *     y_j = x_j D + d,   dg_j -= u_j y_j,   du_j = -<y_j, g_j>,
 *     dx_j -= u_j D g_j'                                              [E23]
 * dXT (F,r) and dg (r,F) are added to. */
static void step_backward(struct inner_grad *o, real *dg, real *dXT, const real *dstate,
                          const struct inner_in *in, const struct saved *s, real *p)
{
    const int r = in->r, F = in->F;
    real *Y = take(&p, (int64_t)r * F), *gT = take(&p, (int64_t)r * F);
    real *u = take(&p, r), *du = take(&p, r);

    smm(Y, in->X, dstate, r, F, F, 0);
    add_row(Y, dstate + (int64_t)F * F, r, F);
    row_dots(du, Y, s->g, r, F);
    for (int j = 0; j < r; j++) {
        u[j] = -in->tok[r - 1] * in->lr[j];
        o->dlr[j] -= du[j] * in->tok[r - 1];
        o->dtok[r - 1] -= du[j] * in->lr[j];
        for (int f = 0; f < F; f++) dg[j * F + f] += u[j] * Y[j * F + f];
    }
    smm_transpose(gT, s->g, r, F);
    scale_columns(gT, gT, u, F, r);
    smm(dXT, dstate, gT, F, r, F, 1);
}

/* From [E12]: dM = -dZb g' below the diagonal; with M = tok_i lr_j P_ij,
 *     dtok_i += sum_j dM_ij lr_j P_ij,  dlr_j += sum_i dM_ij tok_i P_ij,
 *     dP_ij = dM_ij tok_i lr_j,  dQ += dP X,  dX += dP' Q.            [E24] */
static void mix_backward(struct inner_grad *o, real *dP, const real *P, const real *tok,
                         const real *lr, int r)
{
    for (int i = 0; i < r; i++)
        for (int j = 0; j < r; j++) {
            const real dM = j <= i ? -dP[i * r + j] : 0;
            o->dtok[i] += dM * lr[j] * P[i * r + j];
            o->dlr[j] += dM * tok[i] * P[i * r + j];
            dP[i * r + j] = dM * tok[i] * lr[j];
        }
}

static void backward(struct inner_grad *o, real *dstate, const real *dO,
                     const struct inner_in *in, int complete, const real *saved, real *work)
{
    const int r = in->r, F = in->F;
    const int64_t rF = (int64_t)r * F, FF = (int64_t)F * F;
    const struct saved s = saved_at(saved, r, F);
    real *p = work;
    real *dZ = take(&p, rF), *dg = take(&p, rF), *T = take(&p, rF), *dT = take(&p, rF);
    real *dXT = take(&p, rF), *M = take(&p, (int64_t)r * r), *MT = take(&p, (int64_t)r * r);
    real *ones = take(&p, r);

    memset(dg, 0, (size_t)rF * sizeof *dg);
    memset(dXT, 0, (size_t)rF * sizeof *dXT);
    for (int j = 0; j < r; j++) ones[j] = 1;
    if (complete) step_backward(o, dg, dXT, dstate, in, &s, p);

    /* O = Q + LN(Zb) */
    add_to(o->dQ, dO, rF);
    inner_ln_backward(dZ, o->dgamma, o->dbeta, dO, s.h2, s.s2, in->gamma, r, F);

    /* Zb = Q W + b - M g; transposed where the other factor is contiguous that way. */
    smm_transpose(T, dZ, r, F);
    smm(dT, s.W, T, F, r, F, 0);                                /* (dZb W')'  */
    smm_transpose(T, dT, F, r);
    add_to(o->dQ, T, rF);
    smm_transpose(T, in->Q, r, F);
    smm(dstate, T, dZ, F, F, r, 1);                             /* dW += Q' dZb */
    add_rows(dstate + FF, dZ, ones, r, F);
    mix(M, s.P, in->tok, in->lr, r, -1);
    smm_transpose(MT, M, r, r);
    smm(dg, MT, dZ, r, F, r, 1);                                /* dg -= M' dZb */
    smm_transpose(T, s.g, r, F);
    smm(M, dZ, T, r, r, F, 0);
    mix_backward(o, M, s.P, in->tok, in->lr, r);                /* M is dP now */
    smm(o->dQ, M, in->X, r, F, r, 1);
    smm_transpose(MT, M, r, r);
    smm(o->dX, MT, in->Q, r, F, r, 1);

    /* g and Z */
    inner_ln_grad_backward(dZ, o->dgamma, o->dbeta, o->dV, o->dX, dg, s.g, s.h1, s.s1, in->V,
                           in->X, in->gamma, in->beta, r, F);
    smm_transpose(T, dZ, r, F);
    smm(dXT, s.W, T, F, r, F, 1);                               /* (dZ W')'   */
    smm_transpose(T, dXT, F, r);
    add_to(o->dX, T, rF);
    smm(dstate, s.XT, dZ, F, F, r, 1);                          /* dW += X' dZ */
    add_rows(dstate + FF, dZ, ones, r, F);
}

/* y -= c x over the state. */
CLONES
static void step_by(real *y, const real *x, real c, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] -= c * x[i];
}

CLONES
static void add_outer(real *G, const real *x, const real *g, real c, int F)
{
    for (int i = 0; i < F; i++)
        for (int k = 0; k < F; k++) G[i * F + k] += c * x[i] * g[k];
}

static void step(real *O, real *state, real *igrad, const struct inner_in *in, int last,
                 real *work)
{
    const int F = in->F;
    const int64_t FF = (int64_t)F * F;
    const struct saved s = saved_at(work, 1, F);
    real *p = work + saved_reals(1, F);
    real *z = take(&p, F), *y = take(&p, F);
    const real tok = in->tok[0], lr = in->lr[0];

    smm_row(z, in->X, state, F, F, 0);
    add_row(z, state + FF, 1, F);
    inner_ln(s.h1, s.s1, z, 1, F, in->eps);
    inner_ln_grad(s.g, s.h1, s.s1, in->V, in->X, in->gamma, in->beta, 1, F, NULL);
    add_outer(igrad, in->X, s.g, lr, F);
    step_by(igrad + FF, s.g, -lr, F);

    /* The state this token sees is W - tok G, b - tok Gb. */
    smm_row(z, in->Q, state, F, F, 0);
    smm_row(y, in->Q, igrad, F, F, 0);
    add_row(y, igrad + FF, 1, F);
    add_row(z, state + FF, 1, F);
    step_by(z, y, tok, F);
    inner_ln(s.h2, s.s2, z, 1, F, in->eps);
    output(O, in->Q, s.h2, in->gamma, in->beta, 1, F);

    if (!last) return;
    step_by(state, igrad, tok, FF + F);
    memset(igrad, 0, (size_t)(FF + F) * sizeof *igrad);
}

static double loss_at(const real *state, const struct inner_in *in, real *work)
{
    const struct saved s = saved_at(work, in->r, in->F);
    double loss = 0;
    inner_gradient(&s, state, state + (int64_t)in->F * in->F, in,
                   work + saved_reals(in->r, in->F), &loss);
    return loss;
}

static double flops(int K, int F) { return 6.0 * F * F + 4.0 * K * F; }

const struct inner inner_linear = {
    .name = "linear", .part = part, .state_reals = state_reals, .saved_reals = saved_reals,
    .work_reals = work_reals, .forward = forward, .backward = backward, .step = step,
    .loss = loss_at, .flops = flops,
};
