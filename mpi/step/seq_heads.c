/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/step/seq_heads.h"

#include <string.h>

#include "mpi/step/seq_halo.h"
#include "src/base/mem.h"
#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/model/stage_seq.h"

struct seq_heads {
    const struct axis *seq;
    struct stage      *st;
    struct block_hooks hooks;
    int                requests;       /* rounds x ranks: j * size + r                  */
    MPI_Request       *send;           /* (requests)                                    */
    MPI_Request       *came, *back;    /* (requests) tokens to our heads, heads to our tokens */
    struct seq_halo    halo;
    int64_t            exchange;       /* bytes sent                                    */
};

/* --- the exchange ----------------------------------------------------------- */

/* One exchange of the layer under way: to the heads or back from them, in forward or backward. */
struct crossing_way { int to_heads, back; };

/* The output of inner crosses back to the tokens, its gradient to the heads. */
static enum cross what_of(struct crossing_way w)
{
    return w.to_heads == w.back ? CROSS_OUT : CROSS_IN;
}

/* What round j exchanges with rank r: ours for it, its for us. */
struct piece { real *ours, *its; int n_ours, n_its; };

static struct piece piece_of(const struct seq_heads *x, struct crossing_way w, int j, int r)
{
    const enum cross what = what_of(w);
    const struct cross_part p = seq_share_part(stage_seq_share(x->st), stage_seq_each(x->st, what),
                                               stage_seq_sequences(x->st), j, r);
    real *tokens = stage_seq_tokens(x->st, what, j) + p.tokens_at;
    real *heads = stage_seq_heads(x->st, what, w.back, j) + p.heads_at;
    const int n_tokens = mpi_count(p.tokens), n_heads = mpi_count(p.heads);

    return w.to_heads ? (struct piece){ tokens, heads, n_tokens, n_heads }
                      : (struct piece){ heads, tokens, n_heads, n_tokens };
}

/* Post all receives of an exchange. */
static void post(struct seq_heads *x, struct crossing_way w)
{
    for (int i = 0; i < x->requests; i++) {
        const int j = i / x->seq->size, r = i % x->seq->size;
        const struct piece p = piece_of(x, w, j, r);
        if (p.n_its == 0 || r == x->seq->rank) continue;
        mpi_do(MPI_Irecv(p.its, p.n_its, REAL_MPI, r, SEQ_TAG_OTHERS + j, x->seq->comm,
                         w.to_heads ? &x->came[i] : &x->back[i]));
    }
}

/* Our piece of round j for rank r is ready. */
static void send(struct seq_heads *x, struct crossing_way w, int j, int r)
{
    const struct piece p = piece_of(x, w, j, r);

    if (p.n_ours == 0) return;
    if (r == x->seq->rank) {
        memcpy(p.its, p.ours, (size_t)p.n_ours * sizeof *p.its);
        return;
    }
    x->exchange += p.n_ours * (int64_t)sizeof(real);
    mpi_do(MPI_Isend(p.ours, p.n_ours, REAL_MPI, r, SEQ_TAG_OTHERS + j, x->seq->comm,
                     &x->send[j * x->seq->size + r]));
}

/* Our buffers may be written again. */
static void wait_sends(struct seq_heads *x)
{
    mpi_do(MPI_Waitall(x->requests, x->send, mpi_ignored));
}

/* --- hooks (block.h) ------------------------------------------------------------ */

static void begin(void *ctx, int back) { post(ctx, (struct crossing_way){ 1, back }); }

static void halo(void *ctx, int which, int back)
{
    struct seq_heads *x = ctx;
    seq_halo(&x->halo, which, back);
}

/* Own unit j to the heads of all ranks. */
static void give(void *ctx, int j, int back)
{
    struct seq_heads *x = ctx;
    const struct crossing_way in = { 1, back };

    stage_seq_pack(x->st, what_of(in), j, back);
    for (int r = 0; r < x->seq->size; r++) send(x, in, j, r);
}

/* inner on all units, between its exchanges. */
static void middle(void *ctx, int back)
{
    struct seq_heads *x = ctx;
    const struct seq_share *p = stage_seq_share(x->st);
    const struct crossing_way out = { 0, back };

    wait_sends(x);  /* what comes back is written to where we sent from */
    post(x, out);
    for (int i = 0; i < p->U; i++) {
        const int u = back ? p->U - 1 - i : i, place = seq_share_place(p, u);
        mpi_do(MPI_Wait(&x->came[place], MPI_STATUS_IGNORE));
        stage_seq_inner(x->st, u, back);
        send(x, out, place / p->S, place % p->S);
        poke();
    }
}

/* Own unit j from all heads. */
static void take(void *ctx, int j, int back)
{
    struct seq_heads *x = ctx;

    mpi_do(MPI_Waitall(x->seq->size, x->back + j * x->seq->size, mpi_ignored));
    stage_seq_unpack(x->st, what_of((struct crossing_way){ 0, back }), j, back);
    poke();
}

static void end(void *ctx, int back)
{
    (void)back;
    wait_sends(ctx);
}

/* --- the module ------------------------------------------------------------------ */

struct seq_heads *seq_heads_new(const struct axis *seq, struct stage *st)
{
    struct seq_heads *x = mem_new(1, sizeof *x, "exchange of heads");

    *x = (struct seq_heads){ .seq = seq, .st = st, .halo = { seq, st, 0 } };
    x->hooks = (struct block_hooks){ .ctx = x, .begin = begin, .halo = halo, .give = give,
                                     .middle = middle, .take = take, .end = end };
    x->requests = seq_share_rounds(stage_seq_share(st)) * seq->size;
    x->send = mem_new(x->requests, sizeof *x->send, "exchange of heads");
    x->came = mem_new(x->requests, sizeof *x->came, "exchange of heads");
    x->back = mem_new(x->requests, sizeof *x->back, "exchange of heads");
    for (int i = 0; i < x->requests; i++)
        x->send[i] = x->came[i] = x->back[i] = MPI_REQUEST_NULL;
    return x;
}

void seq_heads_free(struct seq_heads *x)
{
    if (!x) return;
    mem_free(x->send);
    mem_free(x->came);
    mem_free(x->back);
    mem_free(x);
}

const struct block_hooks *seq_heads_hooks(const struct seq_heads *x) { return &x->hooks; }

struct seq_bytes seq_heads_bytes(const struct seq_heads *x)
{
    return (struct seq_bytes){ x->exchange, x->halo.bytes };
}
