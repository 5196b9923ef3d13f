/* Reading: slices of any length through all blocks, carries kept. */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/embed.h"
#include "src/kernels/rmsnorm.h"
#include "src/model/model.h"

struct stream {
    const struct model *m;
    int          B, T_max;
    int64_t      pos;
    int64_t      carry_reals;   /* of one layer, all sequences            */
    real        *carry;         /* (L, carry_reals)                       */
    int64_t      room, row;     /* tokens that the past has room for; reals of its rows, 0: none */
    real        *past;          /* (L, B, groups, room, row)              */
    struct arena arena;         /* x, y, tape and scratch of one block    */
    struct bf16_work bf16;
    double      *stats;         /* (B,H,T/K,3)                            */
    double      *losses;        /* (3, T/K)                               */
};

static struct layer_call call_of(struct stream *s, int T, int alone)
{
    return (struct layer_call){ .d = &s->m->dims, .t = &s->m->params, .w = s->m->w,
                                .bf16 = s->m->bf16, .bf16_work = &s->bf16, .B = s->B,
                                .T = T, .pos = s->pos, .inner_lr = s->m->dims.inner_lr,
                                .room = s->room, .alone = alone };
}

/* Sequences of rows that grow, of one layer. */
static int64_t columns(const struct stream *s) { return (int64_t)s->B * head_groups(&s->m->dims); }

/* Room for `tokens` in all: doubled, so that reading n tokens moves fewer than 2 n. */
static void make_room(struct stream *s, int64_t tokens)
{
    if (!s->row || tokens <= s->room) return;
    const int64_t room = 2 * s->room > tokens ? 2 * s->room : tokens;
    const int64_t all = s->m->dims.L * columns(s);
    real *past = mem_new(all * room * s->row, sizeof *past, "keys and values");
    for (int64_t i = 0; s->pos > 0 && i < all; i++)
        memcpy(past + i * room * s->row, s->past + i * s->room * s->row,
               (size_t)(s->pos * s->row) * sizeof *past);
    mem_free(s->past);
    s->past = past;
    s->room = room;
}

/* The arrays of a slice of T tokens, laid out in a. */
static void lay_out(const struct model *m, struct arena *a, int B, int T, int alone,
                    struct block_tape *t,
                    struct block_tape *w, struct bf16_work *work, real **x, real **y, real **r)
{
    const int64_t N = (int64_t)B * T;
    *x = arena_reals(a, N * m->dims.C);
    *y = arena_reals(a, N * m->dims.C);
    *r = arena_reals(a, N);
    const struct layer_call c = { .d = &m->dims, .bf16 = m->bf16, .B = B, .T = T,
                                  .alone = alone };
    block_tape(&m->blocks[0], t, a, &c);
    block_work(&m->blocks[0], w, a, &c, 0);
    if (m->bf16) bf16_work_lay_out(work, a, N, T, bf16_widest(&m->params), 0);
}

/* Of the arrays of a slice; work [out]. */
static int64_t slice_bytes(const struct model *m, struct bf16_work *work, int B, int T)
{
    struct block_tape t, w;
    struct arena plan;
    real *x, *y, *r;

    arena_plan(&plan);
    lay_out(m, &plan, B, T, 0, &t, &w, work, &x, &y, &r);
    return plan.peak;
}

int64_t stream_bytes(const struct model *m, int B, int T_max, int64_t tokens)
{
    const struct dims *d = &m->dims;
    const struct block *b = &m->blocks[0];
    const int64_t row = b->layer->past_reals ? b->layer->past_reals(d) : 0;
    struct bf16_work work;

    return d->L * B * (block_carry_reals(b) + head_groups(d) * tokens * row) *
               (int64_t)sizeof(real) +
           slice_bytes(m, &work, B, T_max);
}

struct stream *stream_new(const struct model *m, int B, int T_max)
{
    const struct dims *d = &m->dims;
    struct stream *s = mem_new(1, sizeof *s, "stream");
    const int64_t batches = T_max / d->K + 1;

    check(B > 0 && T_max > 0);
    *s = (struct stream){ .m = m, .B = B, .T_max = T_max };
    s->carry_reals = B * block_carry_reals(&m->blocks[0]);
    s->carry = mem_new(d->L * s->carry_reals, sizeof(real), "carries");
    if (m->blocks[0].layer->past_reals) s->row = m->blocks[0].layer->past_reals(d);
    arena_init(&s->arena, slice_bytes(m, &s->bf16, B, T_max), "activations of a slice");
    s->stats = mem_new(B * d->H * batches * 3, sizeof(double), "inner losses");
    s->losses = mem_new(batches * 3, sizeof(double), "inner losses");
    stream_reset(s);
    return s;
}

void stream_free(struct stream *s)
{
    if (!s) return;
    mem_free(s->carry);
    mem_free(s->past);
    arena_done(&s->arena);
    mem_free(s->stats);
    mem_free(s->losses);
    mem_free(s);
}

void stream_reset(struct stream *s)
{
    struct layer_call c = call_of(s, 0, 0);
    s->pos = 0;
    for (int l = 0; l < s->m->dims.L; l++)
        block_carry_start(&s->m->blocks[l], &c, s->carry + l * s->carry_reals);
}

int64_t stream_pos(const struct stream *s) { return s->pos; }

/* Means over sequences, heads and tokens of each mini-batch. */
static void report_inner(struct stream *s, const struct stream_tap *tap, int l, int n)
{
    const struct dims *d = &s->m->dims;
    for (int k = 0; k < n; k++)
        for (int i = 0; i < 3; i++) {
            double sum = 0;
            for (int bh = 0; bh < s->B * d->H; bh++) sum += s->stats[((int64_t)bh * n + k) * 3 + i];
            s->losses[i * n + k] = sum / ((double)s->B * d->H * d->K);
        }
    tap->inner(tap->ctx, l, n, s->losses, s->losses + n, s->losses + 2 * n);
}

static void pass_slice(struct stream *s, real *out, const int32_t *tok, int T, int alone,
                       const struct stream_tap *tap)
{
    const struct model *m = s->m;
    const struct dims *d = &m->dims;
    struct block_tape t, w;
    real *x, *y, *r;

    check(T > 0 && T <= s->T_max);
    check(!d->window || s->pos + T <= d->window);  /* model_check_window() */
    const int wanted = tap && tap->inner && model_has_inner(m);
    const int inner = wanted && s->pos % d->K == 0 ? T / d->K : 0;
    make_room(s, s->pos + T);
    struct layer_call c = call_of(s, T, alone);
    arena_reset(&s->arena, 0);
    lay_out(m, &s->arena, s->B, T, alone, &t, &w, &s->bf16, &x, &y, &r);
    embed_forward(x, m->w + m->params.p[m->i_embed].offset, tok, s->B * T, d->C);
    if (tap && tap->hidden) tap->hidden(tap->ctx, 0, x, s->B, T);
    for (int l = 0; l < d->L; l++) {
        c.stats = inner ? s->stats : NULL;
        if (s->row) c.past = s->past + l * columns(s) * s->room * s->row;
        block_forward(&m->blocks[l], &c, y, x, s->carry + l * s->carry_reals, &t, &w);
        if (inner) report_inner(s, tap, l, inner);
        real *swap = x;
        x = y;
        y = swap;
        if (tap && tap->hidden) tap->hidden(tap->ctx, l + 1, x, s->B, T);
    }
    rmsnorm_forward(out, r, x, m->w + m->params.p[m->i_norm].offset, s->B * T, d->C, d->rms_eps);
    s->pos += T;
}

void stream_read(struct stream *s, real *x, const int32_t *tok, int T, const struct stream_tap *tap)
{
    pass_slice(s, x, tok, T, 0, tap);
}

void stream_next(struct stream *s, real *x, const int32_t *tok) { pass_slice(s, x, tok, 1, 1, NULL); }

const real *stream_carry(const struct stream *s, int l) { return s->carry + l * s->carry_reals; }
