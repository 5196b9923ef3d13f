/* SPDX-License-Identifier: Apache-2.0 */
#include "src/model/stage.h"

#include <math.h>
#include <string.h>

#include "src/base/status.h"
#include "src/kernels/embed.h"
#include "src/kernels/rmsnorm.h"
#include "src/model/stage_state.h"

int stage_tokens(const struct stage *st, int u)
{
    const int left = st->o.context - u * st->T;
    return left < st->T ? left : st->T;
}

int stage_width(const struct stage *st) { return st->d->C; }

real *stage_x(struct stage *st, int slot, int l, int u)
{
    return stage_unit(st, slot, u)->x[l - st->part.l0];
}

real *stage_dx(struct stage *st, int slot, int u) { return stage_unit(st, slot, u)->dx; }

static const struct stage_layer *sizes_of(const struct stage *st, int l)
{
    return &st->layer[l - st->part.l0];
}

real *stage_carry(struct stage *st, int slot, int l)
{
    return st->slots[slot].carry + sizes_of(st, l)->at;
}

real *stage_dcarry(struct stage *st, int slot, int l)
{
    return st->slots[slot].dcarry + sizes_of(st, l)->at;
}

int stage_carry_part(const struct stage *st, int l, int B, int u, int i, int64_t *offset,
                     int64_t *n)
{
    const struct block *b = stage_block(st, l);
    const struct stage_layer *z = sizes_of(st, l);
    const int64_t before = (int64_t)u * st->T;  /* tokens, if the sequence is not shorter */
    int parts = 0;

    if (block_carry_part(b, B, i, offset, n)) return 1;
    if (!z->row) return 0;
    while (block_carry_part(b, B, parts, offset, n)) parts++;
    *offset = z->carry + (i - parts) * st->room * z->row;
    *n = (before < st->o.context ? before : st->o.context) * z->row;
    return i - parts < B * head_groups(&b->d);
}

/* --- operations ----------------------------------------------------------- */

void stage_inner_factor(struct stage *st, double factor) { st->inner_factor = factor; }

int64_t stage_count_targets(const int32_t *window, int n, int mask_token)
{
    int64_t count = 0;
    for (int t = 1; t <= n; t++) count += head_scored(window[t], mask_token);
    return count;
}

void stage_begin(struct stage *st, int slot, const int32_t *windows, int64_t stride,
                 const int64_t *valid, int64_t first, int B)
{
    struct slot *z = &st->slots[slot];
    check(B >= 1 && B <= st->o.micro_batch);
    z->windows = windows;
    z->stride = stride;
    z->first = first;
    z->B = B;
    memcpy(z->valid, valid, (size_t)B * sizeof *valid);
    if (z->dcarry)
        memset(z->dcarry, 0, (size_t)st->carries * sizeof *z->dcarry);
}

/* Input ids of unit u of sequence b; its targets are one further. */
static const int32_t *tokens_of(const struct stage *st, const struct slot *z, int b, int u)
{
    return z->windows + b * z->stride + (int64_t)(u - st->part.u0) * st->T;
}

struct layer_call stage_call(const struct stage *st, const struct slot *z, struct grad *g, int u)
{
    return (struct layer_call){ .d = st->d, .t = &st->m->params, .w = st->m->w, .grad = g,
                                .bf16 = st->m->bf16, .bf16_work = (struct bf16_work *)&st->bf16,
                                .B = z->B, .T = stage_tokens(st, u), .pos = (int64_t)u * st->T,
                                .inner_lr = st->d->inner_lr * st->inner_factor,
                                .group = st->o.inner_group };
}

struct slice *stage_slices(struct stage *st, int slot, int l, int u, int n, struct grad *g,
                           int again)
{
    const int i = l - st->part.l0;

    for (int j = 0; j < n; j++) {
        struct unit *z = stage_unit(st, slot, u + j);
        st->slices[j] = (struct slice){
            .c = stage_call(st, &st->slots[slot], g, u + j),
            .v = stage_arrays(st, slot, l, u + j), .x = z->x[i],
            .y = again ? st->xn : z->x[i + 1], .dx = z->dx,
        };
    }
    return st->slices;
}

/* Unit u of layer l as a slice of the wavefront: with its past. */
static struct slice *slice_of(struct stage *st, int slot, int l, int u, struct grad *g, int again)
{
    const struct stage_layer *z = sizes_of(st, l);
    struct slice *s = stage_slices(st, slot, l, u, 1, g, again);

    if (!z->past) return s;
    s->c.room = st->room;
    s->c.past = stage_carry(st, slot, l) + z->carry;
    if (g) s->c.dpast = stage_dcarry(st, slot, l) + z->carry;
    return s;
}

void stage_start(struct stage *st, int slot)
{
    struct layer_call c = stage_call(st, &st->slots[slot], NULL, 0);
    for (int l = st->part.l0; l < st->part.l1; l++)
        block_carry_start(stage_block(st, l), &c, stage_carry(st, slot, l));
}

void stage_start_backward(struct stage *st, int slot, int l, struct grad *g)
{
    struct layer_call c = stage_call(st, &st->slots[slot], g, 0);
    block_carry_start_backward(stage_block(st, l), &c, stage_dcarry(st, slot, l));
}

void stage_embed(struct stage *st, int slot, int u)
{
    const struct slot *z = &st->slots[slot];
    const int T = stage_tokens(st, u);
    for (int b = 0; b < z->B; b++) {
        const int32_t *tok = tokens_of(st, z, b, u);
        for (int t = 0; t < T; t++) st->tok[(int64_t)b * T + t] = tok[t] < 0 ? 0 : tok[t];
    }
    embed_forward(stage_x(st, slot, 0, u), st->m->w + st->m->params.p[st->m->i_embed].offset,
                  st->tok, z->B * T, st->d->C);
}

/* Rows of dx to the rows of their tokens.  Threads share out columns, because
 * a token may stand in many rows. */
void stage_embed_backward(struct stage *st, int slot, int u, struct grad *g)
{
    enum { COLUMNS = 64 };
    const struct slot *z = &st->slots[slot];
    const int C = st->d->C, T = stage_tokens(st, u);
    const int64_t at = st->m->params.p[st->m->i_embed].offset;
    const real *dx = stage_dx(st, slot, u);

    grad_end(g, at, at + (int64_t)st->d->V * C);  /* by all threads, before they add */
    #pragma omp parallel for schedule(static)
    for (int c = 0; c < C; c += COLUMNS) {
        const int n = C - c < COLUMNS ? C - c : COLUMNS;
        for (int b = 0; b < z->B; b++) {
            const int32_t *tok = tokens_of(st, z, b, u);
            for (int t = 0; t < T; t++)
                grad_add(g, at + (int64_t)tok[t] * C + c, dx + ((int64_t)b * T + t) * C + c, n);
        }
    }
}

/* Add a share of a mean over sequences; what is not finite is noted. */
static void add_share(struct pass_sums *sums, struct fixed *to, double x)
{
    if (isfinite(x) && fabs(x) < 0x1p40) fixed_add(to, x);
    else sums->bad = 1;
}

void stage_add_inner(const struct stage *st, struct pass_sums *sums, int l, int B, int H, int T)
{
    const struct dims *d = &stage_block(st, l)->d;
    const int K = d->K, n = T / K, all = st->o.context / K;
    struct fixed *to[3] = { sums->inner_w0, sums->inner_before, sums->inner_after };
    for (int b = 0; b < B; b++)
        for (int i = 0; i < 3; i++)
            for (int h = 0; h < H; h++) {
                double sum = 0;
                for (int k = 0; k < n; k++)
                    sum += st->stats[(((int64_t)b * H + h) * n + k) * 3 + i];
                add_share(sums, &to[i][l], sum / ((double)d->H * K * all));
            }
}

void stage_forward(struct stage *st, int slot, int l, int u, struct pass_sums *sums)
{
    const struct block *b = stage_block(st, l);
    const struct pass_tap *tap = sums->tap;
    struct slice *s = slice_of(st, slot, l, u, NULL, 0);
    real *carry = stage_carry(st, slot, l);
    real *before = stage_unit(st, slot, u)->carry[l - st->part.l0];
    const int tell = tap && tap->inner, wanted = block_has_inner(b) && (sums->inner_w0 || tell);
    const int batches = wanted ? s->c.T / b->d.K : 0;

    if (before) memcpy(before, carry, (size_t)sizes_of(st, l)->carry * sizeof *carry);
    s->c.stats = batches ? st->stats : NULL;
    block_forward(b, s, 1, carry, NULL);
    if (batches && sums->inner_w0) stage_add_inner(st, sums, l, s->c.B, b->d.H, s->c.T);
    if (batches && tell)
        for (int i = 0; i < s->c.B; i++)
            tap->inner(tap->ctx, l, st->slots[slot].first + i, s->c.pos,
                       st->stats + (int64_t)i * b->d.H * batches * 3, batches);
}

/* A block that is computed again appends the rows to the past that are there already. */
void stage_backward(struct stage *st, int slot, int l, int u, struct grad *g)
{
    const struct block *b = stage_block(st, l);

    if (st->o.remat == REMAT_BLOCK) {
        const real *before = stage_unit(st, slot, u)->carry[l - st->part.l0];
        memcpy(st->redo, before, (size_t)sizes_of(st, l)->carry * sizeof *st->redo);
        block_forward(b, slice_of(st, slot, l, u, g, 1), 1, st->redo, NULL);
    }
    block_backward(b, slice_of(st, slot, l, u, g, 0), 1, stage_dcarry(st, slot, l), NULL);
}

void stage_head(struct stage *st, int slot, int u, struct grad *g, struct pass_sums *sums)
{
    const struct model *m = st->m;
    const struct slot *z = &st->slots[slot];
    const int C = st->d->C, T = stage_tokens(st, u);
    const int64_t at_norm = m->params.p[m->i_norm].offset;
    const real *x = stage_x(st, slot, st->d->L, u);
    real *dx = stage_dx(st, slot, u);

    rmsnorm_forward(st->xn, st->r, x, m->w + at_norm, z->B * T, C, st->d->rms_eps);
    if (g) memset(dx, 0, (size_t)((int64_t)z->B * T * C) * sizeof *dx);
    for (int b = 0; b < z->B; b++) {
        const int64_t at = (int64_t)b * T * C, valid = z->valid[b];
        const struct head_unit unit = {
            .m = m, .x = st->xn + at, .T = T, .mask_token = st->o.mask_token,
            .target = tokens_of(st, z, b, u) + 1,
            .scale = valid ? (double)st->U / (double)valid : 0,
            .tap = sums->tap, .sequence = z->first + b, .position = (int64_t)u * st->T,
        };
        const double nll = head_unit(&st->head, g, &unit);
        add_share(sums, &sums->loss, valid ? nll / (double)valid : 0);
        if (!g) continue;
        memset(st->head.dw, 0, (size_t)C * sizeof(real));
        rmsnorm_backward(dx + at, st->head.dw, st->head.dx, x + at, m->w + at_norm,
                         st->r + (int64_t)b * T, T, C);
        grad_add(g, at_norm, st->head.dw, C);
    }
}
