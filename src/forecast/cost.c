/* SPDX-License-Identifier: Apache-2.0 */
#include "src/forecast/cost.h"

#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/model/bucket.h"
#include "src/model/flops.h"
#include "src/model/head.h"

#define REAL ((double)sizeof(real))

static double sum_bytes(enum reduction mode)
{
    return mode == REDUCE_EXACT ? (double)sizeof(int64_t) : REAL;
}

double cost_layer_sums(const struct model *m, int l, enum reduction mode, double bytes_per_s)
{
    int64_t cut[2];
    bucket_cut(cut, m, l, 1);
    return 2 * sum_bytes(mode) * (double)(cut[1] - cut[0]) / bytes_per_s;
}

double cost_head_sums(const struct model *m, enum reduction mode, int T, double bytes_per_s)
{
    const int rows = T < HEAD_ROWS ? T : HEAD_ROWS;
    return 2 * sum_bytes(mode) * m->dims.V * m->dims.C / rows / bytes_per_s;
}

/* --- of one block --------------------------------------------------------------- */

/* Bytes of one sequence's carry that cross to the next rank. */
static double carry_bytes(const struct block *b)
{
    int64_t offset, n, sum = 0;
    for (int i = 0; block_carry_part(b, 1, i, &offset, &n); i++) sum += n;
    return REAL * (double)sum;
}

static void computing(struct sim_layer *z, const struct cost *c, int l, const struct rates *r)
{
    const struct model *m = c->memory.shape;
    const struct run_shape *run = &c->memory.run;
    struct sim_cost *s = z->seconds;
    const double bytes = 1e9 * r->rank.memory_gbytes, sum = sum_bytes(run->reduction);
    const double state = (double)block_carry_reals(&m->blocks[l]) / bytes;
    const double pair = flops_pair(m, l), alone = flops_block(m, l, 1) - pair;

    s[OP_FORWARD].token = alone / (c->flops * r->share.forward);
    s[OP_FORWARD].pair = pair / (c->flops * r->share.forward);
    s[OP_BACKWARD].token = 2 * alone / (c->flops * r->share.backward);
    s[OP_BACKWARD].pair = 2 * pair / (c->flops * r->share.backward);
    s[OP_BACKWARD].unit = cost_layer_sums(m, l, run->reduction, bytes);
    if (run->pass.remat == REMAT_BLOCK) {
        s[OP_BACKWARD].token += s[OP_FORWARD].token;
        s[OP_BACKWARD].pair += s[OP_FORWARD].pair;
    }
    s[OP_START_BACKWARD].unit = (REAL + 2 * sum) * state;
}

/* What ranks of a sequence give each other in heads or scan mode. */
static void exchanging(struct sim_layer *z, const struct cost *c, int l)
{
    const struct pass_opts *o = &c->memory.run.pass;
    const struct block *b = &c->memory.shape->blocks[l];
    const struct dims *d = &b->d;
    const int scan = o->sequence_mode == SEQ_SCAN;
    int64_t halo = d->pre_conv ? d->C : 0, offset, n = 0, stride;

    if (b->layer->halo.width) halo += b->layer->halo.width(d);
    if (scan && b->layer->map) block_map_part(b, 1, &offset, &n, &stride);
    z->exchange = (struct exchange){
        .heads = scan ? 0 : head_groups(d),
        .in_bytes = REAL * (double)layer_in_reals(b->layer, d),
        .out_bytes = REAL * (double)b->layer->out.reals(d),
        .halo_bytes = REAL * (double)(halo * (d->conv_width - 1) + 2 * n),
        .again = o->remat == REMAT_BLOCK,
    };
}

static void block_cost(struct sim_layer *z, const struct cost *c, int l, const struct rates *r)
{
    const struct block *b = &c->memory.shape->blocks[l];
    struct sim_cost *bytes = z->bytes;

    computing(z, c, l, r);
    bytes[OP_SEND_CARRY].unit = bytes[OP_SEND_DCARRY].unit = carry_bytes(b);
    bytes[OP_SEND_CARRY].before = bytes[OP_SEND_DCARRY].before =
        REAL * (double)block_past_reals(b);
    exchanging(z, c, l);
}

/* --- of the whole model --------------------------------------------------------- */

/* What belongs to no block. */
static void ends_cost(struct cost *c, const struct rates *r)
{
    const struct model *m = c->memory.shape;
    const enum reduction mode = c->memory.run.reduction;
    struct sim_layer *z = &c->in.all;
    const double bytes = 1e9 * r->rank.memory_gbytes, row = m->dims.C / bytes;
    const double sum = sum_bytes(mode);

    z->seconds[OP_EMBED].token = 2 * REAL * row;
    z->seconds[OP_HEAD].token = 3 * flops_head(m) / (c->flops * r->share.head) +
                                cost_head_sums(m, mode, c->in.unit_tokens, bytes);
    z->seconds[OP_EMBED_BACKWARD].token = (REAL + 2 * sum) * row;
    z->bytes[OP_SEND_X].token = z->bytes[OP_SEND_DX].token = REAL * m->dims.C;
    c->in.clear_s = c->in.norm_s = sum / bytes;
    c->in.add_s = 3 * sum / bytes;
    c->in.update_s = (sum + 6 * REAL) / bytes;
    c->in.sum_bytes = sum;
    c->in.weight_bytes = REAL;
}

int cost_init(struct cost *c, const struct run_shape *run, const struct rates *r)
{
    const struct pass_opts *o = &run->pass;

    *c = (struct cost){ .flops = 1e9 * r->rank.fp32_gflops };
    const int rc = memory_plan_init(&c->memory, run);
    if (rc != OK) return rc;
    c->in = (struct sim_input){
        .work = c->memory.work, .tied = run->dims.tied, .context = o->context,
        .unit_tokens = o->slice_tokens < o->context ? o->slice_tokens : o->context,
        .cut = c->memory.cut, .ranks_per_node = r->node.ranks,
        .within = { 1e-6 * r->network.within_us, 1e9 * r->network.within_gbytes },
        .between = { 1e-6 * r->network.between_us, 1e9 * r->network.between_gbytes },
    };
    block_cost(&c->in.all, c, 0, r);
    ends_cost(c, r);
    if (c->memory.shape->kinds == 1) return OK;
    c->in.of = c->layers = mem_new(run->dims.L, sizeof *c->layers, "costs of layers");
    for (int l = 0; l < run->dims.L; l++) block_cost(&c->layers[l], c, l, r);
    return OK;
}

void cost_done(struct cost *c)
{
    memory_plan_done(&c->memory);
    mem_free(c->layers);
    mem_free(c->optim_s);
    *c = (struct cost){ .flops = 0 };
}

/* Products and decompositions of each rank's matrices, their gradients there and directions back.
 * A send of all of them at once fills the link. */
static void soap_cost(struct cost *c, const struct grid_shape *g)
{
    const int ranks = grid_ranks(g);
    const struct sim_link *link = ranks > c->in.ranks_per_node ? &c->in.between : &c->in.within;

    mem_free(c->optim_s);
    c->in.optim_s = c->optim_s = mem_new(ranks, sizeof *c->optim_s, "seconds of SOAP");
    for (int i = 0; i < ranks; i++) {
        const struct soap_load *l = &c->memory.soap.load[i];
        c->optim_s[i] = l->flops / c->flops;
        if (ranks > 1) c->optim_s[i] += 2 * REAL * (double)l->gradients / link->bytes_per_s;
    }
}

int cost_grid(struct cost *c, const struct grid_shape *g)
{
    const int rc = memory_plan_grid(&c->memory, g);

    if (rc != OK) return rc;
    c->in.grid = *g;
    if (c->memory.run.soap.every) soap_cost(c, g);
    return OK;
}
