/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/step/step_exec.h"

#include <math.h>

#include "mpi/step/reduce.h"
#include "mpi/step/seq_heads.h"
#include "mpi/step/seq_scan.h"
#include "mpi/step/trace.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/model/stage_seq.h"

/* Requests of one slot.  recv[k] belongs to operation k of the plan. */
struct slot_requests { MPI_Request *send; int sends, room; };

struct step_exec {
    const struct grid *g;
    struct pass_opts   o;
    struct step_shape  work;
    struct step_plan   plan;
    int                forward_only;
    struct stage      *stage;
    struct seq_heads  *heads;      /* heads mode, else NULL                          */
    struct seq_scan   *scan;       /* scan mode, else NULL                           */
    MPI_Request       *recv;       /* (plan.count)                                   */
    struct slot_requests *slots;   /* (plan.slots)                                   */
    MPI_Datatype      *carry[2];   /* (layers, micro_batch + 1) the reals of B carries of a layer
                                    * that cross, at the beginning of our chunk and at its end */
    struct exec_bytes  bytes;
    struct exec_waits  waits;
    struct watch      *watch;
};

/* Layer l's carries of B sequences before unit u: only what crosses, where it lies. */
static MPI_Datatype carry_type(const struct stage *st, int l, int B, int u)
{
    MPI_Datatype type;
    int64_t offset, n;
    int parts = 0;

    while (stage_carry_part(st, l, B, u, parts, &offset, &n)) parts++;
    int *lengths = mem_new(parts, sizeof *lengths, "carry type");
    MPI_Aint *at = mem_new(parts, sizeof *at, "carry type");
    for (int i = 0; i < parts; i++) {
        stage_carry_part(st, l, B, u, i, &offset, &n);
        lengths[i] = mpi_count(n);
        at[i] = (MPI_Aint)(offset * (int64_t)sizeof(real));
    }
    mpi_do(MPI_Type_create_hindexed(parts, lengths, at, REAL_MPI, &type));
    mpi_do(MPI_Type_commit(&type));
    mem_free(lengths);
    mem_free(at);
    return type;
}

/* Types for each of our layers, and where that of layer l and B sequences is. */
static int64_t carry_types(const struct step_exec *e)
{
    return (int64_t)(e->plan.share.l1 - e->plan.share.l0) * (e->o.micro_batch + 1);
}

static MPI_Datatype *carry_at(const struct step_exec *e, int end, int l, int B)
{
    return &e->carry[end][(l - e->plan.share.l0) * (e->o.micro_batch + 1) + B];
}

static void check_agree(const struct grid *g, const struct model *m, const struct pass_opts *o,
                        int64_t sequences)
{
    const struct { int64_t value; const char *what; } must[] = {
        { sequences, "sequences of a step" },    { m->params.total, "size of the model" },
        { m->dims.L, "layers of the model" },    { o->context, "context" },
        { o->slice_tokens, "slice_tokens" },     { o->micro_batch, "micro_batch" },
        { o->inner_group, "inner_group" },       { o->remat, "remat" },
        { o->mask_token, "mask_token" },
    };
    for (size_t i = 0; i < sizeof must / sizeof *must; i++)
        axis_check_agree(&g->world, must[i].value, must[i].what);
}

static struct step_exec *make(const struct grid *g, const struct model *m,
                              const struct pass_opts *o, int64_t sequences, int forward_only)
{
    struct step_exec *e = mem_new(1, sizeof *e, "step executor");

    check_agree(g, m, o, sequences);
    *e = (struct step_exec){ .g = g, .o = *o, .forward_only = forward_only };
    /* Forward only, the wavefront needs no array of all our units but their residual streams. */
    if (forward_only) e->o.sequence_mode = SEQ_WAVEFRONT;
    e->work = (struct step_shape){ .L = m->dims.L, .cost = m->cost, .U = pass_units(o),
                                   .sequences = mpi_count(sequences),
                                   .micro_batch = o->micro_batch, .mode = e->o.sequence_mode };
    if (forward_only) step_plan_forward(&e->plan, &g->shape, &e->work, g->world.rank);
    else step_plan_init(&e->plan, &g->shape, &e->work, m->dims.tied, g->world.rank);
    const struct share *a = &e->plan.share;
    struct stage_part part = stage_part_of(&e->plan, &g->shape, &e->o);
    part.forward_only = forward_only;
    e->stage = stage_new(m, o, &part);
    if (part.S > 1 && o->sequence_mode == SEQ_HEADS) e->heads = seq_heads_new(&g->seq, e->stage);
    if (part.S > 1 && o->sequence_mode == SEQ_SCAN) e->scan = seq_scan_new(&g->seq, e->stage);
    e->recv = mem_new(e->plan.count, sizeof *e->recv, "requests");
    for (int k = 0; k < e->plan.count; k++) e->recv[k] = MPI_REQUEST_NULL;
    e->slots = mem_new(e->plan.slots, sizeof *e->slots, "requests");
    for (int i = 0; i < e->plan.slots; i++) {
        struct slot_requests *z = &e->slots[i];
        z->room = 2 * (a->l1 - a->l0) + 2 * (a->u1 - a->u0);
        z->send = mem_new(z->room, sizeof *z->send, "requests");
    }
    for (int end = 0; end < 2; end++) {
        e->carry[end] = mem_new(carry_types(e), sizeof *e->carry[end], "carry types");
        for (int l = a->l0; l < a->l1; l++)
            for (int B = 1; B <= o->micro_batch; B++)
                *carry_at(e, end, l, B) = carry_type(e->stage, l, B, end ? a->u1 : a->u0);
    }
    return e;
}

struct step_exec *step_exec_new(const struct grid *g, const struct model *m,
                                const struct pass_opts *o, int64_t sequences)
{
    return make(g, m, o, sequences, 0);
}

struct step_exec *step_exec_forward(const struct grid *g, const struct model *m,
                                    const struct pass_opts *o, int64_t sequences)
{
    return make(g, m, o, sequences, 1);
}

static void wait_sends(struct slot_requests *z)
{
    mpi_do(MPI_Waitall(z->sends, z->send, mpi_ignored));
    z->sends = 0;
}

void step_exec_free(struct step_exec *e)
{
    if (!e) return;
    for (int i = 0; i < e->plan.slots; i++) {
        wait_sends(&e->slots[i]);
        mem_free(e->slots[i].send);
    }
    for (int end = 0; end < 2; end++) {
        for (int l = e->plan.share.l0; l < e->plan.share.l1; l++)
            for (int B = 1; B <= e->o.micro_batch; B++)
                mpi_do(MPI_Type_free(carry_at(e, end, l, B)));
        mem_free(e->carry[end]);
    }
    mem_free(e->slots);
    mem_free(e->recv);
    seq_heads_free(e->heads);
    seq_scan_free(e->scan);
    stage_free(e->stage);
    step_plan_done(&e->plan);
    mem_free(e);
}

void step_exec_inner_factor(struct step_exec *e, double factor)
{
    stage_inner_factor(e->stage, factor);
}

void step_exec_watch(struct step_exec *e, struct watch *w) { e->watch = w; }

const struct share *step_exec_share(const struct step_exec *e) { return &e->plan.share; }
struct stage *step_exec_stage(const struct step_exec *e) { return e->stage; }
struct exec_bytes step_exec_bytes(const struct step_exec *e)
{
    struct exec_bytes b = e->bytes;
    if (e->heads) b.carries = seq_heads_bytes(e->heads).halos;
    if (e->heads) b.heads = seq_heads_bytes(e->heads).exchange;
    if (e->scan) b.carries = seq_scan_bytes(e->scan).halos;
    return b;
}

struct exec_waits step_exec_waits(const struct step_exec *e) { return e->waits; }

/* Sequences of micro-batch m. */
static int micro_size(const struct step_exec *e, int m)
{
    const struct share *a = &e->plan.share;
    const int left = a->q1 - a->q0 - m * e->o.micro_batch;
    return left < e->o.micro_batch ? left : e->o.micro_batch;
}

/* The array that operation op moves, how much, of what. */
struct cargo { void *data; int count; MPI_Datatype type; int64_t bytes; };

static struct cargo cargo_of(const struct step_exec *e, const struct op *op)
{
    const int B = micro_size(e, op->m);
    const struct share *a = &e->plan.share;
    struct cargo c = { .count = 1 };
    MPI_Count size;

    if (op->l >= 0) {  /* a carry or its gradient */
        const int back = op->kind == OP_SEND_DCARRY || op->kind == OP_RECV_DCARRY;
        const int end = op->kind == OP_SEND_CARRY || op->kind == OP_RECV_DCARRY;
        c.data = back ? stage_dcarry(e->stage, op->slot, op->l)
                      : stage_carry(e->stage, op->slot, op->l);
        c.type = *carry_at(e, end, op->l, B);
    } else {
        const int back = op->kind == OP_SEND_DX || op->kind == OP_RECV_DX;
        c.data = back ? stage_dx(e->stage, op->slot, op->u)
                      : stage_x(e->stage, op->slot, op->kind == OP_SEND_X ? a->l1 : a->l0, op->u);
        c.count = mpi_count((int64_t)B * stage_tokens(e->stage, op->u) * stage_width(e->stage));
        c.type = REAL_MPI;
    }
    mpi_do(MPI_Type_size_x(c.type, &size));
    c.bytes = (int64_t)c.count * size;
    return c;
}

/* Take a slot: nothing may be read from its arrays any more, and everything that will come for
 * this micro-batch may be written to them. */
static void begin(struct step_exec *e, int k, const int32_t *windows, int64_t stride,
                  const int64_t *valid, int receive_gradients)
{
    const struct op *op = &e->plan.ops[k];
    const int64_t first = (int64_t)op->m * e->o.micro_batch;

    wait_sends(&e->slots[op->slot]);
    stage_begin(e->stage, op->slot, windows ? windows + first * stride : NULL, stride,
                valid + first, first, micro_size(e, op->m));
    for (int i = k + 1; i < e->plan.count; i++) {
        const struct op *r = &e->plan.ops[i];
        if (r->m != op->m || !op_is_recv(r->kind)) continue;
        if (!receive_gradients && (r->kind == OP_RECV_DX || r->kind == OP_RECV_DCARRY)) continue;
        const struct cargo c = cargo_of(e, r);
        mpi_do(MPI_Irecv(c.data, c.count, c.type, r->peer, op_tag(r, &e->work),
                         e->g->world.comm, &e->recv[i]));
    }
}

static void send(struct step_exec *e, const struct op *op)
{
    struct slot_requests *z = &e->slots[op->slot];
    const struct cargo c = cargo_of(e, op);

    check(z->sends < z->room);
    mpi_do(MPI_Isend(c.data, c.count, c.type, op->peer, op_tag(op, &e->work), e->g->world.comm,
                     &z->send[z->sends++]));
    if (op->l >= 0) e->bytes.carries += c.bytes;
    else e->bytes.activations += c.bytes;
}

/* Wait for a message that is needed now. */
static void receive(struct step_exec *e, MPI_Request *r)
{
    const double begin = clock_s();
    int there;

    mpi_do(MPI_Test(r, &there, MPI_STATUS_IGNORE));
    if (!there) mpi_do(MPI_Wait(r, MPI_STATUS_IGNORE));
    e->waits.receives++;
    e->waits.there += there;
    e->waits.seconds += clock_s() - begin;
}

/* What may be under way. */
struct moving { const struct axis *world; struct reducer *red; };

/* Let MPI move it: the hook of poke(). */
static void move(void *ctx)
{
    const struct moving *v = ctx;
    int any;
    mpi_poll(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, v->world->comm, &any, MPI_STATUS_IGNORE));
    if (v->red) reducer_progress(v->red);
}

/* Operations of forward only: everything before and including the loss. */
static int is_backward(int kind)
{
    return kind == OP_BACKWARD || kind == OP_SEND_DX || kind == OP_RECV_DX ||
           kind == OP_SEND_DCARRY || kind == OP_RECV_DCARRY || kind == OP_EMBED_BACKWARD ||
           kind == OP_START_BACKWARD || kind == OP_BACKWARD_SEQ || kind == OP_REDUCE;
}

static int all_finite(const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return 0;
    return 1;
}

/* The residual stream before layer l of unit u, sequence by sequence. */
static void look(struct step_exec *e, const struct op *op, int l, int u)
{
    const int B = micro_size(e, op->m);
    const int64_t each = (int64_t)stage_tokens(e->stage, u) * stage_width(e->stage);
    const real *x = stage_x(e->stage, op->slot, l, u);

    for (int b = 0; b < B; b++) {
        if (all_finite(x + b * each, each)) continue;
        if (l < e->watch->place) e->watch->place = l;
        e->watch->sequences[op->m * e->o.micro_batch + b] = 1;
    }
}

/* What ranks of a sequence do between the parts of a layer. */
static const struct block_hooks *hooks_of(const struct step_exec *e)
{
    return e->scan ? seq_scan_hooks(e->scan) : seq_heads_hooks(e->heads);
}

static void compute(struct step_exec *e, const struct op *op, struct grad *g,
                    struct pass_sums *sums)
{
    struct stage *st = e->stage;
    const struct share *a = &e->plan.share;

    switch (op->kind) {
    case OP_START: stage_start(st, op->slot); break;
    case OP_EMBED: stage_embed(st, op->slot, op->u); break;
    case OP_FORWARD: stage_forward(st, op->slot, op->l, op->u, sums); break;
    case OP_HEAD: stage_head(st, op->slot, op->u, g, sums); break;
    case OP_BACKWARD: stage_backward(st, op->slot, op->l, op->u, g); break;
    case OP_EMBED_BACKWARD: stage_embed_backward(st, op->slot, op->u, g); break;
    case OP_START_BACKWARD: stage_start_backward(st, op->slot, op->l, g); break;
    case OP_FORWARD_SEQ:
        stage_seq_forward(st, op->slot, op->l, hooks_of(e), sums);
        break;
    case OP_BACKWARD_SEQ:
        stage_seq_backward(st, op->slot, op->l, hooks_of(e), g);
        break;
    default: die("operation %d in a step plan", op->kind);
    }
    if (!e->watch) return;
    if (op->kind == OP_EMBED) look(e, op, 0, op->u);
    if (op->kind == OP_FORWARD) look(e, op, op->l + 1, op->u);
    if (op->kind == OP_FORWARD_SEQ)
        for (int u = a->u0; u < a->u1; u++) look(e, op, op->l + 1, u);
}

void step_exec_run(struct step_exec *e, const int32_t *windows, int64_t stride,
                   const int64_t *valid, struct grad *g, struct reducer *red,
                   struct pass_sums *sums, struct trace *trace)
{
    struct moving moving = { &e->g->world, red };

    check(!g || !e->forward_only);
    if (e->g->world.size > 1) poke_hook(move, &moving);
    for (int k = 0; k < e->plan.count; k++) {
        const struct op *op = &e->plan.ops[k];
        if (!g && is_backward(op->kind)) continue;
        trace_begin(trace);
        beacon_op(op_name(op->kind), op->l, op->u, op->peer);
        if (op->kind == OP_BEGIN) begin(e, k, windows, stride, valid, g != NULL);
        else if (op->kind == OP_REDUCE) reducer_begin(red, op->l);
        else if (op_is_send(op->kind)) send(e, op);
        else if (op_is_recv(op->kind)) receive(e, &e->recv[k]);
        else compute(e, op, g, sums);
        trace_end(trace, op);
        poke();
    }
    poke_hook(NULL, NULL);
    if (g) grad_end(g, 0, g->table->total);
}
