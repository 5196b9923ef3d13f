#include "mpi/step/seq_heads.h"

#include <string.h>

#include "mpi/step/seq_halo.h"
#include "src/base/mem.h"
#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/model/stage_heads.h"

struct seq_heads {
    const struct axis *seq;
    struct stage      *st;
    int                again;          /* blocks are computed a second time in backward */
    int                requests;       /* rounds x ranks: j * size + r                  */
    MPI_Request       *send;           /* (requests)                                    */
    MPI_Request       *came, *back;    /* (requests) tokens to our heads, heads to our tokens */
    struct seq_halo    halo;
    int64_t            exchange;       /* bytes sent                                    */
};

struct seq_heads *seq_heads_new(const struct axis *seq, struct stage *st, int again)
{
    struct seq_heads *x = mem_new(1, sizeof *x, "exchange of heads");

    *x = (struct seq_heads){ .seq = seq, .st = st, .again = again, .halo = { seq, st, 0 } };
    x->requests = stage_heads_rounds(st) * seq->size;
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

struct seq_bytes seq_heads_bytes(const struct seq_heads *x)
{
    return (struct seq_bytes){ x->exchange, x->halo.bytes };
}

/* --- the exchange ----------------------------------------------------------- */

/* One exchange of a layer: what crosses, and which way. */
struct crossing { int slot, l; enum cross what; int to_heads; };

/* What round j exchanges with rank r: ours for it, its for us. */
struct piece { real *ours, *its; int n_ours, n_its; };

static struct piece piece_of(const struct seq_heads *x, const struct crossing *c, int j, int r)
{
    const int back = c->to_heads == (c->what == CROSS_OUT);  /* o goes to heads in backward only */
    struct cross_part p;

    stage_heads_part(&p, x->st, c->slot, c->what, j, r);
    real *tokens = stage_heads_tokens(x->st, c->slot, c->what, j) + p.tokens_at;
    real *heads = stage_heads_heads(x->st, c->slot, c->l, c->what, back, j) + p.heads_at;
    const int n_tokens = mpi_count(p.tokens), n_heads = mpi_count(p.heads);
    return c->to_heads ? (struct piece){ tokens, heads, n_tokens, n_heads }
                       : (struct piece){ heads, tokens, n_heads, n_tokens };
}

/* Post all receives of an exchange. */
static void begin(struct seq_heads *x, const struct crossing *c)
{
    for (int i = 0; i < x->requests; i++) {
        const int j = i / x->seq->size, r = i % x->seq->size;
        const struct piece p = piece_of(x, c, j, r);
        if (p.n_its == 0 || r == x->seq->rank) continue;
        mpi_do(MPI_Irecv(p.its, p.n_its, REAL_MPI, r, SEQ_TAG_OTHERS + j, x->seq->comm,
                         c->to_heads ? &x->came[i] : &x->back[i]));
    }
}

/* Our piece of round j for rank r is ready. */
static void give(struct seq_heads *x, const struct crossing *c, int j, int r)
{
    const struct piece p = piece_of(x, c, j, r);

    if (p.n_ours == 0) return;
    if (r == x->seq->rank) {
        memcpy(p.its, p.ours, (size_t)p.n_ours * sizeof *p.its);
        return;
    }
    x->exchange += p.n_ours * (int64_t)sizeof(real);
    mpi_do(MPI_Isend(p.ours, p.n_ours, REAL_MPI, r, SEQ_TAG_OTHERS + j, x->seq->comm,
                     &x->send[j * x->seq->size + r]));
}

/* Own unit j to the heads of all ranks. */
static void give_tokens(struct seq_heads *x, const struct crossing *c, int j)
{
    for (int r = 0; r < x->seq->size; r++) give(x, c, j, r);
}

/* Wait for the tokens of unit u; for our unit j from all heads. */
static void take_unit(struct seq_heads *x, int u)
{
    mpi_do(MPI_Wait(&x->came[stage_heads_place(x->st, u)], MPI_STATUS_IGNORE));
}

static void take_heads(struct seq_heads *x, int j)
{
    mpi_do(MPI_Waitall(x->seq->size, x->back + j * x->seq->size, MPI_STATUSES_IGNORE));
}

/* Our buffers may be written again. */
static void end(struct seq_heads *x)
{
    mpi_do(MPI_Waitall(x->requests, x->send, MPI_STATUSES_IGNORE));
}

/* --- a layer ---------------------------------------------------------------- */

/* The inner loop over all units, forward or (with g) backward, between its exchanges. */
static void middle(struct seq_heads *x, const struct crossing *out, struct pass_sums *sums,
                   struct grad *g)
{
    struct stage *st = x->st;
    const int U = stage_heads_units(st), S = x->seq->size;

    end(x);  /* what comes back is written to where we sent from */
    begin(x, out);
    for (int i = 0; i < U; i++) {
        const int u = g ? U - 1 - i : i, place = stage_heads_place(st, u);
        take_unit(x, u);
        if (g) stage_heads_inner_backward(st, out->slot, out->l, u, g);
        else stage_heads_inner(st, out->slot, out->l, u, sums);
        give(x, out, place / S, place % S);
        poke();
    }
}

static void forward(struct seq_heads *x, int slot, int l, struct pass_sums *sums, int again)
{
    const struct crossing in = { slot, l, CROSS_IN, 1 }, out = { slot, l, CROSS_OUT, 0 };
    struct stage *st = x->st;
    const int own = stage_heads_own(st);

    begin(x, &in);
    stage_heads_start(st, slot, l);
    stage_heads_normalise(st, slot, l);
    seq_halo(&x->halo, slot, l, HALO_CONV);
    stage_heads_project(st, slot, l);
    seq_halo(&x->halo, slot, l, HALO_LAYER);
    for (int j = 0; j < own; j++) {
        stage_heads_mix(st, slot, l, j);
        give_tokens(x, &in, j);
    }
    middle(x, &out, sums, NULL);
    for (int j = 0; j < own; j++) {
        take_heads(x, j);
        stage_heads_finish(st, slot, l, j, again);
        poke();
    }
    end(x);
}

void seq_heads_forward(struct seq_heads *x, int slot, int l, struct pass_sums *sums)
{
    forward(x, slot, l, sums, 0);
}

void seq_heads_backward(struct seq_heads *x, int slot, int l, struct grad *g)
{
    const struct crossing in = { slot, l, CROSS_OUT, 1 }, out = { slot, l, CROSS_IN, 0 };
    struct stage *st = x->st;
    const int own = stage_heads_own(st);
    struct stage_halo h;

    if (x->again) forward(x, slot, l, NULL, 1);
    begin(x, &in);
    stage_heads_back(st, slot, l);
    for (int j = own - 1; j >= 0; j--) {
        stage_heads_finish_backward(st, slot, l, j, g);
        give_tokens(x, &in, j);
    }
    middle(x, &out, NULL, g);
    const int mixed = stage_heads_halos(&h, st, slot, l, HALO_LAYER);
    for (int j = own - 1; j >= 0; j--) {
        take_heads(x, j);
        if (mixed) stage_heads_mix_backward(st, slot, l, j, g);
    }
    seq_halo_backward(&x->halo, slot, l, HALO_LAYER);
    for (int j = own - 1; j >= 0; j--) {
        stage_heads_project_backward(st, slot, l, j, g);
        poke();
    }
    seq_halo_backward(&x->halo, slot, l, HALO_CONV);
    stage_heads_normalise_backward(st, slot, l, g);
    stage_heads_end(st, slot, l, g);
    end(x);
}
