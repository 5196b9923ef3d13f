/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/attention.h"

#include <string.h>

#include "src/base/status.h"
#include "src/kernels/attention_parts.h"
#include "src/kernels/lanes.h"
#include "src/kernels/smm.h"

/* Algorithm 4 of FlashAttention (Dao et al. 2022), block by block of queries and keys:    [E62]
 *
 *     S = K Q'           P = exp(S - lse)     recomputed: forward kept only lse
 *     dP = V dO'         dS = P (dP - D)      D = rowsum(dO * O), since rowsum(P * dP) = D
 *     dV += P dO         dK += dS Q           dQ += dS' K
 *
 * Scores have keys as rows here, so P and dS are the transposes of the paper's.  A part of the work
 * (struct part) keeps the queries of up to CHUNK blocks in a thread's arrays and takes one block of
 * keys after the other: it may want dQ, dK and dV, or both. */

/* s (scores) becomes P, p (dP) becomes dS. */
CLONES
static void unsoften(real *restrict s, real *restrict p, const real *restrict lse,
                     const real *restrict d)
{
    for (int k = 0; k < BLOCK; k++)
        for (int i = 0; i < BLOCK; i++) {
            const real x = vexp(s[k * BLOCK + i] - lse[i]);
            s[k * BLOCK + i] = x;
            p[k * BLOCK + i] = x * (p[k * BLOCK + i] - d[i]);
        }
}

/* d_i = <o_i, do_i> for n rows. */
CLONES
static void row_products(real *restrict d, const real *o, int ld, const real *go, int n, int F)
{
    for (int i = 0; i < n; i++, o += ld, go += F) {
        double sum;
        LANE_SUM(sum, f, F, (double)o[f] * (double)go[f]);
        d[i] = (real)sum;
    }
}

/* What backward needs of the queries q of head h of sequence b, as block i of the chunk. */
static void load_queries(const struct attention *a, const struct attn_local *l, const real *dout,
                         int i, int b, int h, struct queries q)
{
    const int F = a->F, ld = a->G * a->R * F;
    const int64_t from = (int64_t)b * a->T * ld + (int64_t)h * F, tile = (int64_t)i * BLOCK * F;
    const int heads = a->G * a->R;
    real *lse = l->lse + i * BLOCK, *d = l->d + i * BLOCK;

    attention_load(l->q + tile, a->q + from, q, F, ld, 1 / vsqrt((real)F));
    attention_load(l->go + tile, dout + from, q, F, ld, 1);
    smm_transpose(l->qt + tile, l->q + tile, BLOCK, F);
    smm_transpose(l->ot + tile, l->go + tile, BLOCK, F);
    if (a->bf16) {
        const int64_t at = i * attention_words(F);
        smm_bf16_columns(l->hqt + at, l->qt + tile, F, BLOCK);
        smm_bf16_columns(l->hot + at, l->ot + tile, F, BLOCK);
        smm_bf16_columns(l->hq + at, l->q + tile, BLOCK, F);
        smm_bf16_columns(l->hgo + at, l->go + tile, BLOCK, F);
    }
    memset(l->gq + tile, 0, (size_t)(BLOCK * F) * sizeof(real));
    for (int k = 0; k < BLOCK; k++) lse[k] = d[k] = 0;
    memcpy(lse + q.slot, a->lse + ((int64_t)b * heads + h) * a->T + q.t, (size_t)q.n * sizeof *lse);
    row_products(d + q.slot, a->o + from + (int64_t)q.t * ld, ld, l->go + tile + q.slot * F, q.n,
                 F);
}

/* Blocks [i0, i0 + n) of the queries of head h of sequence b with blocks [j0, j1) of the keys.  dq,
 * and drows, which are rows of dpast, are NULL where they are not wanted. */
struct part { int b, h, i0, n; int64_t j0, j1; real *dq, *drows; };

/* Block j of the keys with block i of the part's queries, the first of which is token `first`. */
static void backward_tile(const struct attention *a, const struct attn_local *l,
                          const struct part *p, const real *kv, int64_t j, int i, int64_t first)
{
    const int F = a->F;
    const int64_t tile = (int64_t)i * BLOCK * F;
    const struct smm_shape to_keys = { BLOCK, F, BLOCK, F, BLOCK, F, 1, 0 };
    const struct smm_shape to_queries = { BLOCK, F, BLOCK, F, BLOCK, 2 * F, 1, 1 };

    attention_scores(l->s, kv, l->qt + tile, F);
    attention_scores(l->p, kv + F, l->ot + tile, F);
    if ((j + 1) * BLOCK > first) attention_mask(l->s, first - j * BLOCK);
    unsoften(l->s, l->p, l->lse + i * BLOCK, l->d + i * BLOCK);
    if (p->drows) smm_block(l->dv, l->s, l->go + tile, &to_keys);
    if (p->drows) smm_block(l->dk, l->p, l->q + tile, &to_keys);
    if (p->dq) smm_block(l->gq + tile, l->p, kv, &to_queries);
}

/* The same with bf16 operands.  dq is made transposed, so that no operand has to be. */
static void backward_tile_bf16(const struct attn_local *l, const struct part *p, int64_t j, int i,
                               int64_t first, int F)
{
    const int64_t at = i * attention_words(F);
    const struct bf16_left of_hs = bf16_left_rows(l->hs, BLOCK / 2);
    real *gq = l->gq + (int64_t)i * BLOCK * F;

    smm_bf16(l->s, NULL, bf16_left_rows(l->rows, F), l->hqt + at, BLOCK, BLOCK, F);
    smm_bf16(l->p, NULL, bf16_left_rows(l->rows + F / 2, F), l->hot + at, BLOCK, BLOCK, F);
    if ((j + 1) * BLOCK > first) attention_mask(l->s, first - j * BLOCK);
    unsoften(l->s, l->p, l->lse + i * BLOCK, l->d + i * BLOCK);
    if (p->drows) {
        smm_bf16_rows(l->hs, l->s, BLOCK, BLOCK);
        smm_bf16(l->dv, l->dv, of_hs, l->hgo + at, BLOCK, F, BLOCK);
        smm_bf16_rows(l->hs, l->p, BLOCK, BLOCK);
        smm_bf16(l->dk, l->dk, of_hs, l->hq + at, BLOCK, F, BLOCK);
    }
    if (p->dq) {
        smm_bf16_columns(l->hs, l->p, BLOCK, BLOCK);
        smm_bf16(gq, gq, bf16_left_transposed(l->columns, 2 * F), l->hs, F, BLOCK, BLOCK);
    }
}

/* dq, rows ld apart from the slice's first token on, = scale gq. */
CLONES
static void store_queries(real *restrict dq, const real *restrict gq, struct queries q, int F,
                          int ld, real scale)
{
    dq += (int64_t)q.t * ld;
    for (int k = q.slot; k < q.slot + q.n; k++, dq += ld)
        for (int f = 0; f < F; f++) dq[f] = scale * gq[k * F + f];
}

CLONES
static void add_rows(real *restrict drow, const real *restrict dk, const real *restrict dv,
                     int64_t n, int F)
{
    for (int64_t k = 0; k < n; k++, drow += 2 * F, dk += F, dv += F) {
        for (int f = 0; f < F; f++) drow[f] += dk[f];
        for (int f = 0; f < F; f++) drow[F + f] += dv[f];
    }
}

static void backward_part(const struct attention *a, const struct attn_local *l,
                          const struct part *p, const real *dout)
{
    const int F = a->F, ld = a->G * a->R * F;
    const real *rows = attention_rows(a, p->b, p->h / a->R);
    const struct queries last = attention_queries(a, p->i0 + p->n - 1);
    const int64_t end = a->pos + last.t + last.n;

    if (p->j0 * BLOCK >= end) return;
    for (int i = 0; i < p->n; i++)
        load_queries(a, l, dout, i, p->b, p->h, attention_queries(a, p->i0 + i));
    for (int64_t j = p->j0; j < p->j1 && j * BLOCK < end; j++) {
        const real *kv = attention_keys(a, l, rows, j);
        const int64_t left = a->pos + a->T - j * BLOCK;
        if (a->bf16) smm_bf16_both(l->rows, l->columns, kv, BLOCK, 2 * F);
        memset(l->dk, 0, (size_t)(BLOCK * F) * sizeof *l->dk);
        memset(l->dv, 0, (size_t)(BLOCK * F) * sizeof *l->dv);
        for (int i = 0; i < p->n; i++) {
            const int64_t first = attention_first(a) + (int64_t)(p->i0 + i) * BLOCK;
            if (j * BLOCK > first) continue;
            if (a->bf16) backward_tile_bf16(l, p, j, i, first, F);
            else backward_tile(a, l, p, kv, j, i, first);
        }
        if (p->drows)
            add_rows(p->drows + j * BLOCK * 2 * F, l->dk, l->dv, left < BLOCK ? left : BLOCK, F);
    }
    for (int i = 0; p->dq && i < p->n; i++) {
        const real *gq = l->gq + (int64_t)i * BLOCK * F;
        if (a->bf16) smm_transpose(l->kv, gq, F, BLOCK);
        store_queries(p->dq + (int64_t)p->b * a->T * ld + (int64_t)p->h * F, a->bf16 ? l->kv : gq,
                      attention_queries(a, p->i0 + i), F, ld, 1 / vsqrt((real)F));
    }
}

/* All queries with keys [j0, j1) of group bg, head after head. */
static void backward_keys(const struct attention *a, int bg, int64_t j0, int64_t j1, real *dq,
                          real *dpast, const real *dout)
{
    const struct attn_local l = attention_local(a, 1);
    const int blocks = attention_blocks(a);
    struct part p = { .b = bg / a->G, .j0 = j0, .j1 = j1, .dq = dq,
                      .drows = dpast + (int64_t)bg * a->room * 2 * a->F };

    for (int r = 0; r < a->R; r++) {
        p.h = bg % a->G * a->R + r;
        for (p.i0 = 0; p.i0 < blocks; p.i0 += CHUNK) {
            p.n = at_most(blocks - p.i0, CHUNK);
            backward_part(a, &l, &p, dout);
        }
    }
}

/* Block i of the queries of head bh with all keys. */
static void backward_queries(const struct attention *a, int bh, int i, int64_t keys, real *dq,
                             const real *dout)
{
    const struct attn_local l = attention_local(a, 1);
    const int heads = a->G * a->R;
    const struct part p = { .b = bh / heads, .h = bh % heads, .i0 = i, .n = 1, .j1 = keys,
                            .dq = dq };
    backward_part(a, &l, &p, dout);
}

/* With few threads each group of heads is one task of five products for a pair of blocks.  With
 * many, scores are made twice, seven products, and tasks are smaller: dq by blocks of queries, then
 * dk and dv by KEYS blocks of keys.  Every sum has the same order in both. */
void attention_backward(const struct attention *a, real *dq, real *dpast, const real *dout)
{
    enum { KEYS = 8 };
    const int groups = a->B * a->G, heads = groups * a->R, threads = omp_get_max_threads();
    const int blocks = attention_blocks(a);
    const int64_t keys = (a->pos + a->T + BLOCK - 1) / BLOCK, spans = (keys + KEYS - 1) / KEYS;

    check(!a->alone);
    if (5 * ((groups + threads - 1) / threads) * threads <= 7 * groups) {
        #pragma omp parallel for schedule(dynamic)
        for (int bg = 0; bg < groups; bg++) backward_keys(a, bg, 0, keys, dq, dpast, dout);
        return;
    }
    #pragma omp parallel
    {
        #pragma omp for schedule(dynamic) nowait
        for (int64_t k = 0; k < (int64_t)heads * blocks; k++)
            backward_queries(a, (int)(k % heads), (int)(blocks - 1 - k / heads), keys, dq, dout);
        #pragma omp for schedule(dynamic)
        for (int64_t k = 0; k < groups * spans; k++)
            backward_keys(a, (int)(k % groups), k / groups * KEYS, (k / groups + 1) * KEYS, NULL,
                          dpast, dout);
    }
}
