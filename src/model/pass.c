#include "src/model/pass.h"

#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/embed.h"
#include "src/kernels/rmsnorm.h"
#include "src/model/head.h"

/* What is kept of one slice. */
struct slice {
    real **x;                 /* (L+1) inputs of the blocks, (N,C) each; x[L]: output of the last */
    struct block_tape *tape;  /* (L) remat none: each its own; block: all the same */
    real **carry;             /* (L) carries before the slice, remat block only    */
    real *dx;                 /* (N,C) gradient of x[L]                            */
};

struct pass {
    const struct model *m;
    const struct dims  *d;
    struct pass_opts    o;
    int                 S, T;          /* slices, tokens of all but a short last one */
    int64_t             carry_reals;   /* of one layer, micro_batch sequences        */
    struct arena        arena;
    struct slice       *slices;        /* (S)                                        */
    struct block_tape   work;
    struct head_work    head;
    real               *carry, *dcarry, *redo;  /* (L, carry), (L, carry), (carry)   */
    real               *xn, *r;        /* (N,C), (N): final norm                     */
    double             *stats;         /* (B,H,T/K,3)                                */
    int32_t            *tok;           /* (N)                                        */
};

int pass_units(const struct pass_opts *o)
{
    return (o->context + o->slice_tokens - 1) / o->slice_tokens;
}

static int slice_len(const struct pass *p, int s)
{
    const int left = p->o.context - s * p->T;
    return left < p->T ? left : p->T;
}

/* Lay everything out in p->arena; runs once to count and once for real. */
static void lay_out(struct pass *p, struct pass_bytes *bytes)
{
    const struct dims *d = p->d;
    const int B = p->o.micro_batch, block = p->o.remat == REMAT_BLOCK;
    const int64_t N = (int64_t)B * p->T, NC = N * d->C;
    struct arena *a = &p->arena;
    struct block_tape shared;

    for (int s = 0; s < p->S; s++) {
        struct slice *z = &p->slices[s];
        for (int l = 0; l <= d->L; l++) z->x[l] = arena_reals(a, NC);
        z->dx = arena_reals(a, NC);
        for (int l = 0; l < d->L; l++) {
            if (block) z->carry[l] = arena_reals(a, p->carry_reals);
            else block_tape(&p->m->blocks[l], &z->tape[l], a, d, B, p->T, p->o.inner_group);
        }
    }
    if (block) {
        block_tape(&p->m->blocks[0], &shared, a, d, B, p->T, p->o.inner_group);
        for (int s = 0; s < p->S; s++)
            for (int l = 0; l < d->L; l++) p->slices[s].tape[l] = shared;
    }
    p->carry = arena_reals(a, d->L * p->carry_reals);
    p->dcarry = arena_reals(a, d->L * p->carry_reals);
    p->redo = arena_reals(a, p->carry_reals);
    bytes->tape = a->used;

    head_lay_out(&p->head, a, d, p->T);
    bytes->logits = a->used - bytes->tape;

    block_work(&p->m->blocks[0], &p->work, a, d, B, p->T, p->o.inner_group, 1);
    p->xn = arena_reals(a, NC);
    p->r = arena_reals(a, N);
    p->stats = arena_bytes(a, (int64_t)B * d->H * (p->T / d->K + 1) * 3 * (int64_t)sizeof(double));
    p->tok = arena_bytes(a, N * (int64_t)sizeof *p->tok);
    bytes->scratch = a->used - bytes->tape - bytes->logits;
}

static int check_opts(const struct dims *d, const struct pass_opts *o)
{
    if (o->context < 1 || o->micro_batch < 1 || o->slice_tokens < 1 || o->inner_group < 1)
        return fail(ERR_CONFIG, "train.context, micro_batch, slice_tokens and inner_group must be "
                                "at least 1");
    if (o->slice_tokens < o->context && o->slice_tokens % d->K)
        return fail(ERR_CONFIG, "train.slice_tokens %d must be a multiple of model.mini_batch %d",
                    o->slice_tokens, d->K);
    return OK;
}

static struct pass *make(const struct model *m, const struct pass_opts *o,
                         struct pass_bytes *bytes)
{
    const int L = m->dims.L;
    struct pass *p = mem_new(1, sizeof *p, "pass");

    *p = (struct pass){ .m = m, .d = &m->dims, .o = *o, .S = pass_units(o) };
    p->T = o->slice_tokens < o->context ? o->slice_tokens : o->context;
    p->carry_reals = o->micro_batch * block_carry_reals(&m->blocks[0], p->d);
    p->slices = mem_new(p->S, sizeof *p->slices, "slices");
    for (int s = 0; s < p->S; s++) {
        p->slices[s].x = mem_new(L + 1, sizeof(real *), "slices");
        p->slices[s].carry = mem_new(L, sizeof(real *), "slices");
        p->slices[s].tape = mem_new(L, sizeof(struct block_tape), "slices");
    }
    arena_plan(&p->arena);
    lay_out(p, bytes);
    return p;
}

struct pass *pass_new(const struct model *m, const struct pass_opts *o)
{
    struct pass_bytes bytes;
    check(check_opts(&m->dims, o) == OK);
    struct pass *p = make(m, o, &bytes);
    const int64_t need = p->arena.peak;
    arena_init(&p->arena, need, "activations of a micro-batch");
    lay_out(p, &bytes);
    return p;
}

int pass_plan(struct pass_bytes *bytes, const struct dims *d, const struct pass_opts *o)
{
    struct model *m = NULL;
    int rc;
    TRY(check_opts(d, o));
    TRY(model_shape(&m, d));
    struct pass *p = make(m, o, bytes);
    pass_free(p);
out:
    model_free(m);
    return rc;
}

void pass_free(struct pass *p)
{
    if (!p) return;
    for (int s = 0; s < p->S; s++) {
        mem_free(p->slices[s].x);
        mem_free(p->slices[s].carry);
        mem_free(p->slices[s].tape);
    }
    mem_free(p->slices);
    if (p->arena.base) arena_done(&p->arena);
    mem_free(p);
}

static struct layer_call call_of(const struct pass *p, struct grad *g, int B, int s)
{
    return (struct layer_call){ .d = p->d, .t = &p->m->params, .w = p->m->w, .grad = g, .B = B,
                                .T = slice_len(p, s), .pos = (int64_t)s * p->T,
                                .group = p->o.inner_group };
}

/* --- forward -------------------------------------------------------------- */

/* A unit's share of its sequence's inner losses. */
static void add_inner(const struct pass *p, struct pass_sums *sums, int l, int B, int T)
{
    const int K = p->d->K, H = p->d->H, n = T / K, all = p->o.context / K;
    struct fixed *to[3] = { sums->inner_w0, sums->inner_before, sums->inner_after };
    for (int b = 0; b < B; b++)
        for (int i = 0; i < 3; i++) {
            double sum = 0;
            for (int k = 0; k < H * n; k++) sum += p->stats[((int64_t)b * H * n + k) * 3 + i];
            sum /= (double)H * K * all;
            if (isfinite(sum) && fabs(sum) < 0x1p40) fixed_add(&to[i][l], sum);
            else sums->bad = 1;
        }
}

static void forward_slice(struct pass *p, struct grad *g, struct pass_sums *sums,
                          const int32_t *windows, int B, int s)
{
    const struct dims *d = p->d;
    struct slice *z = &p->slices[s];
    struct layer_call c = call_of(p, g, B, s);

    for (int b = 0; b < B; b++)
        memcpy(p->tok + (int64_t)b * c.T, windows + (int64_t)b * (p->o.context + 1) + c.pos,
               (size_t)c.T * sizeof *p->tok);
    embed_forward(z->x[0], p->m->w + p->m->params.p[p->m->i_embed].offset, p->tok, B * c.T, d->C);
    for (int l = 0; l < d->L; l++) {
        real *carry = p->carry + l * p->carry_reals;
        if (p->o.remat == REMAT_BLOCK)
            memcpy(z->carry[l], carry, (size_t)p->carry_reals * sizeof *carry);
        c.stats = sums->inner_w0 && c.T >= d->K ? p->stats : NULL;
        block_forward(&p->m->blocks[l], &c, z->x[l + 1], z->x[l], carry, &z->tape[l], &p->work);
        if (c.stats) add_inner(p, sums, l, B, c.T);
    }
}

/* Targets of a sequence that count. */
static int64_t count_targets(const struct pass *p, const int32_t *window)
{
    int64_t n = 0;
    for (int t = 1; t <= p->o.context; t++) n += head_scored(window[t], p->o.mask_token);
    return n;
}

/* Loss of a slice and the gradient of its last residual. */
static void loss_slice(struct pass *p, struct grad *g, struct pass_sums *sums,
                       const int32_t *windows, const int64_t *valid, int B, int s)
{
    const struct model *m = p->m;
    const int C = p->d->C, T = slice_len(p, s);
    const real *norm = m->w + m->params.p[m->i_norm].offset;
    struct slice *z = &p->slices[s];

    rmsnorm_forward(p->xn, p->r, z->x[p->d->L], norm, B * T, C, p->d->rms_eps);
    memset(z->dx, 0, (size_t)((int64_t)B * T * C) * sizeof *z->dx);
    for (int b = 0; b < B; b++) {
        const int64_t at = (int64_t)b * T * C;
        const struct head_unit u = {
            .m = m, .x = p->xn + at, .T = T, .mask_token = p->o.mask_token,
            .target = windows + (int64_t)b * (p->o.context + 1) + (int64_t)s * p->T + 1,
            .scale = valid[b] ? (double)p->S / (double)valid[b] : 0,
        };
        const double nll = head_unit(&p->head, g, &u);
        const double share = valid[b] ? nll / (double)valid[b] : 0;
        if (isfinite(share) && fabs(share) < 0x1p40) fixed_add(&sums->loss, share);
        else sums->bad = 1;
        if (!g) continue;
        memset(p->head.dw, 0, (size_t)C * sizeof(real));
        rmsnorm_backward(z->dx + at, p->head.dw, p->head.dx, z->x[p->d->L] + at, norm,
                         p->r + (int64_t)b * T, T, C);
        grad_add(g, m->params.p[m->i_norm].offset, p->head.dw, C);
    }
}

/* --- backward ------------------------------------------------------------- */

/* Rows of dx to the rows of their tokens.  Threads share out columns, because
 * a token may stand in many rows. */
static void embed_backward(const struct pass *p, struct grad *g, const real *dx,
                           const int32_t *windows, int B, int s)
{
    enum { COLUMNS = 64 };
    const int C = p->d->C, T = slice_len(p, s);
    const int64_t at = p->m->params.p[p->m->i_embed].offset;

    #pragma omp parallel for schedule(static)
    for (int c = 0; c < C; c += COLUMNS) {
        const int n = C - c < COLUMNS ? C - c : COLUMNS;
        for (int b = 0; b < B; b++) {
            const int32_t *tok = windows + (int64_t)b * (p->o.context + 1) + (int64_t)s * p->T;
            for (int t = 0; t < T; t++)
                grad_add(g, at + (int64_t)tok[t] * C + c, dx + ((int64_t)b * T + t) * C + c, n);
        }
    }
}

static void backward_slice(struct pass *p, struct grad *g, const int32_t *windows, int B, int s)
{
    struct slice *z = &p->slices[s];
    struct layer_call c = call_of(p, g, B, s);

    for (int l = p->d->L - 1; l >= 0; l--) {
        const struct block *block = &p->m->blocks[l];
        if (p->o.remat == REMAT_BLOCK) {
            memcpy(p->redo, z->carry[l], (size_t)p->carry_reals * sizeof *p->redo);
            block_forward(block, &c, p->xn, z->x[l], p->redo, &z->tape[l], &p->work);
        }
        block_backward(block, &c, z->dx, z->x[l], p->dcarry + l * p->carry_reals, &z->tape[l],
                       &p->work);
    }
    embed_backward(p, g, z->dx, windows, B, s);
}

void pass_run(struct pass *p, struct grad *g, struct pass_sums *sums, const int32_t *windows,
              int B)
{
    const struct dims *d = p->d;
    int64_t *valid = mem_new(B, sizeof *valid, "targets");
    struct layer_call start = call_of(p, g, B, 0);

    check(B >= 1 && B <= p->o.micro_batch);
    for (int b = 0; b < B; b++) {
        valid[b] = count_targets(p, windows + (int64_t)b * (p->o.context + 1));
        sums->targets += valid[b];
    }
    sums->sequences += B;
    for (int l = 0; l < d->L; l++)
        block_carry_start(&p->m->blocks[l], &start, p->carry + l * p->carry_reals);
    for (int s = 0; s < p->S; s++) {
        forward_slice(p, g, sums, windows, B, s);
        loss_slice(p, g, sums, windows, valid, B, s);
    }
    mem_free(valid);
    if (!g) return;

    memset(p->dcarry, 0, (size_t)(d->L * p->carry_reals) * sizeof *p->dcarry);
    for (int s = p->S - 1; s >= 0; s--) backward_slice(p, g, windows, B, s);
    for (int l = 0; l < d->L; l++)
        block_carry_start_backward(&p->m->blocks[l], &start, p->dcarry + l * p->carry_reals);
}
