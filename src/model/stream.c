/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: slices of any length through all blocks, carries kept. */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/embed.h"
#include "src/kernels/rmsnorm.h"
#include "src/model/model.h"

/* What a block keeps of the tokens read. */
struct stream_memory {
    real   *carry;   /* (B, carry_reals)                                               */
    real   *past;    /* (B, groups, room, row); NULL: nothing grows                    */
    int64_t columns; /* B * groups: sequences of rows                                  */
    int64_t row;     /* reals of a row; 0: nothing grows                               */
};

struct stream {
    const struct model *m;
    int            B, T_max;
    int64_t        pos;
    int64_t        carry_reals; /* of all blocks                                       */
    real          *carry;       /* (carry_reals)                                       */
    struct stream_memory *memory;      /* (L)                                                 */
    int64_t        room;        /* tokens that the pasts have room for                 */
    struct arena   arena;       /* x, y, tape and scratch of one block                 */
    struct bf16_work bf16;
    double        *stats;       /* (B,H,T/K,3)                                         */
    double        *losses;      /* (3, T/K)                                            */
};

/* The arrays of a slice.  Blocks that follow each other share memory, those of one kind
 * (model.h) the same arrays. */
struct slice_arrays {
    real *x, *y, *r;                         /* (N,C), (N,C), (N)                      */
    struct block_arrays v[PATTERN_LAYERS];   /* (kinds)                                */
};

static struct layer_call call_of(struct stream *s, int T, int decode)
{
    return (struct layer_call){ .t = &s->m->params, .w = s->m->w,
                                .bf16 = s->m->bf16, .bf16_work = &s->bf16, .B = s->B,
                                .T = T, .pos = s->pos, .inner_lr = s->m->dims.inner_lr,
                                .room = s->room, .decode = decode };
}

/* Room for `tokens` in all: doubled, so that reading n tokens moves fewer than 2 n. */
static void make_room(struct stream *s, int64_t tokens)
{
    if (tokens <= s->room) return;
    const int64_t room = 2 * s->room > tokens ? 2 * s->room : tokens;
    for (int l = 0; l < s->m->dims.L; l++) {
        struct stream_memory *b = &s->memory[l];
        if (!b->row) continue;
        real *past = mem_new(b->columns * room * b->row, sizeof *past, "keys and values");
        if (s->pos > 0)
            for (int64_t i = 0; i < b->columns; i++)
                memcpy(past + i * room * b->row, b->past + i * s->room * b->row,
                       (size_t)(s->pos * b->row) * sizeof *past);
        mem_free(b->past);
        b->past = past;
    }
    s->room = room;
}

/* Lay the arrays of a slice of T tokens out in a. */
static void lay_out(const struct model *m, struct arena *a, int B, int T, int decode,
                    struct slice_arrays *z, struct bf16_work *work)
{
    const int64_t N = (int64_t)B * T;
    const struct layer_call c = { .bf16 = m->bf16, .B = B, .T = T, .decode = decode };

    z->x = arena_reals(a, N * m->dims.C);
    z->y = arena_reals(a, N * m->dims.C);
    z->r = arena_reals(a, N);
    if (m->bf16) bf16_work_lay_out(work, a, N, T, bf16_widest(&m->params), 0);
    const int64_t shared = arena_mark(a);
    for (int k = 0; k < m->kinds; k++) {
        arena_reset(a, shared);
        block_lay_out(&m->blocks[k], &z->v[k], a, &c, block_lives_slice(0) | block_lives_shared(0));
    }
}

/* Of the arrays of a slice; work [out]. */
static int64_t slice_bytes(const struct model *m, struct bf16_work *work, int B, int T)
{
    struct arena plan;
    struct slice_arrays z = { .x = NULL };

    arena_plan(&plan);
    lay_out(m, &plan, B, T, 0, &z, work);
    return plan.peak;
}

int64_t stream_bytes(const struct model *m, int B, int T_max, int64_t tokens)
{
    struct bf16_work work;
    int64_t kept = 0;

    for (int l = 0; l < m->dims.L; l++)
        kept += block_carry_reals(&m->blocks[l]) + tokens * block_past_reals(&m->blocks[l]);
    return B * kept * (int64_t)sizeof(real) + slice_bytes(m, &work, B, T_max);
}

struct stream *stream_new(const struct model *m, int B, int T_max)
{
    const struct dims *d = &m->dims;
    struct stream *s = mem_new(1, sizeof *s, "stream");
    const int64_t batches = T_max / d->K + 1;
    int64_t at = 0;

    check(B > 0 && T_max > 0);
    *s = (struct stream){ .m = m, .B = B, .T_max = T_max };
    for (int l = 0; l < d->L; l++) s->carry_reals += B * block_carry_reals(&m->blocks[l]);
    s->carry = mem_new(s->carry_reals, sizeof(real), "carries");
    s->memory = mem_new(d->L, sizeof *s->memory, "carries");
    for (int l = 0; l < d->L; l++) {
        const struct block *b = &m->blocks[l];
        const int64_t groups = head_groups(&b->d);
        s->memory[l] = (struct stream_memory){ .carry = s->carry + at, .columns = B * groups,
                                        .row = block_past_reals(b) / groups };
        at += B * block_carry_reals(b);
    }
    arena_init(&s->arena, slice_bytes(m, &s->bf16, B, T_max), "activations of a slice");
    s->stats = mem_new(B * d->H * batches * 3, sizeof(double), "inner losses");
    s->losses = mem_new(batches * 3, sizeof(double), "inner losses");
    stream_reset(s);
    return s;
}

void stream_free(struct stream *s)
{
    if (!s) return;
    for (int l = 0; l < s->m->dims.L; l++) mem_free(s->memory[l].past);
    mem_free(s->memory);
    mem_free(s->carry);
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
        block_carry_start(&s->m->blocks[l], &c, s->memory[l].carry);
}

int64_t stream_pos(const struct stream *s) { return s->pos; }

/* Means over sequences, heads and tokens of each of n mini-batches. */
static void report_inner(struct stream *s, const struct stream_tap *tap, int l, int n)
{
    const struct dims *d = &s->m->blocks[l].d;
    for (int k = 0; k < n; k++)
        for (int i = 0; i < 3; i++) {
            double sum = 0;
            for (int bh = 0; bh < s->B * d->H; bh++) sum += s->stats[((int64_t)bh * n + k) * 3 + i];
            s->losses[i * n + k] = sum / ((double)s->B * d->H * d->K);
        }
    tap->inner(tap->ctx, l, n, s->losses, s->losses + n, s->losses + 2 * n);
}

/* Whole mini-batches of a slice whose inner losses block b gives and the tap wants. */
static int inner_batches(const struct stream *s, const struct stream_tap *tap,
                         const struct block *b, int T)
{
    if (!tap || !tap->inner || !block_has_inner(b) || s->pos % b->d.K != 0) return 0;
    return T / b->d.K;
}

static void pass_block(struct stream *s, struct slice_arrays *z, const struct layer_call *c,
                       int l, const struct stream_tap *tap)
{
    const struct block *b = &s->m->blocks[l];
    const int k = l % s->m->kinds, inner = inner_batches(s, tap, b, c->T);
    struct slice slice = { .c = *c, .v = &z->v[k], .x = z->x, .y = z->y };

    slice.c.stats = inner ? s->stats : NULL;
    slice.c.past = s->memory[l].past;
    block_forward(b, &slice, 1, s->memory[l].carry, NULL);
    if (inner) report_inner(s, tap, l, inner);
    z->y = z->x;
    z->x = slice.y;
}

static void pass_slice(struct stream *s, real *out, const int32_t *tok, int T, int decode,
                       const struct stream_tap *tap)
{
    const struct model *m = s->m;
    const struct dims *d = &m->dims;
    struct slice_arrays z = { .x = NULL };

    check(T > 0 && T <= s->T_max);
    check(!d->window || s->pos + T <= d->window);  /* model_check_window() */
    make_room(s, s->pos + T);
    struct layer_call c = call_of(s, T, decode);
    arena_reset(&s->arena, 0);
    lay_out(m, &s->arena, s->B, T, decode, &z, &s->bf16);
    embed_forward(z.x, m->w + m->params.p[m->i_embed].offset, tok, s->B * T, d->C);
    if (tap && tap->hidden) tap->hidden(tap->ctx, 0, z.x, s->B, T);
    for (int l = 0; l < d->L; l++) {
        pass_block(s, &z, &c, l, tap);
        if (tap && tap->hidden) tap->hidden(tap->ctx, l + 1, z.x, s->B, T);
    }
    rmsnorm_forward(out, z.r, z.x, m->w + m->params.p[m->i_norm].offset, s->B * T, d->C,
                    d->rms_eps);
    s->pos += T;
}

void stream_read(struct stream *s, real *x, const int32_t *tok, int T, const struct stream_tap *tap)
{
    pass_slice(s, x, tok, T, 0, tap);
}

void stream_next(struct stream *s, real *x, const int32_t *tok) { pass_slice(s, x, tok, 1, 1, NULL); }

const real *stream_carry(const struct stream *s, int l) { return s->memory[l].carry; }
