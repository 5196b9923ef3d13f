/* SPDX-License-Identifier: Apache-2.0 */
#include "src/model/stage_seq.h"

#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/conv1d.h"
#include "src/model/stage_state.h"

/* What our heads have of one layer of a micro-batch, from forward to backward. */
struct heads_tape {
    real *in;      /* (U, in_each H B T) what crossed to them   */
    real *kept;    /* (U, kept) what inner keeps                */
};

struct stage_seq {
    /* The layer under way. */
    int               slot, l;
    struct slice     *slices;          /* (own) */
    struct seq_share  share;
    struct grad      *g;
    struct pass_sums *sums;            /* NULL: nobody wants inner losses          */

    int               n_tapes;         /* (slots x layers), or (layers) in turn    */
    struct heads_tape *tapes;
    real             *carry, *dcarry;  /* of the layer                             */
    real             *past, *dpast;    /* (B, H, context, row)                     */
    real             *map;             /* scan mode: (B, decays, offsets)          */
    real             *leaves;          /* (B, halo)                                */
    real             *tokens;          /* (own, groups each B T) our tokens        */
    real             *out, *din;       /* (U, H each B T) our heads                */
};

static int heads_mode(const struct stage *st) { return st->o.sequence_mode == SEQ_HEADS; }

static struct seq_share share_of_layer(const struct stage *st, int l)
{
    return (struct seq_share){ .S = st->part.S, .s = st->part.s, .U = st->U, .T = st->T,
                               .context = st->o.context,
                               .groups = heads_mode(st) ? head_groups(&stage_block(st, l)->d) : 0 };
}

static int64_t each_of(const struct block *b, enum cross what)
{
    return what == CROSS_IN ? layer_in_reals(b->layer, &b->d) : b->layer->out.reals(&b->d);
}

static int own_heads(const struct seq_share *p) { return seq_share_heads(p, p->s); }

/* --- memory ------------------------------------------------------------------- */

struct stage_seq *stage_seq_new(const struct stage *st)
{
    struct stage_seq *q = mem_new(1, sizeof *q, "heads mode");
    const int slots = st->o.remat == REMAT_BLOCK ? 1 : st->part.slots;

    q->share = share_of_layer(st, st->part.l0);  /* rounds are the same in all layers */
    q->n_tapes = slots * st->layers;
    q->tapes = mem_new(q->n_tapes, sizeof *q->tapes, "heads mode");
    return q;
}

void stage_seq_free(struct stage_seq *q)
{
    if (!q) return;
    mem_free(q->tapes);
    mem_free(q);
}

static int64_t kept_reals(const struct stage *st, int l)
{
    const struct layer_call c = stage_shape(st);
    const struct seq_share p = share_of_layer(st, l);
    return block_kept_reals(stage_block(st, l), &c, own_heads(&p));
}

/* Reals of our heads' arrays of all units, or of all heads' arrays of our units. */
static int64_t heads_reals(const struct stage *st, int l, enum cross what)
{
    const struct seq_share p = share_of_layer(st, l);
    return st->U * each_of(stage_block(st, l), what) * own_heads(&p) * st->o.micro_batch * st->T;
}

static int64_t tokens_reals(const struct stage *st, int l, enum cross what)
{
    const struct seq_share p = share_of_layer(st, l);
    return st->own * each_of(stage_block(st, l), what) * p.groups * st->o.micro_batch * st->T;
}

void stage_seq_tapes(struct stage *st)
{
    struct stage_seq *q = st->seq;
    struct arena *a = &st->arena;
    const int64_t mark = arena_mark(a);
    int64_t most = mark;

    for (int i = 0; heads_mode(st) && i < q->n_tapes; i++) {
        const int l = st->part.l0 + i % st->layers;
        if (st->o.remat == REMAT_BLOCK) arena_reset(a, mark);
        q->tapes[i].in = arena_reals(a, heads_reals(st, l, CROSS_IN));
        q->tapes[i].kept = arena_reals(a, st->U * kept_reals(st, l));
        if (arena_mark(a) > most) most = arena_mark(a);
    }
    arena_bytes(a, most - arena_mark(a));
}

/* Room for the largest of our layers. */
struct most { int64_t carry, past, leaves, map, tokens, out, din; };

static void raise(int64_t *most, int64_t n)
{
    if (n > *most) *most = n;
}

static void most_of(struct most *z, const struct stage *st, int l)
{
    const struct block *b = stage_block(st, l);
    const struct seq_share p = share_of_layer(st, l);
    const int B = st->o.micro_batch, rows = b->d.conv_width - 1;
    const int width = b->layer->halo.width ? b->layer->halo.width(&b->d) : 0;
    int64_t offset, n, stride;

    raise(&z->carry, B * block_carry_reals(b));
    raise(&z->past, B * own_heads(&p) * st->o.context * block_past_row(b));
    raise(&z->leaves, (int64_t)B * rows * (width > b->d.C ? width : b->d.C));
    if (heads_mode(st)) {
        raise(&z->tokens, tokens_reals(st, l, CROSS_IN));
        raise(&z->tokens, tokens_reals(st, l, CROSS_OUT));
        raise(&z->out, heads_reals(st, l, CROSS_OUT));
        raise(&z->din, heads_reals(st, l, CROSS_IN));
    } else {
        block_map_part(b, B, &offset, &n, &stride);
        raise(&z->map, 2 * B * n);
    }
}

void stage_seq_scratch(struct stage *st)
{
    struct stage_seq *q = st->seq;
    struct arena *a = &st->arena;
    struct most z = { .carry = 0 };

    for (int l = st->part.l0; l < st->part.l1; l++) most_of(&z, st, l);
    q->carry = arena_reals(a, z.carry);
    q->dcarry = arena_reals(a, z.carry);
    q->past = arena_reals(a, z.past);
    q->dpast = arena_reals(a, z.past);
    q->leaves = arena_reals(a, z.leaves);
    q->map = arena_reals(a, z.map);
    q->tokens = arena_reals(a, z.tokens);
    q->out = arena_reals(a, z.out);
    q->din = arena_reals(a, z.din);
}

/* --- the layer under way -------------------------------------------------------- */

static const struct block *block_now(const struct stage *st) { return stage_block(st, st->seq->l); }

static struct heads_tape *tape_now(const struct stage *st)
{
    const struct stage_seq *q = st->seq;
    return &q->tapes[(q->slot * st->layers + q->l - st->part.l0) % q->n_tapes];
}

const struct seq_share *stage_seq_share(const struct stage *st) { return &st->seq->share; }
int stage_seq_sequences(const struct stage *st) { return st->slots[st->seq->slot].B; }

/* A call on unit u, of our heads. */
static struct layer_call heads_call(const struct stage *st, int u)
{
    const struct stage_seq *q = st->seq;
    struct layer_call c = stage_call(st, &st->slots[q->slot], q->g, u);
    if (!block_past_row(block_now(st))) return c;
    c.room = st->o.context;
    c.past = q->past;
    c.dpast = q->dpast;
    return c;
}

/* Any slice's arrays have the scratch. */
static struct block_arrays *scratch_now(const struct stage *st) { return st->seq->slices[0].v; }

int64_t stage_seq_each(const struct stage *st, enum cross what)
{
    return each_of(block_now(st), what);
}

real *stage_seq_tokens(struct stage *st, enum cross what, int j)
{
    const struct stage_seq *q = st->seq;
    return q->tokens + j * stage_seq_each(st, what) * q->share.groups * stage_seq_sequences(st) *
                           st->T;
}

/* Our heads' arrays of the unit at a place. */
static real *heads_at(struct stage *st, enum cross what, int back, int place)
{
    const struct stage_seq *q = st->seq;
    real *all = what == CROSS_OUT ? q->out : back ? q->din : tape_now(st)->in;
    return all + place * stage_seq_each(st, what) * own_heads(&q->share) *
                     stage_seq_sequences(st) * st->T;
}

real *stage_seq_heads(struct stage *st, enum cross what, int back, int j)
{
    return heads_at(st, what, back, j * st->part.S);
}

/* Between arrays (N, groups * reals) of own unit j and its buffer, which has a piece for each rank,
 * in it array after array (N, groups of the rank * reals). */
static void regroup(struct stage *st, enum cross what, int j, int back, int pack)
{
    const struct stage_seq *q = st->seq;
    const struct seq_share *p = &q->share;
    const struct block *b = block_now(st);
    const struct crossing *list = what == CROSS_IN ? b->layer->in : &b->layer->out;
    const int n_list = what == CROSS_IN ? LAYER_INPUTS : 1;
    const int64_t N = (int64_t)q->slices[j].c.B * q->slices[j].c.T, all = stage_seq_each(st, what);
    real **arrays = q->slices[j].v->layer, *flat = stage_seq_tokens(st, what, j);

    #pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < N; n++) {
        int64_t before = 0;  /* reals of a group in the arrays so far */
        for (int i = 0; i < n_list && list[i].reals; i++) {
            const int each = list[i].reals(&b->d);
            real *row = arrays[back ? list[i].grad : list[i].at] + n * p->groups * each;
            for (int r = 0; r < p->S; r++) {
                const int64_t h0 = seq_share_head(p, r), H = seq_share_heads(p, r);
                real *piece = flat + N * (h0 * all + H * before) + n * H * each;
                memcpy(pack ? piece : row + h0 * each, pack ? row + h0 * each : piece,
                       (size_t)(H * each) * sizeof *row);
            }
            before += each;
        }
    }
}

void stage_seq_pack(struct stage *st, enum cross what, int j, int back)
{
    regroup(st, what, j, back, 1);
}

void stage_seq_unpack(struct stage *st, enum cross what, int j, int back)
{
    regroup(st, what, j, back, 0);
}

/* Our heads of unit u. */
static struct head_share share_of_heads(struct stage *st, int u)
{
    const struct stage_seq *q = st->seq;
    const struct block *b = block_now(st);
    const int place = seq_share_place(&q->share, u), H = own_heads(&q->share);
    const int64_t N = (int64_t)stage_seq_sequences(st) * stage_tokens(st, u);
    real *in = heads_at(st, CROSS_IN, 0, place), *din = heads_at(st, CROSS_IN, 1, place);
    struct head_share s = { .h0 = seq_share_head(&q->share, q->share.s), .H = H };

    s.kept = tape_now(st)->kept + u * kept_reals(st, q->l);
    s.out = s.dout = heads_at(st, CROSS_OUT, 0, place);
    for (int i = 0; i < LAYER_INPUTS && b->layer->in[i].reals; i++) {
        const int64_t n = N * H * b->layer->in[i].reals(&b->d);
        s.in[i] = in;
        s.din[i] = din;
        in += n;
        din += n;
    }
    return s;
}

void stage_seq_inner(struct stage *st, int u, int back)
{
    const struct stage_seq *q = st->seq;
    const struct block *b = block_now(st);
    const struct head_share s = share_of_heads(st, u);
    struct layer_call c = heads_call(st, u);

    if (s.H == 0) return;
    if (back) {
        block_inner_backward(b, &c, scratch_now(st), &s, q->dcarry);
        return;
    }
    const int wanted = q->sums && q->sums->inner_w0 && block_has_inner(b) && c.T >= b->d.K;
    c.stats = wanted ? st->stats : NULL;
    block_inner(b, &c, scratch_now(st), &s, q->carry);
    if (wanted) stage_add_inner(st, q->sums, q->l, c.B, s.H, c.T);
}

/* --- forward and backward -------------------------------------------------------- */

static void start(struct stage *st, int slot, int l, struct grad *g, struct pass_sums *sums,
                  int again)
{
    struct stage_seq *q = st->seq;

    q->slot = slot;
    q->l = l;
    q->share = share_of_layer(st, l);
    q->g = g;
    q->sums = sums;
    q->slices = stage_slices(st, slot, l, st->part.u0, st->own, g, again);
}

static void forward(struct stage *st, int slot, int l, const struct block_hooks *hooks,
                    struct pass_sums *sums, int again)
{
    struct layer_call c = stage_call(st, &st->slots[slot], NULL, st->part.u0);

    start(st, slot, l, NULL, sums, again);
    block_carry_start(stage_block(st, l), &c, st->seq->carry);
    block_forward(stage_block(st, l), st->seq->slices, st->own, st->seq->carry, hooks);
}

void stage_seq_forward(struct stage *st, int slot, int l, const struct block_hooks *hooks,
                       struct pass_sums *sums)
{
    forward(st, slot, l, hooks, sums, 0);
}

/* What crossed to our heads is on the tape, so the past is made of it again. */
static void past_again(struct stage *st)
{
    for (int u = 0; u < st->U; u++) {
        const struct head_share s = share_of_heads(st, u);
        struct layer_call c = heads_call(st, u);
        block_append(block_now(st), &c, scratch_now(st), &s);
    }
}

void stage_seq_backward(struct stage *st, int slot, int l, const struct block_hooks *hooks,
                        struct grad *g)
{
    struct stage_seq *q = st->seq;
    const struct block *b = stage_block(st, l);
    const int B = st->slots[slot].B;
    struct layer_call c = stage_call(st, &st->slots[slot], g, st->part.u0);

    if (st->o.remat == REMAT_BLOCK) forward(st, slot, l, hooks, NULL, 1);
    start(st, slot, l, g, NULL, 0);
    memset(q->dcarry, 0, (size_t)(B * block_carry_reals(b)) * sizeof(real));
    if (block_past_row(b) && own_heads(&q->share)) {
        const int64_t past = B * own_heads(&q->share) * st->o.context * block_past_row(b);
        memset(q->dpast, 0, (size_t)past * sizeof(real));
        past_again(st);
    }
    block_backward(b, q->slices, st->own, q->dcarry, hooks);
    if (heads_mode(st) || st->part.s == 0) block_carry_start_backward(b, &c, q->dcarry);
}

/* --- scan mode ------------------------------------------------------------------ */

real *stage_seq_map(struct stage *st, int64_t *n)
{
    const int B = stage_seq_sequences(st);
    int64_t offset, stride;

    block_map_part(block_now(st), B, &offset, n, &stride);
    *n *= B;
    return st->seq->map;
}

void stage_seq_map_start(struct stage *st)
{
    int64_t n;
    real *map = stage_seq_map(st, &n);

    for (int64_t i = 0; i < n; i++) map[i] = 1;
    memset(map + n, 0, (size_t)n * sizeof *map);
}

void stage_seq_map_add(struct stage *st, int j, int back)
{
    block_map(block_now(st), &st->seq->slices[j], st->seq->map, back);
}

void stage_seq_map_enter(struct stage *st, const real *map, int back)
{
    const int B = stage_seq_sequences(st);
    real *carry = back ? st->seq->dcarry : st->seq->carry;
    int64_t offset, n, stride;

    block_map_part(block_now(st), B, &offset, &n, &stride);
    for (int b = 0; b < B; b++) {
        real *state = carry + offset + b * stride;
        const real *decay = map + b * n, *add = map + (B + b) * n;
        for (int64_t i = 0; i < n; i++) state[i] = decay[i] * state[i] + add[i];
    }
}

/* --- halos ---------------------------------------------------------------- */

int stage_seq_halo(struct stage_halo *h, struct stage *st, int which)
{
    struct stage_seq *q = st->seq;
    const struct block *b = block_now(st);
    const int B = stage_seq_sequences(st);
    struct block_halo z;

    if (!block_halo(&z, b, B, which, q->slices[0].v)) return 0;
    h->came = (struct halo_rows){ q->carry + z.offset, z.n, z.stride, B };
    h->leaves = (struct halo_rows){ q->leaves, z.n, z.n, B };
    h->dleaves = (struct halo_rows){ q->dcarry + z.offset, z.n, z.stride, B };
    h->early = st->T >= b->d.conv_width - 1;
    h->dcame = h->early ? (struct halo_rows){ z.back, z.n, z.back_stride, B } : h->dleaves;
    return 1;
}

void stage_seq_halo_leaves(struct stage *st, int which)
{
    const struct block *b = block_now(st);
    struct stage_halo h;
    struct block_halo z;

    if (!stage_seq_halo(&h, st, which)) return;
    for (int i = 0; i < h.came.count; i++)
        memcpy(h.leaves.at + i * h.leaves.stride, h.came.at + i * h.came.stride,
               (size_t)h.came.n * sizeof(real));
    for (int j = 0; j < st->own; j++) {
        const struct slice *s = &st->seq->slices[j];
        block_halo(&z, b, s->c.B, which, s->v);
        for (int i = 0; i < s->c.B; i++)
            conv1d_halo(h.leaves.at + i * h.leaves.stride, z.rows + (int64_t)i * s->c.T * z.width,
                        s->c.T, z.width, b->d.conv_width);
    }
}

void stage_seq_halo_backward(struct stage *st, int which)
{
    block_halo_backward(block_now(st), st->seq->slices, st->own, which, st->seq->dcarry);
}
