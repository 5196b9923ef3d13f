/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule, executed symbolically on thousands of grids: everything is produced once and
 * before it is used, every receive meets its send, nothing waits in a circle although a send is
 * complete only when it is received, and buckets are summed after their last contribution and in
 * the same order everywhere.  Then the same with wrong schedules, to see that it notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/plan/step_plan.h"

struct world {
    struct grid_shape g;
    struct step_shape w;
    int               tied, ranks, forward_only;
    struct step_plan *plans;
    int              *pc;            /* next operation of a rank              */
    const char       *why;
    char              text[256];
};

static int bad(struct world *v, int rank, const struct op *op, const char *why)
{
    snprintf(v->text, sizeof v->text, "%dx%dx%d L%d U%d q%d b%d: rank %d %s m%d l%d u%d: %s", v->g.D,
             v->g.P, v->g.S, v->w.L, v->w.U, v->w.sequences, v->w.micro_batch, rank,
             op ? op_name(op->kind) : "-", op ? op->m : -1, op ? op->l : -1, op ? op->u : -1, why);
    v->why = v->text;
    return 0;
}

/* What a slot holds: how far each layer and unit has come.  Sizes are small. */
enum { MAX_L = 12, MAX_U = 12, MAX_SLOTS = 32, MAX_M = 16 };
struct slot_state {
    int m;                         /* micro-batch, -1: free                          */
    int carry_at[MAX_L];           /* next unit this layer's carry is ready for; -1  */
    int dcarry_at[MAX_L];          /* next unit its gradient is ready for            */
    int x[MAX_L + 1][MAX_U];       /* input of layer l of unit u is there            */
    int dx_at[MAX_U];              /* layer whose output gradient dx is; -1          */
    int tape[MAX_L][MAX_U];
    int pending;                   /* sends not yet received                         */
};
struct rank_state {
    struct slot_state slot[MAX_SLOTS];
    int forward[MAX_M][MAX_L][MAX_U], backward[MAX_M][MAX_L][MAX_U];
    int head[MAX_M][MAX_U], embedded[MAX_M][MAX_U], ended[MAX_M][MAX_L];
    int seq_ops;                   /* operations of all ranks along S done           */
    int reduced[MAX_L + 2], reduce_order[MAX_L + 2], reduces, live, peak;
};

static void slot_begin(struct slot_state *z, int m)
{
    memset(z, 0, sizeof *z);
    z->m = m;
    for (int l = 0; l < MAX_L; l++) z->carry_at[l] = z->dcarry_at[l] = -1;
    for (int u = 0; u < MAX_U; u++) z->dx_at[u] = -1;
}

/* Find the send that op (a receive) waits for; -1 if the sender has not come to it. */
static int sender_ready(struct world *v, int rank, const struct op *op)
{
    const struct step_plan *p = &v->plans[op->peer];
    for (int i = 0; i < v->pc[op->peer]; i++)
        if (op_is_send(p->ops[i].kind) && p->ops[i].peer == rank &&
            op_partner(p->ops[i].kind) == op->kind &&
            op_tag(&p->ops[i], &v->w) == op_tag(op, &v->w))
            return i;
    return -1;
}

/* Run one operation; 1 done, 0 must wait (or v->why is set). */
static int run_compute(struct world *v, struct rank_state *r, int rank, const struct op *op)
{
    const struct share *a = &v->plans[rank].share;
    struct slot_state *z = &r->slot[op->slot];
    const int l = op->l, u = op->u;

    if (z->m != op->m) return bad(v, rank, op, "its slot holds another micro-batch");
    switch (op->kind) {
    case OP_START:
        for (int k = a->l0; k < a->l1; k++) z->carry_at[k] = a->u0;
        return 1;
    case OP_EMBED:
        z->x[0][u] = 1;
        return 1;
    case OP_FORWARD:
        if (!z->x[l][u]) return bad(v, rank, op, "no input");
        if (z->carry_at[l] != u) return bad(v, rank, op, "carry is not there");
        if (r->forward[op->m][l][u]++) return bad(v, rank, op, "twice");
        z->carry_at[l] = u + 1;
        z->x[l + 1][u] = z->tape[l][u] = 1;
        /* Two arrays, taken in turn: the next but one is the same again. */
        if (v->forward_only && l > a->l0) z->x[l - 1][u] = 0;
        return 1;
    case OP_HEAD:
        if (!z->x[v->w.L][u]) return bad(v, rank, op, "no input");
        if (r->head[op->m][u]++) return bad(v, rank, op, "twice");
        z->dx_at[u] = v->w.L - 1;
        return 1;
    case OP_BACKWARD:
        if (a->s == v->g.S - 1 && u == a->u1 - 1 && z->dcarry_at[l] < 0) z->dcarry_at[l] = u;
        if (z->dx_at[u] != l) return bad(v, rank, op, "no gradient of the output");
        if (z->dcarry_at[l] != u) return bad(v, rank, op, "no gradient of the carry");
        if (!z->tape[l][u]) return bad(v, rank, op, "no tape");
        if (r->backward[op->m][l][u]++) return bad(v, rank, op, "twice");
        z->dcarry_at[l] = u - 1;
        z->dx_at[u] = l - 1;
        z->tape[l][u] = 0;
        return 1;
    case OP_EMBED_BACKWARD:
        if (z->dx_at[u] != -1 || !r->backward[op->m][0][u]) return bad(v, rank, op, "too early");
        if (r->embedded[op->m][u]++) return bad(v, rank, op, "twice");
        return 1;
    case OP_START_BACKWARD:
        if (z->dcarry_at[l] != a->u0 - 1) return bad(v, rank, op, "too early");
        if (r->ended[op->m][l]++) return bad(v, rank, op, "twice");
        return 1;
    default:
        return bad(v, rank, op, "unknown");
    }
}

static int run_send(struct world *v, struct rank_state *r, int rank, const struct op *op)
{
    const struct share *a = &v->plans[rank].share;
    struct slot_state *z = &r->slot[op->slot];
    int ready = 0;
    if (z->m != op->m) return bad(v, rank, op, "its slot holds another micro-batch");
    if (op->kind == OP_SEND_X) ready = z->x[a->l1][op->u];
    if (op->kind == OP_SEND_CARRY) ready = z->carry_at[op->l] == a->u1;
    if (op->kind == OP_SEND_DX) ready = z->dx_at[op->u] == a->l0 - 1 &&
                                        r->backward[op->m][a->l0][op->u];
    if (op->kind == OP_SEND_DCARRY) ready = z->dcarry_at[op->l] == a->u0 - 1;
    if (!ready) return bad(v, rank, op, "sends what is not there");
    z->pending++;
    return 1;
}

static int run_recv(struct world *v, struct rank_state *rs, int rank, const struct op *op)
{
    const struct share *a = &v->plans[rank].share;
    struct slot_state *z = &rs[rank].slot[op->slot];
    const int i = sender_ready(v, rank, op);
    if (i < 0) return 0;
    if (z->m != op->m) return bad(v, rank, op, "its slot holds another micro-batch");
    rs[op->peer].slot[v->plans[op->peer].ops[i].slot].pending--;
    if (op->kind == OP_RECV_X) z->x[a->l0][op->u] = 1;
    if (op->kind == OP_RECV_CARRY) z->carry_at[op->l] = a->u0;
    if (op->kind == OP_RECV_DX) z->dx_at[op->u] = a->l1 - 1;
    if (op->kind == OP_RECV_DCARRY) z->dcarry_at[op->l] = a->u1 - 1;
    return 1;
}

/* The n-th operation of rank that takes all ranks along S; NULL: it has fewer. */
static const struct op *seq_op(const struct world *v, int rank, int n)
{
    const struct step_plan *p = &v->plans[rank];
    for (int i = 0; i < p->count; i++)
        if (op_is_seq(p->ops[i].kind) && n-- == 0) return &p->ops[i];
    return NULL;
}

/* Have all ranks along S come to this operation, or past it?  They must do the same ones in the same
 * order. */
static int all_have_come(struct world *v, struct rank_state *rs, int rank, const struct op *op)
{
    const struct share *a = &v->plans[rank].share;
    const int n = rs[rank].seq_ops;
    for (int s = 0; s < v->g.S; s++) {
        const int other = grid_rank(&v->g, a->d, a->p, s);
        const struct step_plan *p = &v->plans[other];
        const struct op *same = seq_op(v, other, n);
        if (!same || same->kind != op->kind || same->m != op->m || same->l != op->l)
            return bad(v, rank, op, "another rank along S is at something else");
        if (rs[other].seq_ops <= n && (v->pc[other] >= p->count || &p->ops[v->pc[other]] != same))
            return 0;
    }
    return 1;
}

/* A layer of all our units in heads mode. */
static int run_seq(struct world *v, struct rank_state *rs, int rank, const struct op *op)
{
    const struct share *a = &v->plans[rank].share;
    struct rank_state *r = &rs[rank];
    struct slot_state *z = &r->slot[op->slot];
    const int l = op->l, back = op->kind == OP_BACKWARD_SEQ;

    if (z->m != op->m) return bad(v, rank, op, "its slot holds another micro-batch");
    if (l < a->l0 || l >= a->l1) return bad(v, rank, op, "not our layer");
    if (!all_have_come(v, rs, rank, op)) return 0;
    r->seq_ops++;
    for (int u = a->u0; u < a->u1; u++) {
        if (!back && !z->x[l][u]) return bad(v, rank, op, "no input");
        if (back && z->dx_at[u] != l) return bad(v, rank, op, "no gradient of the output");
        if (back && !z->tape[l][u]) return bad(v, rank, op, "no tape");
        if ((back ? r->backward : r->forward)[op->m][l][u]++) return bad(v, rank, op, "twice");
        z->tape[l][u] = !back;
        if (back) z->dx_at[u] = l - 1;
        else z->x[l + 1][u] = 1;
        if (v->forward_only && l > a->l0) z->x[l - 1][u] = 0;
    }
    if (back) r->ended[op->m][l]++;
    return 1;
}

/* A bucket may be summed when nothing more will be added to it here. */
static int run_reduce(struct world *v, struct rank_state *r, int rank, const struct op *op)
{
    const struct share *a = &v->plans[rank].share;
    const int L = v->w.L;
    if (r->reduced[op->l]++) return bad(v, rank, op, "twice");
    r->reduce_order[r->reduces++] = op->l;
    for (int m = 0; m < a->M; m++)
        for (int u = a->u0; u < a->u1; u++) {
            if (op->l < L && !r->backward[m][op->l][u]) return bad(v, rank, op, "too early");
            if (op->l < L && a->s == 0 && !r->ended[m][op->l])
                return bad(v, rank, op, "before the initial carry's gradient");
            if (op->l >= L && a->p == v->g.P - 1 && (op->l == BUCKET_HEAD(L) || v->tied) &&
                !r->head[m][u])
                return bad(v, rank, op, "before the head");
            if (op->l == BUCKET_EMBED(L) && a->p == 0 && !r->embedded[m][u])
                return bad(v, rank, op, "before the embedding's gradient");
        }
    return 1;
}

static int run(struct world *v, struct rank_state *rs, int rank, const struct op *op)
{
    struct rank_state *r = &rs[rank];
    if (op->kind == OP_REDUCE) return run_reduce(v, r, rank, op);
    if (op->kind == OP_BEGIN) {
        struct slot_state *z = &r->slot[op->slot];
        if (z->pending) return 0;  /* its buffers are still being read */
        if (z->m < 0) r->live++;
        slot_begin(z, op->m);
        if (r->live > r->peak) r->peak = r->live;
        return 1;
    }
    if (op_is_send(op->kind)) return run_send(v, r, rank, op);
    if (op_is_recv(op->kind)) return run_recv(v, rs, rank, op);
    if (op_is_seq(op->kind)) return run_seq(v, rs, rank, op);
    return run_compute(v, r, rank, op);
}

/* After the end: everything was done, once, and replicas agree on the order of sums. */
static int finished(struct world *v, const struct rank_state *rs)
{
    for (int rank = 0; rank < v->ranks; rank++) {
        const struct share *a = &v->plans[rank].share;
        const struct rank_state *r = &rs[rank];
        struct share b;
        for (int m = 0; m < a->M; m++)
            for (int u = a->u0; u < a->u1; u++)
                for (int l = a->l0; l < a->l1; l++)
                    if (r->forward[m][l][u] != 1 || r->backward[m][l][u] != !v->forward_only)
                        return bad(v, rank, NULL, "work was left out");
        for (int m = 0; m < a->M; m++)
            for (int u = a->u0; u < a->u1; u++)
                if (r->head[m][u] != (a->p == v->g.P - 1))
                    return bad(v, rank, NULL, "a loss was left out");
        if (r->peak > v->plans[rank].slots) return bad(v, rank, NULL, "more slots than planned");
        for (int z = 0; z < v->plans[rank].slots; z++)
            if (r->slot[z].pending) return bad(v, rank, NULL, "a send was never received");
        if (v->forward_only) continue;
        for (int l = a->l0; l < a->l1; l++)
            if (!r->reduced[l]) return bad(v, rank, NULL, "a bucket was left out");
        const int head = a->p == v->g.P - 1, embed = a->p == 0 || (v->tied && head);
        if (r->reduced[BUCKET_HEAD(v->w.L)] != head || r->reduced[BUCKET_EMBED(v->w.L)] != embed)
            return bad(v, rank, NULL, "wrong buckets at the ends");
        for (int other = 0; other < rank; other++) {
            share_of(&b, &v->g, &v->w, other);
            if (b.p == a->p && memcmp(rs[other].reduce_order, r->reduce_order,
                                      sizeof r->reduce_order))
                return bad(v, rank, NULL, "replicas reduce in different orders");
        }
    }
    return 1;
}

static int execute(struct world *v)
{
    struct rank_state *rs = mem_new(v->ranks, sizeof *rs, "test");
    int moved = 1, good;

    v->why = NULL;
    memset(v->pc, 0, (size_t)v->ranks * sizeof *v->pc);
    for (int r = 0; r < v->ranks; r++)
        for (int z = 0; z < MAX_SLOTS; z++) slot_begin(&rs[r].slot[z], -1);
    while (moved && !v->why) {
        moved = 0;
        for (int r = 0; r < v->ranks && !v->why; r++)
            while (v->pc[r] < v->plans[r].count &&
                   run(v, rs, r, &v->plans[r].ops[v->pc[r]])) {
                v->pc[r]++;
                moved = 1;
            }
    }
    for (int r = 0; r < v->ranks && !v->why; r++)
        if (v->pc[r] < v->plans[r].count)
            bad(v, r, &v->plans[r].ops[v->pc[r]], "waits for ever");
    good = !v->why && finished(v, rs);
    mem_free(rs);
    return good;
}

static void world_init(struct world *v, struct grid_shape g, struct step_shape w, int tied,
                       int forward_only)
{
    *v = (struct world){ .g = g, .w = w, .tied = tied, .ranks = grid_ranks(&g),
                         .forward_only = forward_only };
    v->plans = mem_new(v->ranks, sizeof *v->plans, "test");
    v->pc = mem_new(v->ranks, sizeof *v->pc, "test");
    for (int r = 0; r < v->ranks; r++)
        if (forward_only) step_plan_forward(&v->plans[r], &g, &w, r);
        else step_plan_init(&v->plans[r], &g, &w, tied, r);
}

static void world_done(struct world *v)
{
    for (int r = 0; r < v->ranks; r++) step_plan_done(&v->plans[r]);
    mem_free(v->plans);
    mem_free(v->pc);
}

static int draw(uint64_t key, int i, int k, int n)
{
    return 1 + (int)(rng_u64(key, (uint64_t)(16 * i + k)) % (uint64_t)n);
}

static void random_world(struct world *v, int i, int forward_only)
{
    const uint64_t key = rng_key(7, "worlds");
    struct step_shape w = { .L = draw(key, i, 0, MAX_L), .U = draw(key, i, 1, 8),
                            .sequences = draw(key, i, 2, 12), .micro_batch = draw(key, i, 3, 4),
                            .mode = (enum sequence_mode)(draw(key, i, 8, 3) - 1) };
    struct grid_shape g = { .D = draw(key, i, 4, 4), .P = draw(key, i, 5, w.L < 5 ? w.L : 5),
                            .S = draw(key, i, 6, w.U < 5 ? w.U : 5) };
    assert_int_equal(share_check(&g, &w), 0);
    world_init(v, g, w, draw(key, i, 7, 2) - 1, forward_only);
}

static void schedules_are_right(void **state)
{
    (void)state;
    for (int i = 0; i < 8000; i++) {
        struct world v;
        random_world(&v, i / 2, i % 2);
        if (!execute(&v)) fail_msg("%s", v.why);
        for (int r = 0; i % 2 && r < v.ranks; r++) assert_int_equal(v.plans[r].slots, 1);
        world_done(&v);
    }
}

/* Damage one operation of one rank; every kind of damage must be seen. */
static int damage(struct world *v, int i)
{
    const uint64_t key = rng_key(8, "damage");
    struct step_plan *p = &v->plans[draw(key, i, 0, v->ranks) - 1];
    if (p->count < 3) return 0;
    const int k = draw(key, i, 1, p->count) - 1;
    struct op *op = &p->ops[k], swap = *op;
    switch (i % 4) {
    case 0:  /* left out */
        memmove(op, op + 1, (size_t)(p->count - k - 1) * sizeof *op);
        p->count--;
        return 1;
    case 1:  /* another unit or layer */
        if (op->u < 0 && op->l < 0) return 0;
        if (op->u >= 0) op->u = (op->u + 1) % v->w.U; else op->l = (op->l + 1) % (v->w.L + 2);
        return v->w.U > 1 || swap.u < 0;
    case 2:  /* another micro-batch */
        if (op->m < 0) return 0;
        op->m++;
        return 1;
    default: /* an operation that others wait for or depend on, moved to the end */
        if (op->kind == OP_BEGIN || op->kind == OP_REDUCE || k == p->count - 1) return 0;
        if (op->kind == OP_SEND_X || op->kind == OP_SEND_CARRY) {
            if (v->plans[op->peer].share.M == 0) return 0;
            /* Nothing comes after the last ones. */
            if (v->forward_only && op->m == p->share.M - 1) return 0;
        } else if (op->kind != OP_FORWARD && op->kind != OP_BACKWARD && !op_is_seq(op->kind)) {
            return 0;
        }
        memmove(op, op + 1, (size_t)(p->count - k - 1) * sizeof *op);
        p->ops[p->count - 1] = swap;
        return 1;
    }
}

static void wrong_schedules_are_noticed(void **state)
{
    (void)state;
    int tried = 0;
    for (int i = 0; i < 4000; i++) {
        struct world v;
        random_world(&v, i, i / 4 % 2);
        if (damage(&v, i)) {
            tried++;
            if (execute(&v))
                fail_msg("damage %d was not noticed (%dx%dx%d)", i, v.g.D, v.g.P, v.g.S);
        }
        world_done(&v);
    }
    assert_true(tried > 1500);
}

/* Heads and scan mode: nothing crosses to neighbours along S, tapes are those of P stages alone, and the ranks
 * of a sequence do the same. */
static void heads_mode_has_no_carries(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        struct world v;
        random_world(&v, i, 0);
        for (int r = 0; v.w.mode != SEQ_WAVEFRONT && v.g.S > 1 && r < v.ranks; r++) {
            const struct step_plan *p = &v.plans[r];
            const int M = p->share.M, deep = v.g.P - p->share.p;
            int seq = 0;
            for (int k = 0; k < p->count; k++) {
                const int kind = p->ops[k].kind;
                assert_true(kind != OP_SEND_CARRY && kind != OP_RECV_DCARRY && kind != OP_FORWARD);
                seq += op_is_seq(kind);
            }
            assert_int_equal(seq, 2 * M * (p->share.l1 - p->share.l0));
            assert_int_equal(p->slots, M > deep ? deep : M > 1 ? M : 1);
        }
        world_done(&v);
    }
}

/* A bucket's holders are those that reduce it, numbered in the order of ranks. */
static void holders_are_those_who_reduce(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        struct world v;
        random_world(&v, i, 0);
        for (int b = 0; b < v.w.L + 2; b++) {
            int seen = 0, count = 0;
            for (int r = 0; r < v.ranks; r++) {
                const struct step_plan *p = &v.plans[r];
                int place = -1, reduces = 0;
                const int n = bucket_holders(&v.g, v.w.L, v.tied, b, &p->share, &place);
                for (int k = 0; k < p->count; k++)
                    reduces += p->ops[k].kind == OP_REDUCE && p->ops[k].l == b;
                assert_int_equal(reduces, n > 0);
                if (!n) continue;
                assert_int_equal(place, seen++);
                assert_true(count == 0 || count == n);
                count = n;
            }
            assert_int_equal(seen, count);
        }
        world_done(&v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_are_right),
        cmocka_unit_test(wrong_schedules_are_noticed),
        cmocka_unit_test(heads_mode_has_no_carries),
        cmocka_unit_test(holders_are_those_who_reduce),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
