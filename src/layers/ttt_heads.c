#include "src/layers/ttt_heads.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "src/base/status.h"

int64_t heads_stride(const struct inner *in, int F) { return 2 * align_reals(in->state_reals(F)); }

int heads_batches(int T, int K) { return (T + K - 1) / K; }

int heads_groups(int T, int K, int group) { return (heads_batches(T, K) + group - 1) / group; }

int64_t heads_kept(const struct inner *in, int T, int K, int F, int group)
{
    return heads_groups(T, K, group) * align_reals(in->state_reals(F)) +
           heads_batches(T, K) * in->kept_reals(K, F);
}

int64_t heads_small(int K, int F) { return align_reals(2 * F + K); }

/* A thread's arrays.  Q, X, V, lr are per mini-batch of a group in backward. */
struct local {
    real *Q, *X, *V, *lr, *saved;     /* x group */
    real *states;                     /* behind each mini-batch of a group but the last */
    real *O, *dQ, *dX, *dV, *dlr, *work;
    int64_t rows, small, saved_n;     /* strides from mini-batch to mini-batch */
};

/* Lay the arrays out from p; returns the reals they take.  p may be NULL when only the size is
 * wanted.  No mini-batch has more rows than the slice, no group more mini-batches. */
static int64_t local_at(struct local *l, real *p, const struct inner *in, int T, int K, int F,
                        int group, int backward)
{
    const int rows = T < K ? T : K, batches = heads_batches(T, K);
    const int64_t n = !backward ? 1 : group < batches ? group : batches;
    int64_t used = 0;
    l->rows = align_reals((int64_t)rows * F);
    l->small = align_reals(rows);
    l->saved_n = backward ? in->saved_reals(rows, F) : 0;
    const struct { real **to; int64_t n; } arrays[] = {
        { &l->Q, n * l->rows }, { &l->X, n * l->rows }, { &l->V, n * l->rows },
        { &l->lr, n * l->small }, { &l->saved, n * l->saved_n },
        { &l->O, l->rows }, { &l->dQ, l->rows }, { &l->dX, l->rows }, { &l->dV, l->rows },
        { &l->dlr, l->small }, { &l->states, (n - 1) * align_reals(in->state_reals(F)) },
        { &l->work, align_reals(in->work_reals(rows, F)) },
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i].to = p ? p + used : NULL;
        used += arrays[i].n;
    }
    return used;
}

int64_t heads_scratch(const struct inner *in, int T, int K, int F, int group, int backward)
{
    struct local l;
    return local_at(&l, NULL, in, T, K, F, group, backward);
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

/* y (r,F) = rows of x (.,C) transposed by their positions at, at+1, ...; sign -1
 * turns back. */
static inline __attribute__((always_inline)) void
rotate_rows(real *restrict y, const real *restrict x, const real *restrict rope, int at, int r,
          int F, int ldy, int ldx, real sign)
{
    const int half = F / 2;
    for (int n = 0; n < r; n++) {
        const real *c = rope + (int64_t)(at + n) * F, *s = c + half;
        const real *x_n = x + (int64_t)n * ldx;
        real *y_n = y + (int64_t)n * ldy;
        for (int i = 0; i < half; i++) {
            const real a = x_n[2 * i], b = x_n[2 * i + 1], k = sign * s[i];
            y_n[2 * i] = a * c[i] - b * k;
            y_n[2 * i + 1] = a * k + b * c[i];
        }
    }
}

/* With a body for the usual width, whose rows are two turns of the loop. */
CLONES
static void rotate(real *restrict y, const real *restrict x, const real *restrict rope, int at,
                 int r, int F, int ldy, int ldx, real sign)
{
    if (F == 64) rotate_rows(y, x, rope, at, r, 64, ldy, ldx, sign);
    else rotate_rows(y, x, rope, at, r, F, ldy, ldx, sign);
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

/* Rows [row, row + r) of head h as mini-batch i of the thread's arrays, at
 * position `at` of their mini-batch. */
static struct inner_in load(const struct heads *s, struct local *l, int i, int64_t row, int h,
                            int r, int at)
{
    const struct dims *d = s->call->d;
    const int F = head_width(d);
    const int ld = s->H * F;
    const int64_t from = row * ld + (int64_t)h * F;
    struct inner_in in = {
        .Q = l->Q + i * l->rows, .X = l->X + i * l->rows, .V = l->V + i * l->rows,
        .lr = l->lr + i * l->small, .tok = s->tok + at, .r = r, .F = F,
        .without = d->without, .bf16 = s->call->bf16 && r > 1, .eps = (real)d->ln_eps,
    };
    if (s->gamma) {
        in.gamma = s->gamma + (int64_t)h * F;
        in.beta = s->beta + (int64_t)h * F;
    }
    const real scale = (real)(s->call->inner_lr / F);
    rotate(l->Q + i * l->rows, s->q + from, s->rope, at, r, F, F, ld, 1);
    rotate(l->X + i * l->rows, s->k + from, s->rope, at, r, F, F, ld, 1);
    copy_rows(l->V + i * l->rows, s->v + from, r, F, F, ld);
    for (int n = 0; n < r; n++) l->lr[i * l->small + n] = scale * s->sig[(row + n) * s->H + h];
    return in;
}

/* What the tape has of a head. */
struct kept { real *states, *batches; };

static struct kept kept_at(const struct heads *s, int64_t head)
{
    const struct layer_call *c = s->call;
    const int F = head_width(c->d), K = c->d->K;
    if (!s->kept) return (struct kept){ NULL, NULL };
    real *p = s->kept + head * heads_kept(s->inner, c->T, K, F, c->group);
    return (struct kept){ p, p + heads_groups(c->T, K, c->group) *
                                 align_reals(s->inner->state_reals(F)) };
}

static void forward_head(const struct heads *s, real *o, struct local *l, int b, int h)
{
    const struct layer_call *c = s->call;
    const struct dims *d = c->d;
    const struct inner *f = s->inner;
    const int F = head_width(d), K = d->K, whole = c->T / K, ld = s->H * F;
    const int64_t SA = align_reals(f->state_reals(F)), KA = f->kept_reals(K, F);
    const struct kept kept = kept_at(s, (int64_t)b * s->H + h);
    real *const state = s->carry + b * s->carry_reals + s->offset + h * 2 * SA;
    real *const igrad = state + SA, *now = state;
    int at = (int)(c->pos % K);

    if (s->kept) memcpy(kept.states, state, (size_t)SA * sizeof *state);
    for (int t = 0; t < c->T;) {
        const int64_t row = (int64_t)b * c->T + t;
        const int r = at ? 1 : c->T - t < K ? c->T - t : K, full = at + r == K, mb = t / K;
        const struct inner_in in = load(s, l, 0, row, h, r, at);
        const int left = c->T - t - r;
        double loss = 0;
        load_ahead(s, row + r, h, left < K ? left : K);
        /* A step that ends a group leaves the next one's state on the tape. */
        real *next = s->kept && (mb + 1) % c->group == 0 && left > 0 ?
                     kept.states + (mb + 1) / c->group * SA : state;
        double *stats = c->stats && r == K ? c->stats + ((b * (int64_t)s->H + h) * whole + mb) * 3
                                           : NULL;
        if (at) f->step(l->O, state, igrad, &in, full, l->work);
        else f->forward(l->O, full ? next : NULL, full ? NULL : igrad, now, &in,
                        s->kept ? kept.batches + mb * KA : NULL, l->work, stats ? &loss : NULL);
        if (full) now = next;
        copy_rows(o + row * ld + (int64_t)h * F, l->O, r, F, ld, F);
        if (stats) {
            stats[0] = f->loss(s->init + h * SA, &in, l->work);
            stats[1] = loss;
            stats[2] = f->loss(now, &in, l->work);
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

/* One mini-batch back: rows of dO -> rows of dq, dk, dv, dsig. */
static void backward_batch(const struct heads *s, struct heads_grad *g, struct local *l,
                           const real *dO, const struct inner_in *in, int i, int64_t row, int h,
                           real *dstate, const real *state, const real *kept, real *small)
{
    const int F = in->F, r = in->r, ld = s->H * F;
    const int64_t from = row * ld + (int64_t)h * F;
    struct inner_grad ig = { .dQ = l->dQ, .dX = l->dX, .dV = l->dV, .dlr = l->dlr,
                             .dtok = small + 2 * F, .dgamma = small, .dbeta = small + F };
    const real scale = (real)(s->call->inner_lr / F);

    memset(l->dQ, 0, (size_t)l->rows * sizeof *l->dQ);
    memset(l->dX, 0, (size_t)l->rows * sizeof *l->dX);
    memset(l->dV, 0, (size_t)l->rows * sizeof *l->dV);
    memset(l->dlr, 0, (size_t)l->small * sizeof *l->dlr);
    copy_rows(l->O, dO + from, r, F, F, ld);
    s->inner->backward(&ig, dstate, l->O, l->saved + i * l->saved_n, state, kept, in,
                       r == s->call->d->K, l->work);
    rotate(g->dq + from, l->dQ, s->rope, 0, r, F, ld, F, -1);
    rotate(g->dk + from, l->dX, s->rope, 0, r, F, ld, F, -1);
    copy_rows(g->dv + from, l->dV, r, F, ld, F);
    for (int n = 0; n < r; n++) g->dsig[(row + n) * s->H + h] = scale * l->dlr[n];
}

static void backward_head(const struct heads *s, struct heads_grad *g, const real *dO,
                          struct local *l, struct inner_in *in, int b, int h)
{
    const struct layer_call *c = s->call;
    const struct dims *d = c->d;
    const int F = head_width(d), K = d->K, batches = heads_batches(c->T, K);
    const int64_t SA = align_reals(s->inner->state_reals(F)), KA = s->inner->kept_reals(K, F);
    const int64_t head = (int64_t)b * s->H + h;
    const struct kept kept = kept_at(s, head);
    real *dstate = g->dcarry + b * s->carry_reals + s->offset + h * 2 * SA;
    real *small = g->small + head * heads_small(K, F);
    const real *states[HEADS_MAX_GROUP];

    for (int j = heads_groups(c->T, K, c->group) - 1; j >= 0; j--) {
        const int first = j * c->group;
        const int n = batches - first < c->group ? batches - first : c->group;
        states[0] = kept.states + j * SA;
        for (int i = 0; i < n; i++) {
            const int t = (first + i) * K, r = c->T - t < K ? c->T - t : K;
            real *next = i + 1 < n ? l->states + i * SA : NULL;
            in[i] = load(s, l, i, (int64_t)b * c->T + t, h, r, 0);
            s->inner->replay(l->saved + i * l->saved_n, next, states[i],
                             kept.batches + (first + i) * KA, &in[i], l->work);
            if (next) states[i + 1] = next;
            ahead(s, dO, (int64_t)b * c->T + t, h, r);
            if (i + 1 < n) {
                const int left = c->T - t - r;
                load_ahead(s, (int64_t)b * c->T + t + r, h, left < K ? left : K);
            } else if (j > 0) {
                load_ahead(s, (int64_t)b * c->T + (first - c->group) * K, h, K);
            }
        }
        for (int i = n - 1; i >= 0; i--)
            backward_batch(s, g, l, dO, &in[i], i, (int64_t)b * c->T + (first + i) * K, h, dstate,
                           states[i], kept.batches + (first + i) * KA, small);
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
        struct local l;
        struct inner_in in[HEADS_MAX_GROUP];
        local_at(&l, s->scratch + omp_get_thread_num() * each, s->inner,
                 s->call->T, d->K, F, group, 1);
        backward_head(s, g, dO, &l, in, i / s->H, i % s->H);
    }
}
