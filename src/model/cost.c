#include "src/model/cost.h"

#include "src/base/mem.h"
#include "src/base/part.h"
#include "src/base/status.h"
#include "src/model/bucket.h"
#include "src/model/head.h"

#define REAL ((double)sizeof(real))

static double sum_bytes(enum reduction mode)
{
    return mode == REDUCE_EXACT ? (double)sizeof(int64_t) : REAL;
}

double cost_head_flops(const struct model *m) { return 2.0 * m->dims.V * m->dims.C; }

double cost_layer_flops(const struct model *m, int context)
{
    return (model_flops(m, context) / 3 - cost_head_flops(m)) / m->dims.L;
}

/* Of a token and one that it looks at. */
static double pair_flops(const struct model *m)
{
    const struct layer *layer = m->blocks[0].layer;
    return layer->flops(&m->dims, 1) - layer->flops(&m->dims, 0);
}

double cost_layer_sums(const struct model *m, enum reduction mode, double bytes_per_s)
{
    int64_t cut[2];
    bucket_cut(cut, m, 0, 1);
    return 2 * sum_bytes(mode) * (double)(cut[1] - cut[0]) / bytes_per_s;
}

double cost_head_sums(const struct model *m, enum reduction mode, int T, double bytes_per_s)
{
    const int rows = T < HEAD_ROWS ? T : HEAD_ROWS;
    return 2 * sum_bytes(mode) * m->dims.V * m->dims.C / rows / bytes_per_s;
}

/* Bytes of one sequence's carry of a layer that cross. */
static double carry_bytes(const struct model *m)
{
    int64_t offset, n, sum = 0;
    for (int i = 0; block_carry_part(&m->blocks[0], 1, i, &offset, &n); i++) sum += n;
    return REAL * (double)sum;
}

static void computing(struct cost *c, const struct rates *r)
{
    const struct model *m = c->shape;
    struct sim_cost *s = c->in.seconds;
    const double flops = 1e9 * r->rank.fp32_gflops, bytes = 1e9 * r->rank.memory_gbytes;
    const double row = m->dims.C / bytes, sum = sum_bytes(c->mode);
    const double state = (double)block_carry_reals(&m->blocks[0]) / bytes;

    s[OP_EMBED].token = 2 * REAL * row;
    const double alone = cost_layer_flops(m, 1) - pair_flops(m);  /* but for pairs */
    s[OP_FORWARD].token = alone / (flops * r->share.forward);
    s[OP_FORWARD].pair = pair_flops(m) / (flops * r->share.forward);
    s[OP_HEAD].token = 3 * cost_head_flops(m) / (flops * r->share.head) +
                       cost_head_sums(m, c->mode, c->in.unit_tokens, bytes);
    s[OP_BACKWARD].token = 2 * alone / (flops * r->share.backward);
    s[OP_BACKWARD].pair = 2 * pair_flops(m) / (flops * r->share.backward);
    s[OP_BACKWARD].unit = cost_layer_sums(m, c->mode, bytes);
    if (c->o.remat == REMAT_BLOCK) {
        s[OP_BACKWARD].token += s[OP_FORWARD].token;
        s[OP_BACKWARD].pair += s[OP_FORWARD].pair;
    }
    s[OP_EMBED_BACKWARD].token = (REAL + 2 * sum) * row;
    s[OP_START_BACKWARD].unit = (REAL + 2 * sum) * state;

    c->in.clear_s = c->in.norm_s = sum / bytes;
    c->in.add_s = 3 * sum / bytes;
    c->in.update_s = (sum + 6 * REAL) / bytes;
}

/* What ranks of a sequence give each other in heads or scan mode. */
static void exchanging(struct cost *c, const struct layer_split *split)
{
    const struct dims *d = &c->shape->dims;
    const int scan = c->o.sequence_mode == SEQ_SCAN;
    const int width = split->halo_width ? split->halo_width(d) : d->C;
    int64_t in = 0, halo = d->pre_conv ? d->C : 0, offset, n = 0, stride;

    if (split->halo_reals && split->halo_reals(d) > 0) halo += width;
    for (int i = 0; i < split->n_in; i++) in += head_reals(&split->in[i], d);
    if (scan) block_map_part(&c->shape->blocks[0], 1, &offset, &n, &stride);
    c->in.exchange = (struct exchange){
        .heads = scan ? 0 : head_groups(d), .in_bytes = REAL * (double)in,
        .out_bytes = REAL * (double)head_reals(&split->out, d),
        .halo_bytes = REAL * (double)(halo * (d->conv_width - 1) + 2 * n),
        .again = c->o.remat == REMAT_BLOCK,
    };
}

static void crossing(struct cost *c, const struct rates *r)
{
    const struct dims *d = &c->shape->dims;
    const struct layer_split *split = c->shape->blocks[0].layer->split;
    struct sim_cost *b = c->in.bytes;

    b[OP_SEND_CARRY].unit = b[OP_SEND_DCARRY].unit = carry_bytes(c->shape);
    b[OP_SEND_CARRY].before = b[OP_SEND_DCARRY].before =
        REAL * (double)block_past_reals(&c->shape->blocks[0]);
    b[OP_SEND_X].token = b[OP_SEND_DX].token = REAL * d->C;
    if (split) exchanging(c, split);
    c->in.within = (struct sim_link){ 1e-6 * r->network.within_us,
                                      1e9 * r->network.within_gbytes };
    c->in.between = (struct sim_link){ 1e-6 * r->network.between_us,
                                       1e9 * r->network.between_gbytes };
    c->in.ranks_per_node = r->node.ranks;
    c->in.sum_bytes = sum_bytes(c->mode);
    c->in.weight_bytes = REAL;
}

int cost_init(struct cost *c, const struct dims *d, const struct pass_opts *o,
              enum reduction mode, int64_t sequences, const struct rates *r)
{
    int rc;

    *c = (struct cost){ .o = *o, .mode = mode, .flops = 1e9 * r->rank.fp32_gflops,
                        .threads = r->rank.threads };
    TRY(model_shape(&c->shape, d));
    if ((double)sequences / o->micro_batch * d->L * pass_units(o) > STEP_OPERATIONS)
        TRY(fail(ERR_CONFIG, "a step of %lld sequences, each of %d units in %d layers, has more "
                             "operations than can be planned", (long long)sequences,
                 pass_units(o), d->L));
    c->in.work = (struct step_shape){ .L = d->L, .U = pass_units(o), .sequences = (int)sequences,
                                      .micro_batch = o->micro_batch, .mode = o->sequence_mode };
    c->in.tied = d->tied;
    c->in.context = o->context;
    c->in.unit_tokens = o->slice_tokens < o->context ? o->slice_tokens : o->context;
    c->in.cut = mem_new(d->L + 2, sizeof *c->in.cut, "cuts");
    computing(c, r);
    crossing(c, r);
out:
    return rc;
}

void cost_done(struct cost *c)
{
    model_free(c->shape);
    mem_free(c->in.cut);
    mem_free(c->cuts);
    mem_free(c->in.optim_s);
    soap_plan_done(&c->soap_plan);
    mem_free(c->known);
    *c = (struct cost){ 0 };
}

void cost_soap(struct cost *c, const struct factor_opts *o) { c->soap = *o; }

/* Products and decompositions of each rank's matrices, their gradients there and directions back.
 * A send of all of them at once fills the link. */
static void plan_soap(struct cost *c, const struct grid_shape *g)
{
    const int ranks = grid_ranks(g);
    const struct sim_link *link = ranks > c->in.ranks_per_node ? &c->in.between : &c->in.within;

    soap_plan_done(&c->soap_plan);
    soap_plan_init(&c->soap_plan, c->shape, &c->soap, g);
    mem_free(c->in.optim_s);
    c->in.optim_s = mem_new(ranks, sizeof *c->in.optim_s, "seconds of SOAP");
    for (int i = 0; i < ranks; i++) {
        const struct soap_load *l = &c->soap_plan.load[i];
        c->in.optim_s[i] = l->flops / c->flops;
        if (ranks > 1) c->in.optim_s[i] += 2 * REAL * (double)l->gradients / link->bytes_per_s;
    }
}

int cost_grid(struct cost *c, const struct grid_shape *g)
{
    const int L = c->in.work.L, most = 2 * g->D * g->S;
    const int rc = share_check(g, &c->in.work);

    if (rc != OK) return rc;
    c->in.grid = *g;
    mem_free(c->cuts);
    c->cuts = mem_new((int64_t)(L + 2) * (most + 1), sizeof *c->cuts, "cuts");
    for (int b = 0; b < L + 2; b++) {
        struct share first;
        int holders = 0, place;
        for (int p = 0; p < g->P && !holders; p++) {
            share_of(&first, g, &c->in.work, grid_rank(g, 0, p, 0));
            holders = bucket_holders(g, L, c->in.tied, b, &first, &place);
        }
        c->in.cut[b] = c->cuts + (int64_t)b * (most + 1);
        bucket_cut(c->in.cut[b], c->shape, b, holders);
    }
    if (c->soap.every) plan_soap(c, g);
    return OK;
}

static int same_part(const struct stage_part *a, const struct stage_part *b)
{
    return a->l0 == b->l0 && a->l1 == b->l1 && a->u0 == b->u0 && a->u1 == b->u1 &&
           a->slots == b->slots && a->s == b->s && a->S == b->S;
}

/* Bytes of a stage; few of them differ, because only the last stage has more than its layers,
 * and a chunk of the wavefront is like every other of its length. */
static struct pass_bytes bytes_of(struct cost *c, const struct share *a, int slots)
{
    const int L = c->shape->dims.L, n = a->l1 - a->l0;
    const struct step_plan plan = { .share = *a, .slots = slots };
    struct stage_part part = stage_part_of(&plan, &c->in.grid, &c->o);

    if (a->l1 < L) part.l0 = 0, part.l1 = n;
    /* A past has room for all that is before, too. */
    if (!part.S && !block_past_reals(&c->shape->blocks[0]))
        part.u0 = 0, part.u1 = a->u1 - a->u0;
    for (int i = 0; i < c->n_known; i++)
        if (same_part(&c->known[i].part, &part)) return c->known[i].bytes;
    if (c->n_known == c->room) {
        c->room = 2 * c->room + 16;
        c->known = mem_resize(c->known, c->room, sizeof *c->known, "stages");
    }
    struct stage_bytes *k = &c->known[c->n_known++];
    *k = (struct stage_bytes){ .part = part };
    check(stage_plan(&k->bytes, &c->shape->dims, &c->o, &part) == OK);
    return k->bytes;
}

/* Bytes of weights and moments that a rank owns; moments [out] those of them, scratch [out]. */
static int64_t state_of(int64_t *moments, int64_t *scratch, const struct cost *c,
                        const struct sim_rank *k, int rank)
{
    const int64_t each = c->o.bf16_moments ? sizeof(bf16) : sizeof(real);

    *moments = 2 * k[rank].own * each;
    *scratch = 0;
    if (c->soap.every)
        soap_bytes(moments, scratch, &c->soap_plan, rank, k[rank].own, c->threads);
    return k[rank].own * (int64_t)sizeof(real) + *moments;
}

/* What a save copies: a rank its own state, which it must where it sends it and may (own [out])
 * where it writes it, and then that of the others whose file it writes. */
static int64_t copies(int64_t *own, const struct cost *c, const struct sim_rank *k, int rank)
{
    const int ranks = grid_ranks(&c->in.grid);
    const int files = c->writers < ranks ? c->writers : ranks;
    int64_t moments, scratch, sum = 0;
    int file = 0;

    *own = 0;
    if (!files) return 0;
    while (part_begin(ranks, files, file + 1) <= rank) file++;
    if (rank > part_begin(ranks, files, file)) return state_of(&moments, &scratch, c, k, rank);
    for (int i = rank + 1; i < part_begin(ranks, files, file + 1); i++)
        sum += state_of(&moments, &scratch, c, k, i);
    if (c->background) *own = state_of(&moments, &scratch, c, k, rank);
    return sum + *own;
}

/* Operands in bf16 of what a rank holds. */
static int64_t halves(const struct cost *c, const struct share *a)
{
    const struct model *m = c->shape;
    const int L = m->dims.L;
    struct span *held = mem_new(L + 2, sizeof *held, "buckets");
    int n = 0, place;

    for (int i = 0; i < L + 2; i++) {
        int64_t cut[2];
        if (!bucket_holders(&c->in.grid, L, m->dims.tied, i, a, &place)) continue;
        bucket_cut(cut, m, i, 1);
        held[n++] = (struct span){ cut[0], cut[1] };
    }
    const int64_t bytes = bf16_weights_bytes(&m->params, held, n, 1);
    mem_free(held);
    return bytes;
}

void cost_memory(struct cost_bytes *b, struct cost *c, const struct sim_rank *k, int rank)
{
    int64_t more;
    struct share a;

    share_of(&a, &c->in.grid, &c->in.work, rank);
    const struct pass_bytes pass = bytes_of(c, &a, k[rank].slots);
    *b = (struct cost_bytes){
        .weights = k[rank].held * (int64_t)sizeof(real) + (c->o.bf16 ? halves(c, &a) : 0),
        .gradients = k[rank].held * (int64_t)sum_bytes(c->mode),
        .sums = k[rank].part * (int64_t)sizeof(int64_t),
        .tape = pass.tape, .logits = pass.logits,
    };
    (void)state_of(&b->moments, &more, c, k, rank);
    b->scratch = pass.scratch + more;
    b->snapshot = copies(&b->own_copy, c, k, rank);
    const struct grid_shape *g = &c->in.grid;
    b->evaluation = g->D * g->P * g->S == 1 ? c->evaluation : 0;
    b->total = b->weights + b->gradients + b->sums + b->moments + b->tape + b->logits +
               b->scratch + b->snapshot + b->evaluation;
}
