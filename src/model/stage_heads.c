#include "src/model/stage_heads.h"

#include <string.h>

#include "src/base/mem.h"
#include "src/base/part.h"
#include "src/base/status.h"
#include "src/kernels/conv1d.h"
#include "src/model/heads_state.h"

static int64_t all_reals(const struct layer_split *s, const struct dims *d)
{
    int64_t sum = 0;
    for (int i = 0; i < s->n_in; i++) sum += head_reals(&s->in[i], d);
    return sum;
}

struct stage_heads *stage_heads_new(const struct stage *st)
{
    const struct dims *d = st->d;
    const struct stage_part *p = &st->part;
    struct stage_heads *h = mem_new(1, sizeof *h, "heads mode");

    *h = (struct stage_heads){ .split = st->m->blocks[0].layer->split, .s = p->s, .S = p->S,
                               .U = st->U, .own = p->u1 - p->u0 };
    h->rounds = (st->U + p->S - 1) / p->S;
    const int groups = st->o.sequence_mode == SEQ_SCAN ? 0 : head_groups(d);
    h->h0 = (int)part_begin(groups, p->S, p->s);
    h->H = (int)part_begin(groups, p->S, p->s + 1) - h->h0;
    h->past_reals = (int64_t)st->o.micro_batch * h->H * st->o.context * stage_row(st);
    h->in_each = groups ? all_reals(h->split, d) : 0;
    h->out_each = groups ? head_reals(&h->split->out, d) : 0;
    h->kept = h->split->kept_reals(d, st->o.micro_batch, st->T, h->H, st->o.inner_group);
    h->n_tapes = st->o.remat == REMAT_BLOCK ? 1 : p->slots * st->layers;
    h->tapes = mem_new(h->n_tapes, sizeof *h->tapes, "heads mode");
    for (int i = 0; i < h->n_tapes; i++)
        h->tapes[i].units = mem_new(h->own, sizeof(struct block_tape), "heads mode");
    h->work = mem_new(h->own, sizeof *h->work, "heads mode");
    return h;
}

void stage_heads_free(struct stage_heads *h)
{
    if (!h) return;
    for (int i = 0; i < h->n_tapes; i++) mem_free(h->tapes[i].units);
    mem_free(h->tapes);
    mem_free(h->work);
    mem_free(h);
}

void stage_heads_tapes(struct stage *st)
{
    struct stage_heads *h = st->heads;
    const struct block *b = &st->m->blocks[0];
    const struct layer_call c = stage_shape(st);
    const int B = st->o.micro_batch;
    struct arena *a = &st->arena;
    struct block_tape passing = { { { 0 } }, { { 0 } } };

    h->split->passing(&passing.layer, a, &c);
    for (int i = 0; i < h->n_tapes; i++) {
        for (int j = 0; j < h->own; j++) {
            h->tapes[i].units[j] = passing;
            block_split_tape(b, &h->tapes[i].units[j], a, &c);
        }
        h->tapes[i].in = arena_reals(a, h->U * h->in_each * h->H * B * st->T);
        h->tapes[i].kept = arena_reals(a, h->U * h->kept);
    }
}

/* Reals of a sequence's halo: that of the layer may be wider than the one in front. */
static int64_t widest_halo(const struct stage *st)
{
    const struct layer_split *split = st->heads->split;
    const int width = split->halo_width ? split->halo_width(st->d) : 0;
    return (int64_t)(st->d->conv_width - 1) * (width > st->d->C ? width : st->d->C);
}

/* After st->work, which the units share. */
void stage_heads_work(struct stage *st)
{
    struct stage_heads *h = st->heads;
    const struct dims *d = st->d;
    const int B = st->o.micro_batch;
    const int64_t N = (int64_t)B * st->T, widest = h->in_each > h->out_each ? h->in_each
                                                                             : h->out_each;
    const struct layer_call c = stage_shape(st);
    struct arena *a = &st->arena;
    int64_t offset, n, stride;

    for (int j = 0; j < h->own; j++) {
        h->work[j] = st->work;
        block_held(&st->m->blocks[0], &h->work[j], a, &c);
    }
    h->carry = arena_reals(a, st->carry_reals);
    h->dcarry = arena_reals(a, st->carry_reals);
    h->past = arena_reals(a, h->past_reals);
    h->dpast = arena_reals(a, h->past_reals);
    h->leaves = arena_reals(a, B * widest_halo(st));
    if (st->o.sequence_mode == SEQ_SCAN) {
        block_map_part(&st->m->blocks[0], B, &offset, &n, &stride);
        h->map = arena_reals(a, 2 * B * n);
    }
    h->tokens = arena_reals(a, h->own * widest * head_groups(d) * N);
    h->out = arena_reals(a, h->U * h->out_each * h->H * N);
    h->din = arena_reals(a, h->U * h->in_each * h->H * N);
}

/* --- who has what ----------------------------------------------------------- */

/* A call on unit u, of our heads. */
static struct layer_call heads_call(const struct stage *st, int slot, struct grad *g, int u)
{
    struct layer_call c = stage_call(st, &st->slots[slot], g, u);
    if (!st->heads->past_reals) return c;
    c.room = st->o.context;
    c.past = st->heads->past;
    c.dpast = st->heads->dpast;
    return c;
}

/* Rank r's first unit and first head, and how many. */
static int first_unit(const struct stage_heads *h, int r) { return (int)part_begin(h->U, h->S, r); }

static int units_of(const struct stage_heads *h, int r)
{
    return first_unit(h, r + 1) - first_unit(h, r);
}

static int first_head(const struct stage *st, int r)
{
    return (int)part_begin(head_groups(st->d), st->heads->S, r);
}

/* Where unit u lies among all units: round after round, in a round rank after rank.  The last
 * round is that of the first ranks, so nothing is left free. */
static int place_of(const struct stage_heads *h, int u)
{
    int r = 0;
    while (first_unit(h, r + 1) <= u) r++;
    return (u - first_unit(h, r)) * h->S + r;
}

int stage_heads_rounds(const struct stage *st) { return st->heads->rounds; }
int stage_heads_units(const struct stage *st) { return st->heads->U; }
int stage_heads_own(const struct stage *st) { return st->heads->own; }
int stage_heads_place(const struct stage *st, int u) { return place_of(st->heads, u); }

static int64_t each_of(const struct stage_heads *h, enum cross what)
{
    return what == CROSS_IN ? h->in_each : h->out_each;
}

void stage_heads_part(struct cross_part *out, const struct stage *st, int slot, enum cross what,
                      int j, int r)
{
    const struct stage_heads *h = st->heads;
    const int64_t each = st->slots[slot].B * each_of(h, what);
    const int64_t T = j < h->own ? stage_tokens(st, st->part.u0 + j) : 0;
    const int64_t theirs = j < units_of(h, r) ? stage_tokens(st, first_unit(h, r) + j) : 0;

    out->tokens = T * each * (first_head(st, r + 1) - first_head(st, r));
    out->tokens_at = T * each * first_head(st, r);
    out->heads = theirs * each * h->H;
    out->heads_at = r * st->T * each * h->H;
}

real *stage_heads_tokens(struct stage *st, int slot, enum cross what, int j)
{
    struct stage_heads *h = st->heads;
    return h->tokens + j * each_of(h, what) * head_groups(st->d) * st->slots[slot].B * st->T;
}

static real *heads_at(struct stage *st, int slot, int l, enum cross what, int back, int place)
{
    struct stage_heads *h = st->heads;
    real *all = what == CROSS_OUT ? h->out : back ? h->din : heads_tape(st, slot, l)->in;
    return all + place * each_of(h, what) * h->H * st->slots[slot].B * st->T;
}

real *stage_heads_heads(struct stage *st, int slot, int l, enum cross what, int back, int j)
{
    return heads_at(st, slot, l, what, back, j * st->heads->S);
}

/* Between arrays (N, H * reals) of own unit j and its buffer, which has a piece for each rank, in
 * it array after array (N, heads of the rank * reals). */
static void regroup(struct stage *st, int slot, enum cross what, int j, const struct tape *arrays,
                    int grad, int pack)
{
    const struct stage_heads *h = st->heads;
    const struct head_array *list = what == CROSS_IN ? h->split->in : &h->split->out;
    const int n_list = what == CROSS_IN ? h->split->n_in : 1, groups = head_groups(st->d);
    const int64_t N = (int64_t)st->slots[slot].B * stage_tokens(st, st->part.u0 + j);
    const int64_t all = each_of(h, what);
    real *flat = stage_heads_tokens(st, slot, what, j);

    if (!all) return;  /* scan mode: nothing crosses */
    #pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < N; n++) {
        int64_t before = 0;  /* reals of a head in the arrays so far */
        for (int i = 0; i < n_list; i++) {
            const int each = head_reals(&list[i], st->d);
            real *row = arrays->v[grad ? list[i].grad : list[i].tape] + n * groups * each;
            for (int r = 0; r < h->S; r++) {
                const int64_t h0 = first_head(st, r), H = first_head(st, r + 1) - h0;
                real *piece = flat + N * (h0 * all + H * before) + n * H * each;
                memcpy(pack ? piece : row + h0 * each, pack ? row + h0 * each : piece,
                       (size_t)(H * each) * sizeof *row);
            }
            before += each;
        }
    }
}

/* Our heads of unit u. */
static struct head_share share_of_heads(struct stage *st, int slot, int l, int u)
{
    const struct stage_heads *h = st->heads;
    const int place = place_of(h, u);
    const int64_t N = (int64_t)st->slots[slot].B * stage_tokens(st, u);
    real *in = heads_at(st, slot, l, CROSS_IN, 0, place);
    real *din = heads_at(st, slot, l, CROSS_IN, 1, place);
    struct head_share s = { .h0 = h->h0, .H = h->H, .kept = heads_tape(st, slot, l)->kept +
                                                            u * h->kept };

    s.out = s.dout = heads_at(st, slot, l, CROSS_OUT, 0, place);
    for (int i = 0; i < h->split->n_in; i++) {
        const int64_t n = N * h->H * head_reals(&h->split->in[i], st->d);
        s.in[i] = in;
        s.din[i] = din;
        in += n;
        din += n;
    }
    return s;
}

/* --- forward -------------------------------------------------------------- */

void stage_heads_start(struct stage *st, int slot, int l)
{
    struct layer_call c = heads_own_call(st, slot, NULL, 0);
    block_carry_start(heads_block(st, l), &c, st->heads->carry);
}

void stage_heads_normalise(struct stage *st, int slot, int l)
{
    for (int j = 0; j < st->heads->own; j++) {
        struct layer_call c = heads_own_call(st, slot, NULL, j);
        block_normalise(heads_block(st, l), &c, stage_x(st, slot, l, st->part.u0 + j),
                        heads_unit_tape(st, slot, l, j));
    }
}

void stage_heads_project(struct stage *st, int slot, int l)
{
    for (int j = 0; j < st->heads->own; j++) {
        struct layer_call c = heads_own_call(st, slot, NULL, j);
        block_project(heads_block(st, l), &c, stage_x(st, slot, l, st->part.u0 + j),
                      st->heads->carry, heads_unit_tape(st, slot, l, j));
    }
}

void stage_heads_mix(struct stage *st, int slot, int l, int j)
{
    struct layer_call c = heads_own_call(st, slot, NULL, j);
    struct block_tape *t = heads_unit_tape(st, slot, l, j);
    block_mix(heads_block(st, l), &c, st->heads->carry, t);
    regroup(st, slot, CROSS_IN, j, &t->layer, 0, 1);
}

void stage_heads_inner(struct stage *st, int slot, int l, int u, struct pass_sums *sums)
{
    const struct stage_heads *h = st->heads;
    struct layer_call c = heads_call(st, slot, NULL, u);
    const struct head_share s = share_of_heads(st, slot, l, u);

    if (h->H == 0) return;
    const int wanted = sums && sums->inner_w0 && model_has_inner(st->m);
    c.stats = wanted && c.T >= st->d->K ? st->stats : NULL;
    block_inner(heads_block(st, l), &c, &s, h->carry, &st->work);
    if (c.stats) stage_add_inner(st, sums, l, c.B, h->H, c.T);
}

void stage_heads_finish(struct stage *st, int slot, int l, int j, int again)
{
    const int u = st->part.u0 + j;
    struct layer_call c = heads_own_call(st, slot, NULL, j);
    struct block_tape *t = heads_unit_tape(st, slot, l, j);

    regroup(st, slot, CROSS_OUT, j, &t->layer, 0, 0);
    block_finish(heads_block(st, l), &c, again ? st->xn : stage_x(st, slot, l + 1, u),
                 stage_x(st, slot, l, u), t);
}

/* --- backward ------------------------------------------------------------- */

/* What crossed to our heads is on the tape, so the past is not. */
void stage_heads_back(struct stage *st, int slot, int l)
{
    const struct stage_heads *h = st->heads;
    const size_t n = (size_t)stage_carry_reals(st, st->slots[slot].B);

    memset(h->dcarry, 0, n * sizeof(real));
    memset(h->dpast, 0, (size_t)h->past_reals * sizeof(real));
    for (int u = 0; h->past_reals && u < h->U; u++) {
        struct layer_call c = heads_call(st, slot, NULL, u);
        const struct head_share s = share_of_heads(st, slot, l, u);
        block_append(heads_block(st, l), &c, &s);
    }
}

void stage_heads_finish_backward(struct stage *st, int slot, int l, int j, struct grad *g)
{
    struct layer_call c = heads_own_call(st, slot, g, j);
    struct block_tape *w = &st->heads->work[j];
    block_finish_backward(heads_block(st, l), &c, stage_dx(st, slot, st->part.u0 + j),
                          heads_unit_tape(st, slot, l, j), w);
    regroup(st, slot, CROSS_OUT, j, &w->layer, 1, 1);
}

void stage_heads_inner_backward(struct stage *st, int slot, int l, int u, struct grad *g)
{
    struct layer_call c = heads_call(st, slot, g, u);
    const struct head_share s = share_of_heads(st, slot, l, u);
    if (s.H > 0) block_inner_backward(heads_block(st, l), &c, &s, st->heads->dcarry, &st->work);
}

void stage_heads_mix_backward(struct stage *st, int slot, int l, int j, struct grad *g)
{
    struct layer_call c = heads_own_call(st, slot, g, j);
    struct block_tape *w = &st->heads->work[j];
    regroup(st, slot, CROSS_IN, j, &w->layer, 1, 0);
    block_mix_backward(heads_block(st, l), &c, heads_unit_tape(st, slot, l, j), w);
}

/* The gradients that crossed are taken from their buffer again: units share the arrays. */
void stage_heads_project_backward(struct stage *st, int slot, int l, int j, struct grad *g)
{
    const int u = st->part.u0 + j;
    struct layer_call c = heads_own_call(st, slot, g, j);
    struct block_tape *w = &st->heads->work[j];
    regroup(st, slot, CROSS_IN, j, &w->layer, 1, 0);
    block_project_backward(heads_block(st, l), &c, stage_dx(st, slot, u), stage_x(st, slot, l, u),
                           heads_unit_tape(st, slot, l, j), w);
}

void stage_heads_normalise_backward(struct stage *st, int slot, int l, struct grad *g)
{
    for (int j = st->heads->own - 1; j >= 0; j--) {
        const int u = st->part.u0 + j;
        struct layer_call c = heads_own_call(st, slot, g, j);
        block_normalise_backward(heads_block(st, l), &c, stage_dx(st, slot, u),
                                 stage_x(st, slot, l, u), heads_unit_tape(st, slot, l, j),
                                 &st->heads->work[j]);
    }
}

void stage_heads_end(struct stage *st, int slot, int l, struct grad *g)
{
    struct layer_call c = heads_own_call(st, slot, g, 0);
    block_carry_start_backward(heads_block(st, l), &c, st->heads->dcarry);
}

/* --- halos ---------------------------------------------------------------- */

int stage_heads_halos(struct stage_halo *h, struct stage *st, int slot, int l, int which)
{
    struct stage_heads *m = st->heads;
    const int B = st->slots[slot].B;
    struct block_halo b;

    if (!block_halo(&b, heads_block(st, l), B, which,
                    heads_unit_tape(st, slot, l, 0), &m->work[0]))
        return 0;
    h->came = (struct pieces){ m->carry + b.offset, b.n, b.stride, B };
    h->leaves = (struct pieces){ m->leaves, b.n, b.n, B };
    h->dleaves = (struct pieces){ m->dcarry + b.offset, b.n, b.stride, B };
    h->early = st->T >= st->d->conv_width - 1;
    h->dcame = h->early ? (struct pieces){ b.back, b.n, b.back_stride, B } : h->dleaves;
    return 1;
}

void stage_heads_halo(struct stage *st, int slot, int l, int which)
{
    const struct dims *d = st->d;
    struct stage_halo h;
    struct block_halo b;

    if (!stage_heads_halos(&h, st, slot, l, which)) return;
    for (int i = 0; i < h.came.count; i++)
        memcpy(h.leaves.at + i * h.leaves.stride, h.came.at + i * h.came.stride,
               (size_t)h.came.n * sizeof(real));
    for (int j = 0; j < st->heads->own; j++) {
        const int T = stage_tokens(st, st->part.u0 + j);
        block_halo(&b, heads_block(st, l), h.came.count, which, heads_unit_tape(st, slot, l, j),
                   &st->heads->work[j]);
        for (int i = 0; i < h.came.count; i++)
            conv1d_halo(h.leaves.at + i * h.leaves.stride, b.rows + (int64_t)i * T * b.width, T,
                        b.width, d->conv_width);
    }
}

void stage_heads_halo_backward(struct stage *st, int slot, int l, int which)
{
    for (int j = st->heads->own - 1; j >= 0; j--) {
        struct layer_call c = heads_own_call(st, slot, NULL, j);
        block_halo_backward(heads_block(st, l), &c, which, st->heads->dcarry, &st->heads->work[j]);
    }
}
