/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/attention_parts.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "src/kernels/smm.h"

/* --- a thread's arrays ------------------------------------------------------ */

/* Blocks of queries that a thread holds, wherever T of them begin. */
static int held_blocks(int T, int most)
{
    const int blocks = (T + 2 * BLOCK - 2) / BLOCK;
    return blocks < most ? blocks : most;
}

static int64_t local_at(struct attn_local *l, real *p, int T, int F, int backward)
{
    const int64_t n = held_blocks(T, backward ? CHUNK : FORWARD_CHUNK);
    const int64_t tile = (int64_t)BLOCK * F, back = backward ? 1 : 0;
    const int64_t words = attention_words(F);  /* a real holds one, at least */
    int64_t used = 0;
    const struct { real **to; int64_t n; } arrays[] = {
        { &l->kv, 2 * tile }, { &l->s, BLOCK * BLOCK }, { &l->p, back * BLOCK * BLOCK },
        { &l->qt, n * tile }, { &l->ot, n * tile }, { &l->q, back * n * tile },
        { &l->go, back * n * tile }, { &l->gq, back * n * tile }, { &l->lse, back * n * BLOCK },
        { &l->d, back * n * BLOCK }, { &l->dk, back * tile }, { &l->dv, back * tile },
        { &l->m, n * BLOCK }, { &l->l, n * BLOCK }, { &l->shrink, BLOCK },
    };
    const struct { bf16_word **to; int64_t n; } halves[] = {
        { &l->rows, 2 * words }, { &l->columns, 2 * words }, { &l->hqt, n * words },
        { &l->hot, back * n * words }, { &l->hq, back * n * words }, { &l->hgo, back * n * words },
        { &l->hs, BLOCK * BLOCK / 2 },
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i].to = p ? p + used : NULL;
        used += align_reals(arrays[i].n);
    }
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        *halves[i].to = p ? (bf16_word *)(void *)(p + used) : NULL;
        used += align_reals(halves[i].n);
    }
    return used;
}

int64_t attention_scratch(int T, int F, int backward)
{
    struct attn_local l;
    return local_at(&l, NULL, T, F, backward);
}

struct attn_local attention_local(const struct attention *a, int backward)
{
    struct attn_local l;
    const int64_t each = attention_scratch(a->T, a->F, backward);
    local_at(&l, a->scratch + omp_get_thread_num() * each, a->T, a->F, backward);
    return l;
}

/* --- rows ------------------------------------------------------------------- */

/* Where the key of token n of the slice's B T, and group g, is in the past. */
static int64_t row_at(const struct attention *a, int64_t n, int g)
{
    return ((n / a->T * a->G + g) * a->room + a->pos + n % a->T) * 2 * a->F;
}

void attention_append(const struct attention *a, real *past, const real *k, const real *v)
{
    const size_t bytes = (size_t)a->F * sizeof(real);
    #pragma omp parallel for schedule(static) if (a->T > 16)
    for (int64_t n = 0; n < (int64_t)a->B * a->T; n++)
        for (int g = 0; g < a->G; g++) {
            real *row = past + row_at(a, n, g);
            memcpy(row, k + (n * a->G + g) * a->F, bytes);
            memcpy(row + a->F, v + (n * a->G + g) * a->F, bytes);
        }
}

void attention_take(const struct attention *a, real *dk, real *dv, const real *dpast)
{
    const size_t bytes = (size_t)a->F * sizeof(real);
    #pragma omp parallel for schedule(static) if (a->T > 16)
    for (int64_t n = 0; n < (int64_t)a->B * a->T; n++)
        for (int g = 0; g < a->G; g++) {
            const real *row = dpast + row_at(a, n, g);
            memcpy(dk + (n * a->G + g) * a->F, row, bytes);
            memcpy(dv + (n * a->G + g) * a->F, row + a->F, bytes);
        }
}

/* --- blocks ------------------------------------------------------------------ */

const real *attention_keys(const struct attention *a, const struct attn_local *l, const real *rows,
                           int64_t j)
{
    const int64_t left = a->pos + a->T - j * BLOCK, width = 2 * (int64_t)a->F;
    if (left >= BLOCK) return rows + j * BLOCK * width;
    memcpy(l->kv, rows + j * BLOCK * width, (size_t)(left * width) * sizeof *rows);
    memset(l->kv + left * width, 0, (size_t)((BLOCK - left) * width) * sizeof *rows);
    return l->kv;
}

struct queries attention_queries(const struct attention *a, int i)
{
    const int begin = i * BLOCK - (int)(a->pos % BLOCK), end = begin + BLOCK;
    const int t = begin > 0 ? begin : 0;
    return (struct queries){ t, (end < a->T ? end : a->T) - t, t - begin };
}

CLONES
void attention_load(real *restrict y, const real *restrict x, struct queries q, int F, int ld,
                    real scale)
{
    x += (int64_t)q.t * ld;
    if (q.n < BLOCK) memset(y, 0, (size_t)(F * BLOCK) * sizeof *y);
    for (int i = 0; i < q.n; i++)
        for (int f = 0; f < F; f++) y[(q.slot + i) * F + f] = scale * x[(int64_t)i * ld + f];
}

void attention_mask(real *s, int64_t ahead)
{
    for (int k = 0; k < BLOCK; k++)
        for (int i = 0; i < BLOCK && k > ahead + i; i++) s[k * BLOCK + i] = -(real)INFINITY;
}

void attention_scores(real *s, const real *rows, const real *qt, int F)
{
    const struct smm_shape shape = { BLOCK, BLOCK, F, BLOCK, 2 * F, BLOCK, 0, 0 };
    smm_block(s, rows, qt, &shape);
}
