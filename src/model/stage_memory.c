/* SPDX-License-Identifier: Apache-2.0 */
/* A stage's memory: sizes of its layers, then everything in one arena. */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/model/stage_state.h"

/* --- what is possible --------------------------------------------------------- */

/* Can block l be trained like this? */
static int check_block(const struct model *m, const struct pass_opts *o, int l)
{
    const struct block *b = &m->blocks[l];
    const char *name = b->layer->name;

    if (o->slice_tokens < o->context && o->slice_tokens % block_chunk(b))
        return fail(ERR_CONFIG, "train.slice_tokens is %d: expected a multiple of %d, the tokens "
                    "of a chunk of block %d, layer %s (TTT layers: model.mini_batch)", o->slice_tokens,
                    block_chunk(b), l, name);
    if (o->sequence_mode == SEQ_SCAN && !b->layer->map)
        return fail(ERR_CONFIG, "train.sequence_mode scan: block %d, layer %s, is not affine in "
                    "its state; use wavefront", l, name);
    return OK;
}

static int check_opts(const struct model *m, const struct pass_opts *o)
{
    int heads = 0, rc = OK;

    if (o->context < 1 || o->micro_batch < 1 || o->slice_tokens < 1 || o->inner_group < 1)
        return fail(ERR_CONFIG, "train.context, micro_batch, slice_tokens and inner_group must be "
                                "at least 1");
    for (int l = 0; l < m->dims.L; l++) {
        TRY(check_block(m, o, l));
        heads |= m->blocks[l].layer->has & HAS_HEADS;
    }
    if (o->sequence_mode == SEQ_HEADS && !heads)
        return fail(ERR_CONFIG, "train.sequence_mode heads: no block of this model has heads "
                    "(block 0 is layer %s); use wavefront", m->blocks[0].layer->name);
    TRY(model_check_window(&m->dims, o->context));
out:
    return rc;
}

/* --- layout ------------------------------------------------------------------------ */

static int backward_follows(const struct stage *st) { return !st->part.forward_only; }

/* Residual streams, carries and what else a slot has. */
static void lay_out_slot(struct stage *st, struct slot *slot)
{
    const int B = st->o.micro_batch, back = backward_follows(st);
    const int redo = back && st->o.remat == REMAT_BLOCK && !st->seq;
    const int64_t NC = (int64_t)B * st->T * st->d->C;
    struct arena *a = &st->arena;

    slot->valid = arena_bytes(a, B * (int64_t)sizeof *slot->valid);
    for (int u = 0; u < st->own; u++) {
        struct unit *z = &slot->units[u];
        for (int l = 0; l <= st->layers; l++)
            z->x[l] = l >= 2 && !back ? z->x[l - 2] : arena_reals(a, NC);
        if (back) z->dx = arena_reals(a, NC);
        if (redo)
            for (int l = 0; l < st->layers; l++)
                z->carry[l] = arena_reals(a, st->layer[l].carry);
    }
    if (st->seq) return;
    slot->carry = arena_reals(a, st->carries);
    if (back) slot->dcarry = arena_reals(a, st->carries);
}

/* How many of the slices of a stage have arrays of their own: one that all take in turn, the units
 * of a layer, or all. */
enum own { OWN_NONE, OWN_UNITS, OWN_ALL };

static enum own own_tapes(const struct stage *st)
{
    if (backward_follows(st) && st->o.remat == REMAT_NONE) return OWN_ALL;
    return st->seq ? OWN_UNITS : OWN_NONE;
}

/* Arrays with these lives, of every slice.  Those that have none of their own begin at the same
 * place, where the largest has room. */
static void lay_out_lives(struct stage *st, int lives, enum own own)
{
    const struct layer_call c = stage_shape(st);
    struct arena *a = &st->arena;
    const int64_t mark = arena_mark(a);
    int64_t most = mark;

    for (int i = 0; i < st->array_slots; i++)
        for (int l = st->part.l0; l < st->part.l1; l++) {
            if (own != OWN_ALL) arena_reset(a, mark);
            for (int j = 0; j < st->array_units; j++) {
                if (own == OWN_NONE) arena_reset(a, mark);
                block_lay_out(stage_block(st, l), stage_arrays(st, i, l, st->part.u0 + j), a, &c,
                              lives);
                if (arena_mark(a) > most) most = arena_mark(a);
            }
        }
    arena_bytes(a, most - arena_mark(a));
}

static int64_t largest(const struct stage *st, int64_t (*reals)(const struct stage *st, int l))
{
    int64_t most = 0;
    for (int l = st->part.l0; l < st->part.l1; l++)
        if (reals(st, l) > most) most = reals(st, l);
    return most;
}

static int64_t carry_of(const struct stage *st, int l) { return st->layer[l - st->part.l0].carry; }

/* Inner losses of a unit. */
static int64_t stats_of(const struct stage *st, int l)
{
    const struct block *b = stage_block(st, l);
    if (!block_has_inner(b)) return 0;
    return 3 * (int64_t)st->o.micro_batch * b->d.H * (st->T / b->d.K + 1);
}

/* Lay everything out in st->arena; runs once to count and once for real. */
static void lay_out(struct stage *st, struct pass_bytes *bytes)
{
    const struct dims *d = st->d;
    const int back = backward_follows(st), heads = st->seq && st->o.sequence_mode == SEQ_HEADS;
    const int wait = st->seq ? LIFE_WAIT : 0, in = heads ? LIFE_IN : 0;
    const int kept = heads ? LIFE_KEPT : 0;
    const int64_t N = (int64_t)st->o.micro_batch * st->T;
    struct arena *a = &st->arena;

    lay_out_lives(st, block_lives_slice(back) & ~in & ~kept, own_tapes(st));
    for (int i = 0; i < st->part.slots; i++) lay_out_slot(st, &st->slots[i]);
    if (back && st->o.remat == REMAT_BLOCK && !st->seq)
        st->redo = arena_reals(a, largest(st, carry_of));
    if (st->seq) stage_seq_tapes(st);
    bytes->tape = a->used;

    head_lay_out(&st->head, a, st->m, st->part.l1 == d->L ? st->T : 0, back);
    bytes->logits = a->used - bytes->tape;

    lay_out_lives(st, (block_lives_shared(back) & ~wait) | in, OWN_NONE);
    if (wait) lay_out_lives(st, wait, OWN_UNITS);
    if (st->m->bf16)
        bf16_work_lay_out(&st->bf16, a, N, st->T, bf16_widest(&st->m->params), back);
    if (st->seq) stage_seq_scratch(st);
    st->xn = arena_reals(a, N * d->C);
    st->r = arena_reals(a, N);
    st->stats = arena_bytes(a, largest(st, stats_of) * (int64_t)sizeof(double));
    st->tok = arena_bytes(a, N * (int64_t)sizeof *st->tok);
    bytes->scratch = a->used - bytes->tape - bytes->logits;
}

/* --- making ---------------------------------------------------------------------- */

/* Sizes of our layers' carries. */
static void measure(struct stage *st)
{
    const int B = st->o.micro_batch;

    st->layer = mem_new(st->layers, sizeof *st->layer, "layers of a stage");
    for (int i = 0; i < st->layers; i++) {
        const struct block *b = stage_block(st, st->part.l0 + i);
        struct stage_layer *z = &st->layer[i];
        z->at = st->carries;
        z->row = block_past_row(b);
        z->carry = B * block_carry_reals(b);
        z->past = align_reals(B * head_groups(&b->d) * st->room * z->row);
        st->carries += z->carry + z->past;
    }
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
    if (part->forward_only) st->o.inner_group = 0;  /* nothing is kept for a backward */
    st->T = o->slice_tokens < o->context ? o->slice_tokens : o->context;
    st->layers = part->l1 - part->l0;
    st->own = part->u1 - part->u0;
    st->room = (int64_t)part->u1 * st->T < o->context ? (int64_t)part->u1 * st->T : o->context;
    measure(st);
    st->slots = mem_new(part->slots, sizeof *st->slots, "slots");
    for (int i = 0; i < part->slots; i++) {
        st->slots[i].units = mem_new(st->own, sizeof(struct unit), "units");
        for (int u = 0; u < st->own; u++) {
            struct unit *z = &st->slots[i].units[u];
            z->x = mem_new(st->layers + 1, sizeof(real *), "units");
            z->carry = mem_new(st->layers, sizeof(real *), "units");
        }
    }
    if (part->S > 1) st->seq = stage_seq_new(st);
    st->array_slots = own_tapes(st) == OWN_ALL ? part->slots : 1;
    st->array_units = own_tapes(st) == OWN_NONE ? 1 : st->own;
    st->arrays = mem_new((int64_t)st->array_slots * st->layers * st->array_units,
                         sizeof *st->arrays, "arrays of slices");
    st->slices = mem_new(st->own, sizeof *st->slices, "slices");
    arena_plan(&st->arena);
    lay_out(st, bytes);
    return st;
}

struct stage *stage_new(const struct model *m, const struct pass_opts *o,
                        const struct stage_part *part)
{
    struct pass_bytes bytes;
    check(check_opts(m, o) == OK);
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
    TRY(model_shape(&m, d));
    TRY(check_opts(m, o));
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
        for (int u = 0; u < st->own; u++) {
            mem_free(st->slots[i].units[u].x);
            mem_free(st->slots[i].units[u].carry);
        }
        mem_free(st->slots[i].units);
    }
    mem_free(st->slots);
    mem_free(st->layer);
    mem_free(st->arrays);
    mem_free(st->slices);
    stage_seq_free(st->seq);
    arena_done(&st->arena);
    mem_free(st);
}
