#include "src/model/stage.h"

#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/embed.h"
#include "src/kernels/rmsnorm.h"
#include "src/model/stage_heads.h"
#include "src/model/stage_state.h"

int stage_tokens(const struct stage *st, int u)
{
    const int left = st->o.context - u * st->T;
    return left < st->T ? left : st->T;
}

int stage_width(const struct stage *st) { return st->d->C; }

int64_t stage_carry_reals(const struct stage *st, int B)
{
    return B * block_carry_reals(&st->m->blocks[0]);
}

real *stage_x(struct stage *st, int slot, int l, int u)
{
    return stage_unit(st, slot, u)->x[l - st->part.l0];
}

real *stage_dx(struct stage *st, int slot, int u) { return stage_unit(st, slot, u)->dx; }

/* Of one layer, with the past. */
static int64_t carry_stride(const struct stage *st) { return st->carry_reals + st->past_reals; }

real *stage_carry(struct stage *st, int slot, int l)
{
    return st->slots[slot].carry + (l - st->part.l0) * carry_stride(st);
}

real *stage_dcarry(struct stage *st, int slot, int l)
{
    return st->slots[slot].dcarry + (l - st->part.l0) * carry_stride(st);
}

/* Tokens before unit u. */
static int64_t tokens_before(const struct stage *st, int u)
{
    const int64_t n = (int64_t)u * st->T;
    return n < st->o.context ? n : st->o.context;
}

int stage_carry_part(const struct stage *st, int B, int u, int i, int64_t *offset, int64_t *n)
{
    const struct block *b = &st->m->blocks[0];
    const int64_t row = stage_row(st);
    int parts = 0;

    if (block_carry_part(b, B, i, offset, n)) return 1;
    if (!row) return 0;
    while (block_carry_part(b, B, parts, offset, n)) parts++;
    *offset = st->carry_reals + (i - parts) * st->room * row;
    *n = tokens_before(st, u) * row;
    return i - parts < B * head_groups(st->d);
}

/* --- memory --------------------------------------------------------------- */

struct layer_call stage_shape(const struct stage *st)
{
    return (struct layer_call){ .d = st->d, .bf16 = st->m->bf16, .B = st->o.micro_batch,
                                .T = st->T, .group = st->o.inner_group };
}

static void lay_out_slot(struct stage *st, struct slot *slot, const struct block_tape *shared)
{
    const struct layer_call c = stage_shape(st);
    const int B = st->o.micro_batch, back = !st->part.forward_only;
    const int64_t NC = (int64_t)B * st->T * st->d->C;
    struct arena *a = &st->arena;

    slot->valid = arena_bytes(a, B * (int64_t)sizeof *slot->valid);
    for (int u = 0; u < st->part.u1 - st->part.u0; u++) {
        struct unit *z = &slot->units[u];
        for (int l = 0; l <= st->layers; l++)
            z->x[l] = l >= 2 && !back ? z->x[l - 2] : arena_reals(a, NC);
        if (back) z->dx = arena_reals(a, NC);
        for (int l = 0; !st->heads && l < st->layers; l++) {
            if (shared && back) z->carry[l] = arena_reals(a, st->carry_reals);
            if (shared) z->tape[l] = *shared;
            else block_tape(&st->m->blocks[0], &z->tape[l], a, &c);
        }
    }
    if (st->heads) return;
    slot->carry = arena_reals(a, st->layers * carry_stride(st));
    if (back) slot->dcarry = arena_reals(a, st->layers * carry_stride(st));
}

/* Lay everything out in st->arena; runs once to count and once for real. */
static void lay_out(struct stage *st, struct pass_bytes *bytes)
{
    const struct dims *d = st->d;
    const int B = st->o.micro_batch, back = !st->part.forward_only;
    const int redo = back && st->o.remat == REMAT_BLOCK && !st->heads;
    const int64_t N = (int64_t)B * st->T, batches = st->T / d->K + 1;
    const struct layer_call c = stage_shape(st);
    struct arena *a = &st->arena;
    struct block_tape shared;

    if (redo || !back) {
        block_tape(&st->m->blocks[0], &shared, a, &c);
        if (redo) st->redo = arena_reals(a, st->carry_reals);
    }
    for (int i = 0; i < st->part.slots; i++)
        lay_out_slot(st, &st->slots[i], redo || !back ? &shared : NULL);
    if (st->heads) stage_heads_tapes(st);
    bytes->tape = a->used;

    head_lay_out(&st->head, a, st->m, st->part.l1 == d->L ? st->T : 0, back);
    bytes->logits = a->used - bytes->tape;

    block_work(&st->m->blocks[0], &st->work, a, &c, back);
    if (st->m->bf16)
        bf16_work_lay_out(&st->bf16, a, N, st->T, bf16_widest(&st->m->params), back);
    if (st->heads) stage_heads_work(st);
    st->xn = arena_reals(a, N * d->C);
    st->r = arena_reals(a, N);
    st->stats = arena_bytes(a, B * d->H * batches * 3 * (int64_t)sizeof(double));
    st->tok = arena_bytes(a, N * (int64_t)sizeof *st->tok);
    bytes->scratch = a->used - bytes->tape - bytes->logits;
}

static int check_opts(const struct dims *d, const struct pass_opts *o)
{
    const struct layer *layer = layers_find(d->layer);

    if (o->context < 1 || o->micro_batch < 1 || o->slice_tokens < 1 || o->inner_group < 1)
        return fail(ERR_CONFIG, "train.context, micro_batch, slice_tokens and inner_group must be "
                                "at least 1");
    if (layer && layer->has & HAS_INNER && o->slice_tokens < o->context && o->slice_tokens % d->K)
        return fail(ERR_CONFIG, "train.slice_tokens %d must be a multiple of model.mini_batch %d",
                    o->slice_tokens, d->K);
    if (o->sequence_mode == SEQ_HEADS && layer && !(layer->split && layer->has & HAS_HEADS))
        return fail(ERR_CONFIG, "train.sequence_mode heads: layer %s does not treat heads apart",
                    d->layer);
    if (o->sequence_mode == SEQ_SCAN && layer && !(layer->split && layer->split->map))
        return fail(ERR_CONFIG, "train.sequence_mode scan: layer %s is not affine in its state",
                    d->layer);
    return model_check_window(d, o->context);
}

static struct stage *make(const struct model *m, const struct pass_opts *o,
                          const struct stage_part *part, struct pass_bytes *bytes)
{
    struct stage *st = mem_new(1, sizeof *st, "stage");

    *st = (struct stage){ .m = m, .d = &m->dims, .o = *o, .part = *part, .U = pass_units(o),
                          .inner_factor = 1 };
    check(part->l0 <= part->l1 && part->l1 <= m->dims.L && part->u0 <= part->u1 &&
          part->u1 <= st->U && part->slots > 0);
    check(!part->forward_only || part->S == 0);
    if (part->forward_only) st->o.inner_group = 0;  /* no inner states on a tape */
    st->T = o->slice_tokens < o->context ? o->slice_tokens : o->context;
    st->layers = part->l1 - part->l0;
    st->carry_reals = stage_carry_reals(st, o->micro_batch);
    st->room = tokens_before(st, part->u1);
    st->past_reals = align_reals(o->micro_batch * head_groups(st->d) * st->room * stage_row(st));
    st->slots = mem_new(part->slots, sizeof *st->slots, "slots");
    for (int i = 0; i < part->slots; i++) {
        const int units = part->u1 - part->u0;
        st->slots[i].units = mem_new(units, sizeof(struct unit), "units");
        for (int u = 0; u < units; u++) {
            struct unit *z = &st->slots[i].units[u];
            z->x = mem_new(st->layers + 1, sizeof(real *), "units");
            z->carry = mem_new(st->layers, sizeof(real *), "units");
            z->tape = mem_new(st->layers, sizeof(struct block_tape), "units");
        }
    }
    if (part->S > 1) st->heads = stage_heads_new(st);
    arena_plan(&st->arena);
    lay_out(st, bytes);
    return st;
}

struct stage *stage_new(const struct model *m, const struct pass_opts *o,
                        const struct stage_part *part)
{
    struct pass_bytes bytes;
    check(check_opts(&m->dims, o) == OK);
    struct stage *st = make(m, o, part, &bytes);
    const int64_t need = st->arena.peak;
    arena_init(&st->arena, need, "activations of a micro-batch");
    lay_out(st, &bytes);
    return st;
}

struct stage_part stage_part_of(const struct step_plan *plan, const struct grid_shape *g,
                                const struct pass_opts *o)
{
    const struct share *a = &plan->share;
    const int heads = o->sequence_mode != SEQ_WAVEFRONT && g->S > 1;
    return (struct stage_part){ .l0 = a->l0, .l1 = a->l1, .u0 = a->u0, .u1 = a->u1,
                                .slots = plan->slots, .s = heads ? a->s : 0,
                                .S = heads ? g->S : 0 };
}

int stage_plan(struct pass_bytes *bytes, const struct dims *d, const struct pass_opts *o,
               const struct stage_part *part)
{
    struct model *m = NULL;
    int rc;
    TRY(check_opts(d, o));
    TRY(model_shape(&m, d));
    if (o->bf16) model_use_bf16(m, 1);
    stage_free(make(m, o, part, bytes));
out:
    model_free(m);
    return rc;
}

void stage_free(struct stage *st)
{
    if (!st) return;
    for (int i = 0; i < st->part.slots; i++) {
        for (int u = 0; u < st->part.u1 - st->part.u0; u++) {
            mem_free(st->slots[i].units[u].x);
            mem_free(st->slots[i].units[u].carry);
            mem_free(st->slots[i].units[u].tape);
        }
        mem_free(st->slots[i].units);
    }
    mem_free(st->slots);
    stage_heads_free(st->heads);
    arena_done(&st->arena);
    mem_free(st);
}

void stage_inner_factor(struct stage *st, double factor) { st->inner_factor = factor; }

/* --- operations ----------------------------------------------------------- */

int64_t stage_count_targets(const int32_t *window, int n, int mask_token)
{
    int64_t count = 0;
    for (int t = 1; t <= n; t++) count += head_scored(window[t], mask_token);
    return count;
}

void stage_begin(struct stage *st, int slot, const int32_t *windows, int64_t stride,
                 const int64_t *valid, int64_t first, int B)
{
    struct slot *z = &st->slots[slot];
    check(B >= 1 && B <= st->o.micro_batch);
    z->windows = windows;
    z->stride = stride;
    z->first = first;
    z->B = B;
    memcpy(z->valid, valid, (size_t)B * sizeof *valid);
    if (z->dcarry)
        memset(z->dcarry, 0, (size_t)(st->layers * carry_stride(st)) * sizeof *z->dcarry);
}

/* Input ids of unit u of sequence b; its targets are one further. */
static const int32_t *tokens_of(const struct stage *st, const struct slot *z, int b, int u)
{
    return z->windows + b * z->stride + (int64_t)(u - st->part.u0) * st->T;
}

struct layer_call stage_call(const struct stage *st, const struct slot *z, struct grad *g, int u)
{
    return (struct layer_call){ .d = st->d, .t = &st->m->params, .w = st->m->w, .grad = g,
                                .bf16 = st->m->bf16, .bf16_work = (struct bf16_work *)&st->bf16,
                                .B = z->B, .T = stage_tokens(st, u), .pos = (int64_t)u * st->T,
                                .inner_lr = st->d->inner_lr * st->inner_factor,
                                .group = st->o.inner_group };
}

/* The same on layer l, with its past. */
static struct layer_call layer_call_of(struct stage *st, int slot, struct grad *g, int l, int u)
{
    struct layer_call c = stage_call(st, &st->slots[slot], g, u);
    if (!st->past_reals) return c;
    c.room = st->room;
    c.past = stage_carry(st, slot, l) + st->carry_reals;
    if (g) c.dpast = stage_dcarry(st, slot, l) + st->carry_reals;
    return c;
}

void stage_start(struct stage *st, int slot)
{
    struct layer_call c = stage_call(st, &st->slots[slot], NULL, 0);
    for (int l = st->part.l0; l < st->part.l1; l++)
        block_carry_start(&st->m->blocks[l], &c, stage_carry(st, slot, l));
}

void stage_start_backward(struct stage *st, int slot, int l, struct grad *g)
{
    struct layer_call c = stage_call(st, &st->slots[slot], g, 0);
    block_carry_start_backward(&st->m->blocks[l], &c, stage_dcarry(st, slot, l));
}

void stage_embed(struct stage *st, int slot, int u)
{
    const struct slot *z = &st->slots[slot];
    const int T = stage_tokens(st, u);
    for (int b = 0; b < z->B; b++) {
        const int32_t *tok = tokens_of(st, z, b, u);
        for (int t = 0; t < T; t++) st->tok[(int64_t)b * T + t] = tok[t] < 0 ? 0 : tok[t];
    }
    embed_forward(stage_x(st, slot, 0, u), st->m->w + st->m->params.p[st->m->i_embed].offset,
                  st->tok, z->B * T, st->d->C);
}

/* Rows of dx to the rows of their tokens.  Threads share out columns, because
 * a token may stand in many rows. */
void stage_embed_backward(struct stage *st, int slot, int u, struct grad *g)
{
    enum { COLUMNS = 64 };
    const struct slot *z = &st->slots[slot];
    const int C = st->d->C, T = stage_tokens(st, u);
    const int64_t at = st->m->params.p[st->m->i_embed].offset;
    const real *dx = stage_dx(st, slot, u);

    grad_end(g, at, at + (int64_t)st->d->V * C);  /* by all threads, before they add */
    #pragma omp parallel for schedule(static)
    for (int c = 0; c < C; c += COLUMNS) {
        const int n = C - c < COLUMNS ? C - c : COLUMNS;
        for (int b = 0; b < z->B; b++) {
            const int32_t *tok = tokens_of(st, z, b, u);
            for (int t = 0; t < T; t++)
                grad_add(g, at + (int64_t)tok[t] * C + c, dx + ((int64_t)b * T + t) * C + c, n);
        }
    }
}

/* Add a share of a mean over sequences; what is not finite is noted. */
static void add_share(struct pass_sums *sums, struct fixed *to, double x)
{
    if (isfinite(x) && fabs(x) < 0x1p40) fixed_add(to, x);
    else sums->bad = 1;
}

void stage_add_inner(const struct stage *st, struct pass_sums *sums, int l, int B, int H, int T)
{
    const int K = st->d->K, n = T / K, all = st->o.context / K;
    struct fixed *to[3] = { sums->inner_w0, sums->inner_before, sums->inner_after };
    for (int b = 0; b < B; b++)
        for (int i = 0; i < 3; i++)
            for (int h = 0; h < H; h++) {
                double sum = 0;
                for (int k = 0; k < n; k++)
                    sum += st->stats[(((int64_t)b * H + h) * n + k) * 3 + i];
                add_share(sums, &to[i][l], sum / ((double)st->d->H * K * all));
            }
}

void stage_forward(struct stage *st, int slot, int l, int u, struct pass_sums *sums)
{
    const int i = l - st->part.l0;
    struct unit *z = stage_unit(st, slot, u);
    struct layer_call c = layer_call_of(st, slot, NULL, l, u);
    real *carry = stage_carry(st, slot, l);

    if (z->carry[i])
        memcpy(z->carry[i], carry, (size_t)st->carry_reals * sizeof *carry);
    const struct pass_tap *tap = sums->tap;
    const int wanted = model_has_inner(st->m) && (sums->inner_w0 || (tap && tap->inner));
    const int batches = wanted ? c.T / st->d->K : 0;
    c.stats = batches ? st->stats : NULL;
    block_forward(&st->m->blocks[l], &c, z->x[i + 1], z->x[i], carry, &z->tape[i], &st->work);
    if (batches && sums->inner_w0) stage_add_inner(st, sums, l, c.B, st->d->H, c.T);
    for (int b = 0; batches && tap && tap->inner && b < c.B; b++)
        tap->inner(tap->ctx, l, st->slots[slot].first + b, c.pos,
                   st->stats + (int64_t)b * st->d->H * batches * 3, batches);
}

/* A block that is computed again appends the rows to the past that are there already. */
void stage_backward(struct stage *st, int slot, int l, int u, struct grad *g)
{
    const int i = l - st->part.l0;
    struct unit *z = stage_unit(st, slot, u);
    struct layer_call c = layer_call_of(st, slot, g, l, u);

    if (st->o.remat == REMAT_BLOCK) {
        memcpy(st->redo, z->carry[i], (size_t)st->carry_reals * sizeof *st->redo);
        block_forward(&st->m->blocks[l], &c, st->xn, z->x[i], st->redo, &z->tape[i], &st->work);
    }
    block_backward(&st->m->blocks[l], &c, z->dx, z->x[i], stage_dcarry(st, slot, l), &z->tape[i],
                   &st->work);
}

void stage_head(struct stage *st, int slot, int u, struct grad *g, struct pass_sums *sums)
{
    const struct model *m = st->m;
    const struct slot *z = &st->slots[slot];
    const int C = st->d->C, T = stage_tokens(st, u);
    const int64_t at_norm = m->params.p[m->i_norm].offset;
    const real *x = stage_x(st, slot, st->d->L, u);
    real *dx = stage_dx(st, slot, u);

    rmsnorm_forward(st->xn, st->r, x, m->w + at_norm, z->B * T, C, st->d->rms_eps);
    if (g) memset(dx, 0, (size_t)((int64_t)z->B * T * C) * sizeof *dx);
    for (int b = 0; b < z->B; b++) {
        const int64_t at = (int64_t)b * T * C, valid = z->valid[b];
        const struct head_unit unit = {
            .m = m, .x = st->xn + at, .T = T, .mask_token = st->o.mask_token,
            .target = tokens_of(st, z, b, u) + 1,
            .scale = valid ? (double)st->U / (double)valid : 0,
            .tap = sums->tap, .sequence = z->first + b, .position = (int64_t)u * st->T,
        };
        const double nll = head_unit(&st->head, g, &unit);
        add_share(sums, &sums->loss, valid ? nll / (double)valid : 0);
        if (!g) continue;
        memset(st->head.dw, 0, (size_t)C * sizeof(real));
        rmsnorm_backward(dx + at, st->head.dw, st->head.dx, x + at, m->w + at_norm,
                         st->r + (int64_t)b * T, T, C);
        grad_add(g, at_norm, st->head.dw, C);
    }
}
