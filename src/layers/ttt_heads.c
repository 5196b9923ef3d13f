/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/ttt_heads.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "src/base/status.h"

int64_t heads_state(const struct inner *f, int F)
{
    return align_reals(inner_reals(f, 1, F).state);
}

int64_t heads_stride(const struct inner *f, int F)
{
    const struct inner_reals n = inner_reals(f, 1, F);
    return align_reals(n.state) + align_reals(n.sum);
}

int heads_batches(int T, int K) { return (T + K - 1) / K; }

int heads_groups(int T, int K, int group) { return (heads_batches(T, K) + group - 1) / group; }

int64_t heads_kept(const struct inner *f, int T, int K, int F, int group)
{
    const struct inner_reals n = inner_reals(f, K, F);
    return heads_groups(T, K, group) * align_reals(n.state) + heads_batches(T, K) * n.kept;
}

int64_t heads_small(int K, int F) { return align_reals(2 * F + K); }

/* A thread's arrays.  Q, X, V, lr, saved are for each mini-batch of a group in backward. */
struct local {
    real *Q, *X, *V, *lr, *saved;     /* x group */
    real *states;                     /* after each mini-batch of a group, except the last */
    real *O, *dQ, *dX, *dV, *dlr, *work;
    int64_t rows_n, lr_n, saved_n;    /* strides from mini-batch to mini-batch */
    int     ld;                       /* of lr and dlr */
};

/* Lay the arrays out from p; returns the reals they take.  p may be NULL when only the size is
 * wanted.  No mini-batch has more rows than the slice, no group more mini-batches. */
static int64_t local_at(struct local *l, real *p, const struct inner *f, int T, int K, int F,
                        int group, int backward)
{
    const int rows = T < K ? T : K, batches = heads_batches(T, K);
    const int64_t n = !backward ? 1 : group < batches ? group : batches;
    const struct inner_reals of = inner_reals(f, rows, F);
    int64_t used = 0;
    l->rows_n = align_reals((int64_t)rows * F);
    l->ld = (int)align_reals(rows);
    l->lr_n = (int64_t)inner_token_rates(f) * l->ld;
    l->saved_n = backward ? of.saved : 0;
    const struct { real **to; int64_t n; } arrays[] = {
        { &l->Q, n * l->rows_n }, { &l->X, n * l->rows_n }, { &l->V, n * l->rows_n },
        { &l->lr, n * l->lr_n }, { &l->saved, n * l->saved_n },
        { &l->O, l->rows_n }, { &l->dQ, l->rows_n }, { &l->dX, l->rows_n }, { &l->dV, l->rows_n },
        { &l->dlr, l->lr_n }, { &l->states, (n - 1) * align_reals(of.state) },
        { &l->work, align_reals(of.work) },
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i].to = p ? p + used : NULL;
        used += arrays[i].n;
    }
    return used;
}

int64_t heads_scratch(const struct inner *f, int T, int K, int F, int group, int backward)
{
    struct local l;
    return local_at(&l, NULL, f, T, K, F, group, backward);
}

void heads_rope(real *rope, int n, int F, double theta)
{
    const int half = F / 2;
    for (int t = 0; t < n; t++)
        for (int i = 0; i < half; i++) {
            const double angle = t * pow(theta, -2.0 * i / F);
            rope[t * F + i] = (real)cos(angle);
            rope[t * F + half + i] = (real)sin(angle);
        }
}

void heads_tok(real *tok, const real *token_idx, int K, int without)
{
    for (int i = 0; i < K; i++) {
        const real mean = without & WITHOUT_MEAN ? 1 : (real)1 / (real)(i + 1);
        const real x = token_idx ? mean + token_idx[i] : mean;
        tok[i] = x > 0 ? x : 0;
    }
}

/* Rows at positions at, at + 1, ... of their mini-batch; sign 1 rotates, -1 rotates back. */
struct rotation { const real *rope; int at, r, F, ldy, ldx; real sign; };

static inline __attribute__((always_inline)) void
rotate_rows(real *restrict y, const real *restrict x, const struct rotation *t, int F)
{
    const real *restrict rope = t->rope;
    const int half = F / 2;
    for (int n = 0; n < t->r; n++) {
        const real *c = rope + (int64_t)(t->at + n) * F, *s = c + half;
        const real *x_n = x + (int64_t)n * t->ldx;
        real *y_n = y + (int64_t)n * t->ldy;
        for (int i = 0; i < half; i++) {
            const real a = x_n[2 * i], b = x_n[2 * i + 1], k = t->sign * s[i];
            y_n[2 * i] = a * c[i] - b * k;
            y_n[2 * i + 1] = a * k + b * c[i];
        }
    }
}

/* y (r,F) [out] = the rotated rows of x.  With a body for the usual width, whose rows are two
 * passes of the loop. */
CLONES
static void rotate(real *restrict y, const real *restrict x, const struct rotation *t)
{
    if (t->F == 64) rotate_rows(y, x, t, 64);
    else rotate_rows(y, x, t, t->F);
}

static void copy_rows(real *y, const real *x, int r, int F, int ldy, int ldx)
{
    for (int n = 0; n < r; n++)
        memcpy(y + (int64_t)n * ldy, x + (int64_t)n * ldx, (size_t)F * sizeof *y);
}

/* Rows [row, row + r) of a head's x come into the cache while others are worked on: they are short,
 * and far from each other. */
static void ahead(const struct heads *s, const real *x, int64_t row, int h, int r)
{
    const int F = head_width(s->call->d), ld = s->H * F;
    for (int n = 0; n < r; n++)
        for (int i = 0; i < F; i += ALIGN_REALS)
            __builtin_prefetch(x + (row + n) * ld + (int64_t)h * F + i);
}

static void load_ahead(const struct heads *s, int64_t row, int h, int r)
{
    ahead(s, s->q, row, h, r);
    ahead(s, s->k, row, h, r);
    ahead(s, s->v, row, h, r);
}

/* What a rate is made of: the model's are learning rates, the step's are the gates themselves. */
static real rate_scale(const struct heads *s, int rate, int F)
{
    return rate < s->inner->model->rates ? (real)(s->call->inner_lr / F) : 1;
}

/* Rows [row, row + r) of head h as mini-batch i of the thread's arrays, at
 * position `at` of their mini-batch. */
static struct inner_in load(const struct heads *s, struct local *l, int i, int64_t row, int h,
                            int r, int at)
{
    const struct dims *d = s->call->d;
    const int F = head_width(d), ld = s->H * F, rates = inner_token_rates(s->inner);
    const int64_t from = row * ld + (int64_t)h * F;
    const struct rotation rotation = { s->rope, at, r, F, F, ld, 1 };
    real *lr = l->lr + i * l->lr_n;
    struct inner_in in = {
        .Q = l->Q + i * l->rows_n, .X = l->X + i * l->rows_n, .V = l->V + i * l->rows_n,
        .lr = lr, .tok = s->tok + at, .r = r, .F = F, .ld = l->ld, .at = at,
        .complete = at + r == d->K, .without = d->without, .loss = s->inner->loss,
        .bf16 = s->call->bf16 && r > 1, .eps = (real)d->ln_eps,
    };
    if (s->gamma) {
        in.gamma = s->gamma + (int64_t)h * F;
        in.beta = s->beta + (int64_t)h * F;
    }
    rotate(l->Q + i * l->rows_n, s->q + from, &rotation);
    rotate(l->X + i * l->rows_n, s->k + from, &rotation);
    copy_rows(l->V + i * l->rows_n, s->v + from, r, F, F, ld);
    for (int k = 0; k < rates; k++) {
        const real scale = rate_scale(s, k, F);
        for (int n = 0; n < r; n++)
            lr[k * l->ld + n] = scale * s->sig[((row + n) * s->H + h) * rates + k];
    }
    return in;
}

/* What the tape has of a head: states that groups begin with, what mini-batches keep. */
struct kept { real *states, *batches; };

static struct kept kept_at(const struct heads *s, int64_t head)
{
    const struct layer_call *c = s->call;
    const int F = head_width(c->d), K = c->d->K;
    if (!s->kept) return (struct kept){ NULL, NULL };
    real *p = s->kept + head * heads_kept(s->inner, c->T, K, F, c->group);
    return (struct kept){ p, p + heads_groups(c->T, K, c->group) * heads_state(s->inner, F) };
}

/* Tokens from position `at` of a mini-batch on that one call can read: inside a mini-batch one,
 * except where outputs do not see the step. */
static int rows_at_once(const struct heads *s, int at, int left)
{
    const struct inner *f = s->inner;
    const int K = s->call->d->K, most = at && (f->fused || !f->output_before) ? 1 : K - at;
    return left < most ? left : most;
}

static void forward_head(const struct heads *s, real *o, struct local *l, int b, int h)
{
    const struct layer_call *c = s->call;
    const struct inner *f = s->inner;
    const int F = head_width(c->d), K = c->d->K, whole = c->T / K, ld = s->H * F;
    const struct inner_reals size = inner_reals(f, K, F);
    const int64_t SA = align_reals(size.state);
    const struct kept kept = kept_at(s, (int64_t)b * s->H + h);
    real *const state = s->carry + b * s->carry_reals + s->offset + h * heads_stride(f, F);
    real *const igrad = state + SA, *now = state;
    int at = (int)(c->pos % K);

    if (s->kept) memcpy(kept.states, state, (size_t)SA * sizeof *state);
    for (int t = 0; t < c->T;) {
        const int64_t row = (int64_t)b * c->T + t;
        const int r = rows_at_once(s, at, c->T - t), full = at + r == K, mb = t / K;
        const struct inner_in in = load(s, l, 0, row, h, r, at);
        const int left = c->T - t - r;
        double loss = 0;
        load_ahead(s, row + r, h, left < K ? left : K);
        /* A step that ends a group leaves the next one's state on the tape. */
        real *next = s->kept && (mb + 1) % c->group == 0 && left > 0 ?
                     kept.states + (mb + 1) / c->group * SA : state;
        double *stats = c->stats && r == K ? c->stats + ((b * (int64_t)s->H + h) * whole + mb) * 3
                                           : NULL;
        const struct inner_result to = {
            .O = l->O, .next = full ? next : NULL, .igrad = full ? NULL : igrad,
            .kept = s->kept ? kept.batches + mb * size.kept : NULL, .loss = stats ? &loss : NULL,
        };
        if (at) inner_token(f, l->O, state, igrad, &in, l->work);
        else inner_batch_forward(f, &to, now, &in, l->work);
        if (full) now = next;
        copy_rows(o + row * ld + (int64_t)h * F, l->O, r, F, ld, F);
        if (stats) {
            stats[0] = f->model->loss(s->init + h * SA, &in, l->work);
            stats[1] = loss;
            stats[2] = f->model->loss(now, &in, l->work);
        }
        t += r;
        at = full ? 0 : at + r;
    }
    if (now != state) memcpy(state, now, (size_t)SA * sizeof *state);
}

void heads_forward(const struct heads *s, real *o)
{
    const struct dims *d = s->call->d;
    const int F = head_width(d), tasks = s->call->B * s->H;
    const int64_t each = heads_scratch(s->inner, s->call->T, d->K, F, 1, 0);

    #pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < tasks; i++) {
        struct local l;
        local_at(&l, s->scratch + omp_get_thread_num() * each, s->inner,
                 s->call->T, d->K, F, 1, 0);
        forward_head(s, o, &l, i / s->H, i % s->H);
    }
}

/* --- backward ------------------------------------------------------------------- */

/* One head of one sequence. */
struct task {
    const struct heads *s;
    struct heads_grad  *g;
    const real         *dO;
    struct local        l;
    struct inner_in     in[HEADS_MAX_GROUP];      /* mini-batches of a group, and what backward */
    struct inner_tape   tape[HEADS_MAX_GROUP];    /* has of each                                */
    int                 b, h;
    real               *dstate, *small;
};

/* Forward of a group's mini-batches again, as far as backward needs it. */
static void replay_group(struct task *k, const struct kept *kept, int group, int first, int n)
{
    const struct heads *s = k->s;
    const struct layer_call *c = s->call;
    struct local *l = &k->l;
    const int F = head_width(c->d), K = c->d->K;
    const struct inner_reals size = inner_reals(s->inner, K, F);
    const int64_t SA = align_reals(size.state);
    const real *state = kept->states + group * SA;

    for (int i = 0; i < n; i++) {
        const int t = (first + i) * K, r = c->T - t < K ? c->T - t : K;
        const int64_t row = (int64_t)k->b * c->T + t;
        real *next = i + 1 < n ? l->states + i * SA : NULL;
        k->in[i] = load(s, l, i, row, k->h, r, 0);
        k->tape[i] = (struct inner_tape){ state, kept->batches + (first + i) * size.kept,
                                          l->saved + i * l->saved_n };
        inner_batch_replay(s->inner, &k->tape[i], next, &k->in[i], l->work);
        state = next;
        ahead(s, k->dO, row, k->h, r);
        if (i + 1 < n) {
            const int left = c->T - t - r;
            load_ahead(s, row + r, k->h, left < K ? left : K);
        } else if (group > 0) {
            load_ahead(s, (int64_t)k->b * c->T + (first - c->group) * K, k->h, K);
        }
    }
}

/* Mini-batch i of the group back: rows of dO from `row` on -> rows of dq, dk, dv, dsig. */
static void backward_batch(struct task *k, int i, int64_t row)
{
    const struct heads *s = k->s;
    const struct inner_in *in = &k->in[i];
    const struct local *l = &k->l;
    struct heads_grad *g = k->g;
    const int F = in->F, r = in->r, ld = s->H * F, rates = inner_token_rates(s->inner);
    const int64_t from = row * ld + (int64_t)k->h * F;
    const struct rotation back = { s->rope, 0, r, F, ld, F, -1 };
    struct inner_grad to = { .dQ = l->dQ, .dX = l->dX, .dV = l->dV, .dlr = l->dlr,
                             .dtok = k->small + 2 * F, .dgamma = k->small,
                             .dbeta = k->small + F };

    memset(l->dQ, 0, (size_t)l->rows_n * sizeof *l->dQ);
    memset(l->dX, 0, (size_t)l->rows_n * sizeof *l->dX);
    memset(l->dV, 0, (size_t)l->rows_n * sizeof *l->dV);
    memset(l->dlr, 0, (size_t)l->lr_n * sizeof *l->dlr);
    copy_rows(l->O, k->dO + from, r, F, F, ld);
    inner_batch_backward(s->inner, &to, k->dstate, l->O, &k->tape[i], in, l->work);
    rotate(g->dq + from, l->dQ, &back);
    rotate(g->dk + from, l->dX, &back);
    copy_rows(g->dv + from, l->dV, r, F, ld, F);
    for (int c = 0; c < rates; c++) {
        const real scale = rate_scale(s, c, F);
        for (int n = 0; n < r; n++)
            g->dsig[((row + n) * s->H + k->h) * rates + c] = scale * l->dlr[c * l->ld + n];
    }
}

static void backward_head(struct task *k)
{
    const struct heads *s = k->s;
    const struct layer_call *c = s->call;
    const int F = head_width(c->d), K = c->d->K, batches = heads_batches(c->T, K);
    const int64_t head = (int64_t)k->b * s->H + k->h;
    const struct kept kept = kept_at(s, head);

    k->dstate = k->g->dcarry + k->b * s->carry_reals + s->offset +
                k->h * heads_stride(s->inner, F);
    k->small = k->g->small + head * heads_small(K, F);
    for (int j = heads_groups(c->T, K, c->group) - 1; j >= 0; j--) {
        const int first = j * c->group;
        const int n = batches - first < c->group ? batches - first : c->group;
        replay_group(k, &kept, j, first, n);
        for (int i = n - 1; i >= 0; i--)
            backward_batch(k, i, (int64_t)k->b * c->T + (first + i) * K);
    }
}

void heads_backward(const struct heads *s, struct heads_grad *g, const real *dO)
{
    const struct dims *d = s->call->d;
    const int F = head_width(d), tasks = s->call->B * s->H, group = s->call->group;
    const int64_t each = heads_scratch(s->inner, s->call->T, d->K, F, group, 1);
    check(s->call->pos % d->K == 0 && group <= HEADS_MAX_GROUP);

    #pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < tasks; i++) {
        struct task k = { .s = s, .g = g, .dO = dO, .b = i / s->H, .h = i % s->H };
        local_at(&k.l, s->scratch + omp_get_thread_num() * each, s->inner,
                 s->call->T, d->K, F, group, 1);
        backward_head(&k);
    }
}
