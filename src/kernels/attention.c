/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/attention.h"

#include <math.h>
#include <string.h>

#include "src/kernels/attention_parts.h"
#include "src/kernels/lanes.h"
#include "src/kernels/smm.h"

/* Below every score, and finite: exp(LOWEST - m) is 0, exp(LOWEST - LOWEST) is 1. */
#define LOWEST ((real)-1e30)

/* --- forward ---------------------------------------------------------------- */

/* The step of the online softmax (Milakov and Gimelshein 2018): a block of scores s joins the
 * running maximum m and sum l of each query.  s becomes exp(s - m) for the new m; where m grew,
 * what was summed before, l and the row of O, is multiplied by shrink = exp(old m - new m).
 * returns 0 if no maximum grew: then shrink is 1 everywhere */
CLONES
static int soften(real *restrict s, real *restrict m, real *restrict l, real *restrict shrink)
{
    real top[BLOCK], sum[BLOCK];
    int grew = 0;

    for (int i = 0; i < BLOCK; i++) top[i] = m[i];
    for (int k = 0; k < BLOCK; k++)
        for (int i = 0; i < BLOCK; i++)
            top[i] = s[k * BLOCK + i] > top[i] ? s[k * BLOCK + i] : top[i];
    for (int i = 0; i < BLOCK; i++) {
        shrink[i] = vexp(m[i] - top[i]);
        grew |= top[i] > m[i];
        m[i] = top[i];
        sum[i] = 0;
    }
    for (int k = 0; k < BLOCK; k++)
        for (int i = 0; i < BLOCK; i++) {
            const real p = vexp(s[k * BLOCK + i] - top[i]);
            s[k * BLOCK + i] = p;
            sum[i] += p;
        }
    for (int i = 0; i < BLOCK; i++) l[i] = vfma(l[i], shrink[i], sum[i]);
    return grew;
}

CLONES
static void shrink_rows(real *restrict ot, const real *restrict shrink, int F)
{
    for (int f = 0; f < F; f++)
        for (int i = 0; i < BLOCK; i++) ot[f * BLOCK + i] *= shrink[i];
}

CLONES
static void store(real *restrict o, const real *restrict rows, const real *restrict l,
                  struct queries q, int F, int ld)
{
    for (int i = q.slot; i < q.slot + q.n; i++, o += ld) {
        const real part = 1 / l[i];
        for (int f = 0; f < F; f++) o[f] = rows[i * F + f] * part;
    }
}

/* One block of keys with one of queries, the first of which is token `first`. */
static void forward_tile(const struct attention *a, const struct attn_local *l, int i,
                         const real *kv, int64_t j, int64_t first)
{
    const int F = a->F;
    const int64_t tile = (int64_t)i * BLOCK * F;
    const struct smm_shape values = { F, BLOCK, BLOCK, BLOCK, 2 * F, BLOCK, 1, 1 };

    if (a->bf16)
        smm_bf16(l->s, NULL, bf16_left_rows(l->rows, F), l->hqt + i * attention_words(F), BLOCK,
                 BLOCK, F);
    else attention_scores(l->s, kv, l->qt + tile, F);
    if ((j + 1) * BLOCK > first) attention_mask(l->s, first - j * BLOCK);
    if (soften(l->s, l->m + i * BLOCK, l->l + i * BLOCK, l->shrink))
        shrink_rows(l->ot + tile, l->shrink, F);
    if (a->bf16) {
        smm_bf16_columns(l->hs, l->s, BLOCK, BLOCK);
        smm_bf16(l->ot + tile, l->ot + tile, bf16_left_transposed(l->columns + F, 2 * F), l->hs, F,
                 BLOCK, BLOCK);
    } else {
        smm_block(l->ot + tile, kv + F, l->s, &values);
    }
}

/* Blocks [i0, i0 + n) of the queries of head h. */
static void forward_blocks(const struct attention *a, int b, int h, int i0, int n)
{
    const struct attn_local l = attention_local(a, 0);
    const int F = a->F, ld = a->G * a->R * F;
    const int64_t from = (int64_t)b * a->T * ld + (int64_t)h * F, tile = (int64_t)BLOCK * F;
    const real *rows = attention_rows(a, b, h / a->R);
    const int64_t first = attention_first(a) + (int64_t)i0 * BLOCK;
    const struct queries last = attention_queries(a, i0 + n - 1);

    for (int i = 0; i < n; i++) {
        attention_load(l.kv, a->q + from, attention_queries(a, i0 + i), F, ld,
                       1 / vsqrt((real)F));
        smm_transpose(l.qt + i * tile, l.kv, BLOCK, F);
        if (a->bf16) smm_bf16_columns(l.hqt + i * attention_words(F), l.qt + i * tile, F, BLOCK);
    }
    memset(l.ot, 0, (size_t)(n * tile) * sizeof *l.ot);
    for (int i = 0; i < n * BLOCK; i++) l.m[i] = LOWEST, l.l[i] = 0;
    for (int64_t j = 0; j * BLOCK < a->pos + last.t + last.n; j++) {
        const real *kv = attention_keys(a, &l, rows, j);
        if (a->bf16) smm_bf16_both(l.rows, l.columns, kv, BLOCK, 2 * F);
        for (int i = 0; i < n; i++) {
            const int64_t here = first + (int64_t)i * BLOCK;
            if (j * BLOCK <= here) forward_tile(a, &l, i, kv, j, here);
        }
    }
    for (int i = 0; i < n; i++) {
        const struct queries q = attention_queries(a, i0 + i);
        const real *m_i = l.m + i * BLOCK + q.slot, *l_i = l.l + i * BLOCK + q.slot;
        real *lse = a->lse ? a->lse + ((int64_t)b * a->G * a->R + h) * a->T + q.t : NULL;
        smm_transpose(l.kv, l.ot + i * tile, F, BLOCK);
        store(a->o + from + (int64_t)q.t * ld, l.kv, l.l + i * BLOCK, q, F, ld);
        if (lse)
            for (int k = 0; k < q.n; k++) lse[k] = m_i[k] + (real)log((double)l_i[k]);
    }
}

/* --- one token -------------------------------------------------------------- */

INLINE real dot(const real *x, const real *y, int n)
{
    real lane[LANES] = { 0 }, rest = 0;
    const int whole = n / LANES * LANES;
    for (int i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++) lane[k] = vfma(x[i + k], y[i + k], lane[k]);
    for (int i = whole; i < n; i++) rest += x[i] * y[i];
    for (int h = LANES / 2; h > 0; h /= 2)
        for (int k = 0; k < h; k++) lane[k] += lane[k + h];
    return lane[0] + rest;
}

/* A block of `keys` rows joins; m, l of one query, o (F) not yet divided. */
CLONES
static void join(real *restrict o, real *m, real *l, const real *restrict q,
                 const real *restrict rows, int keys, int F, real scale)
{
    real s[BLOCK], top = *m, sum = 0;

    for (int k = 0; k < keys; k++) {
        s[k] = scale * dot(q, rows + (int64_t)k * 2 * F, F);
        top = s[k] > top ? s[k] : top;
    }
    const real shrink = vexp(*m - top);
    for (int f = 0; f < F; f++) o[f] *= shrink;
    for (int k = 0; k < keys; k++) {
        const real p = vexp(s[k] - top), *v = rows + (int64_t)k * 2 * F + F;
        sum += p;
        for (int f = 0; f < F; f++) o[f] = vfma(p, v[f], o[f]);
    }
    *l = vfma(*l, shrink, sum);
    *m = top;
}

/* All heads of a group, so that a block of keys is read once. */
static void forward_token(const struct attention *a, int b, int g)
{
    const int F = a->F;
    const int64_t from = ((int64_t)b * a->G + g) * a->R * F, keys = a->pos + 1;
    const real *rows = attention_rows(a, b, g);
    const struct attn_local local = attention_local(a, 0);
    real *m = local.m, *l = local.l;

    for (int r0 = 0; r0 < a->R; r0 += BLOCK) {
        const int R = at_most(a->R - r0, BLOCK);
        real *o = a->o + from + (int64_t)r0 * F;
        const real *q = a->q + from + (int64_t)r0 * F;
        memset(o, 0, (size_t)(R * F) * sizeof *o);
        for (int r = 0; r < R; r++) m[r] = LOWEST, l[r] = 0;
        for (int64_t k = 0; k < keys; k += BLOCK)
            for (int r = 0; r < R; r++)
                join(o + r * F, &m[r], &l[r], q + r * F, rows + k * 2 * F,
                     (int)(keys - k < BLOCK ? keys - k : BLOCK), F, 1 / vsqrt((real)F));
        for (int r = 0; r < R; r++)
            for (int f = 0; f < F; f++) o[r * F + f] *= 1 / l[r];
        if (a->lse)
            for (int r = 0; r < R; r++)
                a->lse[((int64_t)b * a->G + g) * a->R + r0 + r] = m[r] + (real)log((double)l[r]);
    }
}

/* Last blocks first, because they see the most. */
void attention_forward(const struct attention *a)
{
    const int blocks = attention_blocks(a), heads = a->B * a->G * a->R;
    const int each = at_most(heads * blocks / (4 * omp_get_max_threads()) + 1, FORWARD_CHUNK);
    const int chunks = (blocks + each - 1) / each;

    if (a->alone) {
        #pragma omp parallel for schedule(dynamic)
        for (int i = 0; i < a->B * a->G; i++) forward_token(a, i / a->G, i % a->G);
        return;
    }
    #pragma omp parallel for schedule(dynamic)
    for (int64_t k = (int64_t)heads * chunks - 1; k >= 0; k--) {
        const int bh = (int)(k % heads), i0 = (int)(k / heads) * each;
        forward_blocks(a, bh / (a->G * a->R), bh % (a->G * a->R), i0, at_most(blocks - i0, each));
    }
}
