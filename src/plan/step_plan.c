/* SPDX-License-Identifier: Apache-2.0 */
#include "src/plan/step_plan.h"

#include "src/base/mem.h"

static const char *const names[OP_KINDS] = {
    "BEGIN", "START", "EMBED", "RECV_X", "RECV_CARRY", "FORWARD", "SEND_CARRY", "SEND_X", "HEAD",
    "RECV_DX", "RECV_DCARRY", "BACKWARD", "SEND_DCARRY", "SEND_DX", "EMBED_BACKWARD",
    "START_BACKWARD", "FORWARD_SEQ", "BACKWARD_SEQ", "REDUCE",
};

const char *op_name(int kind) { return names[kind]; }

/* What crosses: 0 x, 1 carry, 2 dx, 3 dcarry; -1 nothing. */
static int thing(int kind)
{
    switch (kind) {
    case OP_SEND_X: case OP_RECV_X: return 0;
    case OP_SEND_CARRY: case OP_RECV_CARRY: return 1;
    case OP_SEND_DX: case OP_RECV_DX: return 2;
    case OP_SEND_DCARRY: case OP_RECV_DCARRY: return 3;
    default: return -1;
    }
}

static const int sends[] = { OP_SEND_X, OP_SEND_CARRY, OP_SEND_DX, OP_SEND_DCARRY };
static const int recvs[] = { OP_RECV_X, OP_RECV_CARRY, OP_RECV_DX, OP_RECV_DCARRY };

int op_is_send(int kind) { return thing(kind) >= 0 && sends[thing(kind)] == kind; }
int op_is_recv(int kind) { return thing(kind) >= 0 && recvs[thing(kind)] == kind; }
int op_is_seq(int kind) { return kind == OP_FORWARD_SEQ || kind == OP_BACKWARD_SEQ; }
int op_partner(int kind) { return op_is_send(kind) ? recvs[thing(kind)] : sends[thing(kind)]; }

int op_tag(const struct op *op, const struct step_shape *w)
{
    const int most = w->L > w->U ? w->L : w->U, which = op->l >= 0 ? op->l : op->u;
    return (op->m * most + which) * 4 + thing(op->kind);
}

int bucket_holders(const struct grid_shape *g, int L, int tied, int b, const struct share *a,
                   int *place)
{
    const int first = a->p == 0, last = a->p == g->P - 1, both = tied && g->P > 1;
    int ours = b >= a->l0 && b < a->l1;

    if (b == BUCKET_HEAD(L)) ours = last;
    if (b == BUCKET_EMBED(L)) ours = first || (tied && last);
    if (!ours) return 0;
    *place = a->d * g->S + a->s;
    if (b != BUCKET_EMBED(L) || !both) return g->D * g->S;
    *place = (2 * a->d + !first) * g->S + a->s;
    return 2 * g->D * g->S;
}

/* --- building ------------------------------------------------------------- */

struct builder {
    struct step_plan        *plan;
    const struct grid_shape *g;
    const struct step_shape *w;
    int                      room;
};

static void put(struct builder *b, int kind, int m, int l, int u, int peer)
{
    struct step_plan *p = b->plan;
    if (p->count == b->room) {
        b->room = b->room ? 2 * b->room : 256;
        p->ops = mem_resize(p->ops, b->room, sizeof *p->ops, "step plan");
    }
    p->ops[p->count++] = (struct op){ .kind = (short)kind, .m = m, .l = l, .u = u, .peer = peer,
                                      .slot = (short)(m < 0 ? -1 : m % p->slots) };
}

/* Our neighbour dp stages and ds chunks away. */
static int neighbour(const struct builder *b, int dp, int ds)
{
    const struct share *a = &b->plan->share;
    return grid_rank(b->g, a->d, a->p + dp, a->s + ds);
}

/* All ranks of a sequence on the same layer? */
static int is_by_layer(const struct grid_shape *g, const struct step_shape *w)
{
    return w->mode != SEQ_WAVEFRONT && g->S > 1;
}

static int by_layer(const struct builder *b) { return is_by_layer(b->g, b->w); }

/* The operations at which unit u of a micro-batch enters and leaves this rank. */
static void enter(struct builder *b, int m, int u)
{
    if (b->plan->share.p == 0) put(b, OP_EMBED, m, -1, u, -1);
    else put(b, OP_RECV_X, m, -1, u, neighbour(b, -1, 0));
}

static void leave(struct builder *b, int m, int u)
{
    if (b->plan->share.p < b->g->P - 1) put(b, OP_SEND_X, m, -1, u, neighbour(b, 1, 0));
}

static void forward_layers(struct builder *b, int m)
{
    const struct share *a = &b->plan->share;
    for (int u = a->u0; u < a->u1; u++) enter(b, m, u);
    for (int l = a->l0; l < a->l1; l++) put(b, OP_FORWARD_SEQ, m, l, -1, -1);
    for (int u = a->u0; u < a->u1; u++) leave(b, m, u);
}

static void forward_wave(struct builder *b, int m)
{
    const struct share *a = &b->plan->share;

    if (a->s == 0) put(b, OP_START, m, -1, -1, -1);
    for (int l = a->l0; l < a->l1; l++) {
        if (a->s > 0) put(b, OP_RECV_CARRY, m, l, -1, neighbour(b, 0, -1));
        for (int u = a->u0; u < a->u1; u++) {
            if (l == a->l0) enter(b, m, u);
            put(b, OP_FORWARD, m, l, u, -1);
            if (l == a->l1 - 1) leave(b, m, u);
        }
        if (a->s < b->g->S - 1) put(b, OP_SEND_CARRY, m, l, -1, neighbour(b, 0, 1));
    }
}

static void forward(struct builder *b, int m)
{
    const struct share *a = &b->plan->share;

    put(b, OP_BEGIN, m, -1, -1, -1);
    if (by_layer(b)) forward_layers(b, m);
    else forward_wave(b, m);
    if (a->p == b->g->P - 1)
        for (int u = a->u0; u < a->u1; u++) put(b, OP_HEAD, m, -1, u, -1);
}

/* The same on the way back. */
static void enter_back(struct builder *b, int m, int u)
{
    if (b->plan->share.p < b->g->P - 1) put(b, OP_RECV_DX, m, -1, u, neighbour(b, 1, 0));
}

static void leave_back(struct builder *b, int m, int u)
{
    if (b->plan->share.p == 0) put(b, OP_EMBED_BACKWARD, m, -1, u, -1);
    else put(b, OP_SEND_DX, m, -1, u, neighbour(b, -1, 0));
}

static void backward_wave(struct builder *b, int m, int l)
{
    const struct share *a = &b->plan->share;

    if (a->s < b->g->S - 1) put(b, OP_RECV_DCARRY, m, l, -1, neighbour(b, 0, 1));
    for (int u = a->u1 - 1; u >= a->u0; u--) {
        if (l == a->l1 - 1) enter_back(b, m, u);
        put(b, OP_BACKWARD, m, l, u, -1);
        if (l == a->l0) leave_back(b, m, u);
    }
    if (a->s > 0) put(b, OP_SEND_DCARRY, m, l, -1, neighbour(b, 0, -1));
    else put(b, OP_START_BACKWARD, m, l, -1, -1);
}

static void backward_layer(struct builder *b, int m, int l)
{
    const struct share *a = &b->plan->share;

    if (l == a->l1 - 1)
        for (int u = a->u1 - 1; u >= a->u0; u--) enter_back(b, m, u);
    put(b, OP_BACKWARD_SEQ, m, l, -1, -1);
    if (l == a->l0)
        for (int u = a->u1 - 1; u >= a->u0; u--) leave_back(b, m, u);
}

static void backward(struct builder *b, int m)
{
    const struct share *a = &b->plan->share;
    const int final = m == a->M - 1;

    if (final && a->p == b->g->P - 1) put(b, OP_REDUCE, -1, BUCKET_HEAD(b->w->L), -1, -1);
    for (int l = a->l1 - 1; l >= a->l0; l--) {
        if (by_layer(b)) backward_layer(b, m, l);
        else backward_wave(b, m, l);
        if (final) put(b, OP_REDUCE, -1, l, -1, -1);
    }
}

static int min(int a, int b) { return a < b ? a : b; }

int step_slots(const struct grid_shape *g, const struct step_shape *w, const struct share *a)
{
    const int warm = min(a->M, g->P - a->p + (is_by_layer(g, w) ? 0 : g->S - 1 - a->s));
    return warm > 1 ? warm : 1;
}

void step_plan_init(struct step_plan *plan, const struct grid_shape *g,
                    const struct step_shape *w, int tied, int rank)
{
    struct builder b = { plan, g, w, 0 };
    *plan = (struct step_plan){ .slots = 1 };
    struct share *a = &plan->share;
    share_of(a, g, w, rank);
    plan->slots = step_slots(g, w, a);

    const int warm = min(a->M, plan->slots);
    for (int m = 0; m < warm; m++) forward(&b, m);
    for (int m = 0; m < a->M; m++) {
        backward(&b, m);
        if (m + warm < a->M) forward(&b, m + warm);
    }
    /* Without work of our own we still take part in the sums, in the same order. */
    if (a->M == 0 && a->p == g->P - 1) put(&b, OP_REDUCE, -1, BUCKET_HEAD(w->L), -1, -1);
    if (a->M == 0)
        for (int l = a->l1 - 1; l >= a->l0; l--) put(&b, OP_REDUCE, -1, l, -1, -1);
    if (a->p == 0 || (tied && a->p == g->P - 1))
        put(&b, OP_REDUCE, -1, BUCKET_EMBED(w->L), -1, -1);
}

void step_plan_forward(struct step_plan *plan, const struct grid_shape *g,
                       const struct step_shape *w, int rank)
{
    struct builder b = { plan, g, w, 0 };
    *plan = (struct step_plan){ .slots = 1 };
    share_of(&plan->share, g, w, rank);
    for (int m = 0; m < plan->share.M; m++) forward(&b, m);
}

void step_plan_done(struct step_plan *plan)
{
    mem_free(plan->ops);
    *plan = (struct step_plan){ 0 };
}
