#include "src/kernels/attention.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "src/kernels/lanes.h"
#include "src/kernels/smm.h"

enum { BLOCK = ATTENTION_BLOCK };

/* Blocks of queries that backward holds at once. */
#define CHUNK 16

/* Below every score, and finite: exp(LOWEST - m) is 0, exp(LOWEST - LOWEST) is 1. */
#define LOWEST ((real)-1e30)

/* --- a thread's arrays ------------------------------------------------------ */

struct local {
    real *kv;                   /* (BLOCK, 2F) the last keys, filled up with zeros     */
    real *s, *p;                /* (BLOCK keys, BLOCK queries)                         */
    real *qt, *ot;              /* (F, BLOCK), in backward (CHUNK, F, BLOCK): q', dO'   */
    real *q, *go, *gq;          /* (CHUNK, BLOCK, F) q / sqrt(F), dO, dq: backward      */
    real *lse, *d;              /* (CHUNK, BLOCK)                                      */
    real *dk, *dv;              /* (BLOCK, F)                                          */
    real *m, *l, *shrink;       /* (BLOCK)                                             */
};

static int blocks_of(int T) { return (T + BLOCK - 1) / BLOCK; }

/* Blocks of queries that a thread holds. */
static int held_blocks(int T) { return blocks_of(T) < CHUNK ? blocks_of(T) : CHUNK; }

static int64_t local_at(struct local *l, real *p, int T, int F, int backward)
{
    const int64_t n = backward ? held_blocks(T) : 1, tile = (int64_t)BLOCK * F;
    const int64_t back = backward ? 1 : 0;
    int64_t used = 0;
    const struct { real **to; int64_t n; } arrays[] = {
        { &l->kv, 2 * tile }, { &l->s, BLOCK * BLOCK }, { &l->p, back * BLOCK * BLOCK },
        { &l->qt, n * tile }, { &l->ot, n * tile }, { &l->q, back * n * tile },
        { &l->go, back * n * tile }, { &l->gq, back * n * tile }, { &l->lse, back * n * BLOCK },
        { &l->d, back * n * BLOCK }, { &l->dk, back * tile }, { &l->dv, back * tile },
        { &l->m, BLOCK }, { &l->l, BLOCK }, { &l->shrink, BLOCK },
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i].to = p ? p + used : NULL;
        used += align_reals(arrays[i].n);
    }
    return used;
}

int64_t attention_scratch(int T, int F, int backward)
{
    struct local l;
    return local_at(&l, NULL, T, F, backward);
}

static struct local local_of(const struct attention *a, int backward)
{
    struct local l;
    const int64_t each = attention_scratch(a->T, a->F, backward);
    local_at(&l, a->scratch + omp_get_thread_num() * each, a->T, a->F, backward);
    return l;
}

/* --- rows ------------------------------------------------------------------- */

void attention_append(real *past, const real *k, const real *v, int B, int T, int G, int F,
                      int64_t pos, int64_t room)
{
    const size_t bytes = (size_t)F * sizeof(real);
    #pragma omp parallel for schedule(static) if (T > 16)
    for (int64_t n = 0; n < (int64_t)B * T; n++)
        for (int g = 0; g < G; g++) {
            real *row = past + ((n / T * G + g) * room + pos + n % T) * 2 * F;
            memcpy(row, k + (n * G + g) * F, bytes);
            memcpy(row + F, v + (n * G + g) * F, bytes);
        }
}

void attention_take(real *dk, real *dv, const real *dpast, int B, int T, int G, int F, int64_t pos,
                    int64_t room)
{
    const size_t bytes = (size_t)F * sizeof(real);
    #pragma omp parallel for schedule(static) if (T > 16)
    for (int64_t n = 0; n < (int64_t)B * T; n++)
        for (int g = 0; g < G; g++) {
            const real *row = dpast + ((n / T * G + g) * room + pos + n % T) * 2 * F;
            memcpy(dk + (n * G + g) * F, row, bytes);
            memcpy(dv + (n * G + g) * F, row + F, bytes);
        }
}

/* Rows of sequence b and head (group) g. */
static const real *keys_of(const struct attention *a, int b, int g)
{
    return a->past + ((int64_t)b * a->G + g) * a->room * 2 * a->F;
}

/* Keys and values of block j.  Behind the last token they are zero: what stands there in the past
 * may be anything, NaN too. */
static const real *block_of(const struct attention *a, const struct local *l, const real *rows,
                            int64_t j)
{
    const int64_t left = a->pos + a->T - j * BLOCK, width = 2 * (int64_t)a->F;
    if (left >= BLOCK) return rows + j * BLOCK * width;
    memcpy(l->kv, rows + j * BLOCK * width, (size_t)(left * width) * sizeof *rows);
    memset(l->kv + left * width, 0, (size_t)((BLOCK - left) * width) * sizeof *rows);
    return l->kv;
}

/* yt (F,BLOCK) = scale x' of n rows, ld apart; zero behind them.  y (BLOCK,F), or NULL: the same,
 * not turned. */
CLONES
static void load(real *restrict yt, real *restrict y, const real *restrict x, int n, int F, int ld,
                 real scale)
{
    for (int i = 0; i < n; i++)
        for (int f = 0; f < F; f++) yt[f * BLOCK + i] = scale * x[(int64_t)i * ld + f];
    for (int f = 0; f < F; f++)
        for (int i = n; i < BLOCK; i++) yt[f * BLOCK + i] = 0;
    if (!y) return;
    for (int i = 0; i < n; i++)
        for (int f = 0; f < F; f++) y[i * F + f] = scale * x[(int64_t)i * ld + f];
    memset(y + n * F, 0, (size_t)((BLOCK - n) * F) * sizeof *y);
}

/* Scores of keys that a query may not see: key k of the block comes behind query i when
 * k > ahead + i. */
static void mask(real *s, int64_t ahead, real with)
{
    for (int k = 0; k < BLOCK; k++)
        for (int i = 0; i < BLOCK && k > ahead + i; i++) s[k * BLOCK + i] = with;
}

/* s (keys,queries) = K q', and C (keys or queries, ...) += in the shapes of this file. */
static void scores(real *s, const real *rows, const real *qt, int F)
{
    const struct smm_shape shape = { BLOCK, BLOCK, F, BLOCK, 2 * F, BLOCK, 0, 0 };
    smm_block(s, rows, qt, &shape);
}

/* --- forward ---------------------------------------------------------------- */

/* One block of scores joins the running maximum and sum; s becomes exp(s - m).
 * returns 0 if no maximum grew */
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
static void store(real *restrict o, const real *restrict ot, const real *restrict l, int n, int F,
                  int ld)
{
    real part[BLOCK];
    for (int i = 0; i < BLOCK; i++) part[i] = 1 / l[i];
    for (int i = 0; i < n; i++)
        for (int f = 0; f < F; f++) o[(int64_t)i * ld + f] = ot[f * BLOCK + i] * part[i];
}

/* Queries [t, t + BLOCK) of head h. */
static void forward_block(const struct attention *a, int b, int h, int t)
{
    const struct local l = local_of(a, 0);
    const int F = a->F, ld = a->G * a->R * F, n = at_most(a->T - t, BLOCK);
    const int64_t from = ((int64_t)b * a->T + t) * ld + (int64_t)h * F;
    const real *rows = keys_of(a, b, h / a->R);
    const struct smm_shape values = { F, BLOCK, BLOCK, BLOCK, 2 * F, BLOCK, 1, 1 };
    const int64_t first = a->pos + t, last = (first + n - 1) / BLOCK;

    load(l.qt, NULL, a->q + from, n, F, ld, 1 / vsqrt((real)F));
    memset(l.ot, 0, (size_t)(F * BLOCK) * sizeof *l.ot);
    for (int i = 0; i < BLOCK; i++) l.m[i] = LOWEST, l.l[i] = 0;
    for (int64_t j = 0; j <= last; j++) {
        const real *kv = block_of(a, &l, rows, j);
        scores(l.s, kv, l.qt, F);
        if ((j + 1) * BLOCK > first) mask(l.s, first - j * BLOCK, -(real)INFINITY);
        if (soften(l.s, l.m, l.l, l.shrink)) shrink_rows(l.ot, l.shrink, F);
        smm_block(l.ot, kv + F, l.s, &values);
    }
    store(a->o + from, l.ot, l.l, n, F, ld);
    for (int i = 0; a->lse && i < n; i++)
        a->lse[((int64_t)b * a->G * a->R + h) * a->T + t + i] =
            l.m[i] + (real)log((double)l.l[i]);
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
    const real *rows = keys_of(a, b, g);
    const struct local local = local_of(a, 0);
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
        for (int r = 0; a->lse && r < R; r++)
            a->lse[((int64_t)b * a->G + g) * a->R + r0 + r] = m[r] + (real)log((double)l[r]);
    }
}

void attention_forward(const struct attention *a)
{
    const int blocks = blocks_of(a->T), heads = a->G * a->R;

    if (a->T == 1) {
        #pragma omp parallel for schedule(dynamic)
        for (int i = 0; i < a->B * a->G; i++) forward_token(a, i / a->G, i % a->G);
        return;
    }
    #pragma omp parallel for schedule(dynamic)
    for (int64_t i = (int64_t)a->B * heads * blocks - 1; i >= 0; i--) {
        const int64_t bh = i % (a->B * heads);
        forward_block(a, (int)(bh / heads), (int)(bh % heads), (int)(i / (a->B * heads)) * BLOCK);
    }
}

/* --- backward --------------------------------------------------------------- */

/* P = exp(S - lse);  dS = P (dP - D): s becomes P, p (dP before) becomes dS.           [E62] */
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

/* What backward needs of queries [t, t + n) of a head, as block i of the chunk. */
static void load_queries(const struct attention *a, const struct local *l, const real *dout, int i,
                         int64_t row, int h, int n)
{
    const int F = a->F, ld = a->G * a->R * F;
    const int64_t from = row * ld + (int64_t)h * F, tile = (int64_t)i * BLOCK * F;
    const int heads = a->G * a->R;
    real *lse = l->lse + i * BLOCK, *d = l->d + i * BLOCK;

    load(l->qt + tile, l->q + tile, a->q + from, n, F, ld, 1 / vsqrt((real)F));
    load(l->ot + tile, l->go + tile, dout + from, n, F, ld, 1);
    memset(l->gq + tile, 0, (size_t)(BLOCK * F) * sizeof(real));
    for (int k = 0; k < BLOCK; k++) lse[k] = d[k] = 0;
    memcpy(lse, a->lse + (row / a->T * heads + h) * a->T + row % a->T, (size_t)n * sizeof *lse);
    for (int k = 0; k < n; k++) {
        const real *o_n = a->o + from + (int64_t)k * ld, *do_n = l->go + tile + k * F;
        double sum;
        LANE_SUM(sum, f, F, (double)o_n[f] * (double)do_n[f]);
        d[k] = (real)sum;
    }
}

/* Block j of the keys with block i of the chunk's queries, the first of which is token `first`. */
static void backward_tile(const struct attention *a, const struct local *l, const real *kv,
                          int64_t j, int i, int64_t first)
{
    const int F = a->F;
    const int64_t tile = (int64_t)i * BLOCK * F;
    const struct smm_shape to_keys = { BLOCK, F, BLOCK, F, BLOCK, F, 1, 0 };
    const struct smm_shape to_queries = { BLOCK, F, BLOCK, F, BLOCK, 2 * F, 1, 1 };
    const int masked = (j + 1) * BLOCK > first;

    scores(l->s, kv, l->qt + tile, F);
    scores(l->p, kv + F, l->ot + tile, F);
    if (masked) mask(l->s, first - j * BLOCK, -(real)INFINITY);
    unsoften(l->s, l->p, l->lse + i * BLOCK, l->d + i * BLOCK);
    smm_block(l->dv, l->s, l->go + tile, &to_keys);
    smm_block(l->dk, l->p, l->q + tile, &to_keys);
    smm_block(l->gq + tile, l->p, kv, &to_queries);
}

static void add_rows(real *drow, const struct local *l, int64_t n, int F)
{
    for (int64_t k = 0; k < n; k++)
        for (int f = 0; f < F; f++) {
            drow[k * 2 * F + f] += l->dk[k * F + f];
            drow[k * 2 * F + F + f] += l->dv[k * F + f];
        }
}

/* Blocks [i0, i0 + n) of the queries of head h. */
static void backward_chunk(const struct attention *a, const struct local *l, real *dq, real *drows,
                           const real *dout, int b, int h, int i0, int n)
{
    const int F = a->F, ld = a->G * a->R * F;
    const real *rows = keys_of(a, b, h / a->R), scale = 1 / vsqrt((real)F);
    const int64_t end = a->pos + at_most((i0 + n) * BLOCK, a->T);
    int64_t row = (int64_t)b * a->T + (int64_t)i0 * BLOCK;

    for (int i = 0; i < n; i++)
        load_queries(a, l, dout, i, row + i * BLOCK, h, at_most(a->T - (i0 + i) * BLOCK, BLOCK));
    for (int64_t j = 0; j * BLOCK < end; j++) {
        const real *kv = block_of(a, l, rows, j);
        memset(l->dk, 0, (size_t)(BLOCK * F) * sizeof *l->dk);
        memset(l->dv, 0, (size_t)(BLOCK * F) * sizeof *l->dv);
        for (int i = 0; i < n; i++) {
            const int64_t first = a->pos + (int64_t)(i0 + i) * BLOCK;
            if (j * BLOCK < first + BLOCK) backward_tile(a, l, kv, j, i, first);
        }
        const int64_t left = a->pos + a->T - j * BLOCK;
        add_rows(drows + j * BLOCK * 2 * F, l, left < BLOCK ? left : BLOCK, F);
    }
    for (int k = 0; k < at_most(n * BLOCK, a->T - i0 * BLOCK); k++)
        for (int f = 0; f < F; f++)
            dq[(row + k) * ld + (int64_t)h * F + f] = scale * l->gq[(int64_t)k * F + f];
}

void attention_backward(const struct attention *a, real *dq, real *dpast, const real *dout)
{
    const int blocks = blocks_of(a->T);

    #pragma omp parallel for schedule(dynamic)
    for (int bg = 0; bg < a->B * a->G; bg++) {
        const struct local l = local_of(a, 1);
        real *drows = dpast + (int64_t)bg * a->room * 2 * a->F;
        for (int r = 0; r < a->R; r++)
            for (int i = 0; i < blocks; i += CHUNK)
                backward_chunk(a, &l, dq, drows, dout, bg / a->G, bg % a->G * a->R + r, i,
                               at_most(blocks - i, CHUNK));
    }
}
