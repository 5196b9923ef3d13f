/* SPDX-License-Identifier: Apache-2.0 */
#include "src/plan/step_sim.h"

#include <math.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/plan/sim_state.h"

const char *sim_name(int kind)
{
    static const char *const names[] = { "CLEAR", "SUM", "NORM", "UPDATE", "GATHER" };
    return kind < OP_KINDS ? op_name(kind) : names[kind - OP_KINDS];
}

int64_t sim_bytes(const struct sim_result *r, int cargo, int between)
{
    int64_t sum = 0;
    for (int i = 0; i < r->ranks; i++) sum += r->rank[i].bytes[cargo][between];
    return sum;
}

/* Compute. */
static void spend(struct sim *z, int rank, const struct op *op, double seconds)
{
    struct runner *r = &z->r[rank];
    sim_note(z, rank, op, r->now, r->now + seconds);
    r->now += seconds;
    z->out->rank[rank].busy_s += seconds;
}

/* Computing that is no operation of the list. */
static void work(struct sim *z, int rank, int kind, double seconds)
{
    const struct op op = { .kind = (short)kind, .slot = -1, .m = -1, .l = -1, .u = -1, .peer = -1 };
    spend(z, rank, &op, seconds);
}

/* --- messages ------------------------------------------------------------- */

static void push(struct queue *q, double at, int tag)
{
    if (q->count == q->room) {
        struct letter *v = mem_new(2 * q->room + 8, sizeof *v, "messages");
        for (int i = 0; i < q->count; i++) v[i] = q->v[(q->first + i) % q->room];
        mem_free(q->v);
        *q = (struct queue){ v, 0, q->count, 2 * q->room + 8 };
    }
    q->v[(q->first + q->count++) % q->room] = (struct letter){ at, tag };
}

static struct letter pop(struct queue *q)
{
    const struct letter x = q->v[q->first];
    q->first = (q->first + 1) % q->room;
    q->count--;
    return x;
}

static void run_send(struct sim *z, int rank, const struct op *op)
{
    const struct sim_input *in = z->in;
    struct runner *r = &z->r[rank], *to = &z->r[op->peer];
    const int far = sim_node(in, rank) != sim_node(in, op->peer);
    const struct sim_link *link = far ? &in->between : &in->within;
    const double bytes =
        sim_cost_of(in, &r->plan.share, op, &sim_layer_of(in, op)->bytes[op->kind]);
    const double leaves = r->wire > r->now ? r->wire : r->now;

    r->wire = leaves + bytes / link->bytes_per_s;
    push(&to->in[op_partner(op->kind)], r->wire + link->latency_s, op_tag(op, &in->work));
    z->out->rank[rank].bytes[op->l >= 0 ? SIM_CARRIES : SIM_ACTIVATIONS][far] += llround(bytes);
    sim_note(z, rank, op, r->now, r->now);
    if (to->waiting != FOR_MESSAGE) return;
    to->waiting = NOT;
    z->ready[z->n_ready++] = op->peer;
}

/* returns 0 if there is nothing to receive yet */
static int run_recv(struct sim *z, int rank, const struct op *op)
{
    struct runner *r = &z->r[rank];
    struct queue *q = &r->in[op->kind];

    if (!q->count) return 0;
    const struct letter x = pop(q);
    check(x.tag == op_tag(op, &z->in->work));
    const double end = x.at > r->now ? x.at : r->now;
    sim_note(z, rank, op, r->now, end);
    r->now = end;
    return 1;
}

/* --- sums ----------------------------------------------------------------- */

/* Ranks that hold bucket b, their places, the elements of each; an iterator. */
struct holders { int b, n, rank, place; int64_t total, own; };

static int next_holder(const struct sim *z, struct holders *h)
{
    const struct sim_input *in = z->in;
    const int64_t *cut = in->cut[h->b];

    while (++h->rank < z->ranks) {
        const int n = bucket_holders(&in->grid, in->work.L, in->tied, h->b,
                                     &z->r[h->rank].plan.share, &h->place);
        if (!n) continue;
        h->n = n;
        h->total = cut[n] - cut[0];
        h->own = cut[h->place + 1] - cut[h->place];
        return 1;
    }
    return 0;
}

static struct holders holders_of(int b) { return (struct holders){ .b = b, .rank = -1 }; }

/* Stages that have ranks on one node: their rings share its link. */
static int stages_on_node(const struct sim_input *in)
{
    const int blocks = (in->ranks_per_node + in->grid.S - 1) / in->grid.S;
    return blocks < in->grid.P ? blocks : in->grid.P;
}

/* Seconds that `bytes` of a bucket take around its ring. */
static double ring_s(const struct sim *z, int b, double bytes)
{
    const struct sim_input *in = z->in;
    struct holders h = holders_of(b);
    int first = -1, last = -1;

    while (next_holder(z, &h)) {
        if (first < 0) first = h.rank;
        last = h.rank;
    }
    if (h.n < 2) return 0;
    const int far = sim_node(in, first) != sim_node(in, last);
    const double link = in->between.bytes_per_s / stages_on_node(in);
    const double rate = far && link < in->within.bytes_per_s ? link : in->within.bytes_per_s;
    const double latency = far ? in->between.latency_s : in->within.latency_s;
    return (h.n - 1) * (latency + bytes / h.n / rate);
}

/* All holders have come to the bucket: their sums take place. */
static void run_sum(struct sim *z, int b)
{
    const struct op op = { .kind = SIM_SUM, .slot = -1, .m = -1, .l = b, .u = -1, .peer = -1 };
    struct holders h = holders_of(b);
    double begin = z->sums[b].begin_s;

    while (next_holder(z, &h))
        if (z->r[h.rank].net > begin) begin = z->r[h.rank].net;
    if (h.n < 2) return;
    const double end = begin + ring_s(z, b, (double)h.total * z->in->sum_bytes);
    for (h = holders_of(b); next_holder(z, &h);) {
        z->r[h.rank].net = end;
        sim_note(z, h.rank, &op, begin, end);
    }
}

static void run_reduce(struct sim *z, int rank, const struct op *op)
{
    struct sum *s = &z->sums[op->l];
    struct runner *r = &z->r[rank];
    const int64_t *cut = z->in->cut[op->l];
    int place;
    const int n = bucket_holders(&z->in->grid, z->in->work.L, z->in->tied, op->l,
                                 &r->plan.share, &place);

    if (r->now > s->begin_s) s->begin_s = r->now;
    spend(z, rank, op, z->in->add_s * (double)(cut[n] - cut[0] - (cut[place + 1] - cut[place])));
    if (++s->begun == n) run_sum(z, op->l);
}

/* --- the step ------------------------------------------------------------- */

/* As far as this rank comes. */
static void run(struct sim *z, int rank)
{
    struct runner *r = &z->r[rank];

    for (; r->pc < r->plan.count; r->pc++) {
        const struct op *op = &r->plan.ops[r->pc];
        if (op->kind == OP_REDUCE) {
            run_reduce(z, rank, op);
        } else if (op_is_send(op->kind)) {
            run_send(z, rank, op);
        } else if (op_is_recv(op->kind)) {
            r->waiting = run_recv(z, rank, op) ? NOT : FOR_MESSAGE;
            if (r->waiting) return;
        } else if (op_is_seq(op->kind)) {
            if (!sim_meet(z, rank, op)) return;
        } else {
            spend(z, rank, op, sim_cost_of(z->in, &r->plan.share, op,
                                           &sim_layer_of(z->in, op)->seconds[op->kind]));
        }
    }
}

/* Which elements each rank holds and owns, and what it sends around rings for them. */
static void count_elements(struct sim *z)
{
    const struct sim_input *in = z->in;
    for (int b = 0; b < in->work.L + 2; b++) {
        for (struct holders h = holders_of(b); next_holder(z, &h);) {
            struct sim_rank *k = &z->out->rank[h.rank];
            /* The last of a node's ranks in a ring, and the last of all, send to another node:
             * counted where the next holder is. */
            struct holders next = h;
            if (!next_holder(z, &next)) {
                next = holders_of(b);
                next_holder(z, &next);
            }
            const int far = sim_node(in, h.rank) != sim_node(in, next.rank);
            const double others = (double)(h.total - h.own);
            k->held += h.total;
            k->own += h.own;
            if (h.n < 2) continue;
            k->bytes[SIM_GRADIENTS][far] += llround(others * in->sum_bytes);
            k->bytes[SIM_WEIGHTS][far] += llround(others * in->weight_bytes);
        }
    }
}

static double latest(const struct sim *z)
{
    double t = 0;
    for (int i = 0; i < z->ranks; i++)
        if (z->r[i].now > t) t = z->r[i].now;
    return t;
}

/* From the end of the list to the new weights. */
static void update(struct sim *z)
{
    const struct sim_input *in = z->in;
    const double hops = ceil(log2(z->ranks));
    const int nodes = sim_node(in, z->ranks - 1) + 1;

    for (int i = 0; i < z->ranks; i++) {
        struct runner *r = &z->r[i];
        struct sim_rank *k = &z->out->rank[i];
        check(r->pc == r->plan.count);
        k->pass_s = r->now;
        if (r->net > r->now) r->now = r->net;
        k->sums_s = r->now;
        work(z, i, SIM_NORM, in->norm_s * (double)k->own);
    }
    const double agreed =
        latest(z) + 2 * hops * (nodes > 1 ? in->between.latency_s : in->within.latency_s);
    for (int i = 0; i < z->ranks; i++) {
        z->r[i].now = agreed;
        work(z, i, SIM_UPDATE, in->update_s * (double)z->out->rank[i].own +
                                   (in->optim_s ? in->optim_s[i] : 0));
    }
    for (int b = 0; b < in->work.L + 2; b++) {
        const struct op op = { .kind = SIM_GATHER, .slot = -1, .m = -1, .l = b, .u = -1,
                               .peer = -1 };
        struct holders h = holders_of(b);
        double begin = 0;
        while (next_holder(z, &h))
            if (z->r[h.rank].now > begin) begin = z->r[h.rank].now;
        if (h.n < 2) continue;
        const double end = begin + ring_s(z, b, (double)h.total * in->weight_bytes);
        for (h = holders_of(b); next_holder(z, &h);) {
            sim_note(z, h.rank, &op, z->r[h.rank].now, end);
            z->r[h.rank].now = end;
        }
    }
}

void step_sim(struct sim_result *out, const struct sim_input *in, struct sim_events *events)
{
    struct sim z = { .in = in, .out = out, .events = events, .ranks = grid_ranks(&in->grid) };
    double busy = 0;

    *out = (struct sim_result){ .ranks = z.ranks };
    out->rank = mem_new(z.ranks, sizeof *out->rank, "prediction");
    z.r = mem_new(z.ranks, sizeof *z.r, "ranks");
    z.sums = mem_new(in->work.L + 2, sizeof *z.sums, "sums");
    z.meetings = mem_new(in->grid.D * in->grid.P, sizeof *z.meetings, "ranks");
    z.ready = mem_new(z.ranks, sizeof *z.ready, "ranks");
    for (int i = 0; i < z.ranks; i++)
        step_plan_init(&z.r[i].plan, &in->grid, &in->work, in->tied, i);
    count_elements(&z);
    for (int i = 0; i < z.ranks; i++) {
        work(&z, i, SIM_CLEAR, in->clear_s * (double)out->rank[i].held);
        out->rank[i].slots = z.r[i].plan.slots;
        z.ready[z.n_ready++] = i;
    }
    while (z.n_ready > 0) run(&z, z.ready[--z.n_ready]);
    update(&z);

    out->step_s = latest(&z);
    for (int i = 0; i < z.ranks; i++) {
        out->rank[i].end_s = z.r[i].now;
        busy += out->rank[i].busy_s;
        step_plan_done(&z.r[i].plan);
        for (int k = 0; k < OP_KINDS; k++) mem_free(z.r[i].in[k].v);
    }
    out->bubble = out->step_s > 0 ? 1 - busy / (z.ranks * out->step_s) : 0;
    mem_free(z.ready);
    mem_free(z.sums);
    mem_free(z.meetings);
    mem_free(z.r);
}

void sim_result_done(struct sim_result *r)
{
    mem_free(r->rank);
    *r = (struct sim_result){ 0 };
}
