/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/conv1d.h"

#include <string.h>

#include "src/base/status.h"
#include "src/kernels/act.h"
#include "src/kernels/lanes.h"

#define ROWS 64  /* rows of a tile */

/* Rows [t0, t1) of channels [c, c + columns), at most STRIP of them.  A tile's results stay in the
 * cache while its taps, one row of them for each place, are applied. */
struct conv_tile { int t0, t1, c, columns; };

/* Channel c of row t of the halo followed by x, t >= -(W-1). */
static const real *row(const struct conv1d *s, int t, int c)
{
    return t < 0 ? s->halo + (int64_t)(t + s->W - 1) * s->C + c : s->x + (int64_t)t * s->C + c;
}

/* The taps of a strip, one row of the result for each: (W,STRIP) from (C,W). */
static void taps_by_row(real taps[][STRIP], const struct conv1d *s, struct conv_tile p)
{
    const real *w = s->w + (int64_t)p.c * s->W;
    for (int k = 0; k < s->W; k++)
        for (int c = 0; c < p.columns; c++) taps[k][c] = w[c * s->W + k];
}

/* y += taps x over one row of a strip. */
CLONES
static void add_tap(real *restrict y, const real *tap, const real *x, int columns)
{
    for (int c = 0; c < columns; c++) y[c] = vfma(tap[c], x[c], y[c]);
}

/* The width of all published models, in one pass; the same chain. */
CLONES
static void four_taps(real *restrict y, const real *start, real taps[][STRIP], const real *x0,
                      const real *x1, const real *x2, const real *x3, int columns)
{
    for (int c = 0; c < columns; c++)
        y[c] = vfma(taps[3][c], x3[c], vfma(taps[2][c], x2[c],
               vfma(taps[1][c], x1[c], vfma(taps[0][c], x0[c], start[c]))));
}

static void forward_tile(real *y, const struct conv1d *s, struct conv_tile p)
{
    _Alignas(ALIGN_BYTES) real taps[CONV_MAX_WIDTH][STRIP];
    taps_by_row(taps, s, p);
    for (int t = p.t0; t < p.t1; t++) {                                          /* [E44] */
        real *y_t = y + (int64_t)t * s->C + p.c;
        if (s->W == 4) {
            four_taps(y_t, s->b + p.c, taps, row(s, t - 3, p.c), row(s, t - 2, p.c),
                      row(s, t - 1, p.c), row(s, t, p.c), p.columns);
            continue;
        }
        memcpy(y_t, s->b + p.c, (size_t)p.columns * sizeof *y_t);
        for (int k = 0; k < s->W; k++)
            add_tap(y_t, taps[k], row(s, t - s->W + 1 + k, p.c), p.columns);
    }
}

void conv1d_forward(real *y, const struct conv1d *s)
{
    const int T = s->T, C = s->C;
    check(s->W >= 1 && s->W <= CONV_MAX_WIDTH);
    #pragma omp parallel for schedule(static) collapse(2) if ((int64_t)T * C >= PARALLEL_MIN)
    for (int t = 0; t < T; t += ROWS)
        for (int c = 0; c < C; c += STRIP)
            forward_tile(y, s, (struct conv_tile){ t, at_most(t + ROWS, T), c, at_most(C - c,
                                                                                       STRIP) });
}

void conv1d_halo(real *halo, const real *x, int T, int C, int W)
{
    const int keep = T < W - 1 ? W - 1 - T : 0;  /* old rows that stay */
    const int new = W - 1 - keep;
    const size_t bytes = (size_t)C * sizeof *halo;
    if (W == 1) return;
    memmove(halo, halo + (int64_t)(W - 1 - keep) * C, (size_t)keep * bytes);
    memcpy(halo + (int64_t)keep * C, x + (int64_t)(T - new) * C, (size_t)new * bytes);
}

void conv1d_halo_backward(real *dx, real *dhalo_prev, const real *dhalo_next, int T, int C,
                          int W)
{
    const int keep = T < W - 1 ? W - 1 - T : 0, new = W - 1 - keep;
    if (W == 1) return;
    vec_add(dhalo_prev + (int64_t)(W - 1 - keep) * C, dhalo_next, (int64_t)keep * C);
    vec_add(dx + (int64_t)(T - new) * C, dhalo_next + (int64_t)keep * C, (int64_t)new * C);
}

/* Input row i, -(W-1) <= i < T, met tap k in output row i + W-1 - k:
 *
 *     dx_ic = sum_k w_ck dy_(i+W-1-k),c     over rows 0 <= i+W-1-k < T          [E45]
 *     dw_ck = sum_t dy_tc x_(t-W+1+k),c,   db_c = sum_t dy_tc                  [E46]
 */
static void dx_tile(const struct conv1d_grad *g, const real *dy, const struct conv1d *s,
                    struct conv_tile p)
{
    static const real zero[STRIP];
    const int T = s->T, C = s->C, W = s->W;
    _Alignas(ALIGN_BYTES) real taps[CONV_MAX_WIDTH][STRIP];
    taps_by_row(taps, s, p);
    dy += p.c;
    for (int i = p.t0; i < p.t1; i++) {
        real *d = (i < 0 ? g->dhalo + (int64_t)(i + W - 1) * C : g->dx + (int64_t)i * C) + p.c;
        if (W == 4 && i >= 0 && i + 3 < T) {
            const real *dy_i = dy + (int64_t)i * C;
            four_taps(d, zero, taps, dy_i + (int64_t)3 * C, dy_i + (int64_t)2 * C, dy_i + C,
                      dy_i, p.columns);
            continue;
        }
        memset(d, 0, (size_t)p.columns * sizeof *d);
        for (int k = 0; k < W; k++) {
            const int t = i + W - 1 - k;
            if (t >= 0 && t < T) add_tap(d, taps[k], dy + (int64_t)t * C, p.columns);  /* [E45] */
        }
    }
}

/* sums of the products of dy with four rows, and of dy. */
CLONES
static void four_sums(real (*restrict sum)[STRIP], const real *dy, const real *x0, const real *x1,
                      const real *x2, const real *x3, int columns)
{
    for (int c = 0; c < columns; c++) {
        const real d = dy[c];
        sum[0][c] = vfma(d, x0[c], sum[0][c]);
        sum[1][c] = vfma(d, x1[c], sum[1][c]);
        sum[2][c] = vfma(d, x2[c], sum[2][c]);
        sum[3][c] = vfma(d, x3[c], sum[3][c]);
        sum[4][c] += d;
    }
}

CLONES
static void add_row(real *restrict sum, const real *a, int columns)
{
    for (int c = 0; c < columns; c++) sum[c] += a[c];
}

/* Sums of a group of rows, W + 1 of them: sum k of tap k, the last of the bias. */
static void group_sums(real sum[][STRIP], const real *dy, const struct conv1d *s,
                       struct conv_tile p)
{
    const int W = s->W;
    for (int k = 0; k <= W; k++) memset(sum[k], 0, (size_t)p.columns * sizeof *sum[k]);
    for (int t = p.t0; t < p.t1; t++) {
        const real *dy_t = dy + (int64_t)t * s->C + p.c;
        if (W == 4) {
            four_sums(sum, dy_t, row(s, t - 3, p.c), row(s, t - 2, p.c), row(s, t - 1, p.c),
                      row(s, t, p.c), p.columns);
            continue;
        }
        for (int k = 0; k < W; k++)
            add_tap(sum[k], dy_t, row(s, t - W + 1 + k, p.c), p.columns);
        add_row(sum[W], dy_t, p.columns);
    }
}

CLONES
static void widen_add(double *restrict sum, const real *group, int columns)
{
    for (int c = 0; c < columns; c++) sum[c] += (double)group[c];
}

static void dw_strip(const struct conv1d_grad *g, const real *dy, const struct conv1d *s,
                     struct conv_tile p)
{
    const int W = s->W;
    real *dw = g->dw + (int64_t)p.c * W, *db = g->db + p.c;
    _Alignas(ALIGN_BYTES) double sum[CONV_MAX_WIDTH + 1][STRIP];
    _Alignas(ALIGN_BYTES) real group[CONV_MAX_WIDTH + 1][STRIP];
    memset(sum, 0, (size_t)(W + 1) * sizeof *sum);
    for (int t = p.t0; t < p.t1; t += GROUP_ROWS) {
        group_sums(group, dy, s, (struct conv_tile){ t, at_most(t + GROUP_ROWS, p.t1), p.c,
                                                     p.columns });
        for (int k = 0; k <= W; k++) widen_add(sum[k], group[k], p.columns);
    }
    for (int c = 0; c < p.columns; c++) {                                        /* [E46] */
        for (int k = 0; k < W; k++) dw[c * W + k] += (real)sum[k][c];
        db[c] += (real)sum[W][c];
    }
}

void conv1d_backward(const struct conv1d_grad *g, const real *dy, const struct conv1d *s)
{
    const int T = s->T, C = s->C, strip = strip_columns(C);
    check(s->W >= 1 && s->W <= CONV_MAX_WIDTH);
    #pragma omp parallel if ((int64_t)T * C >= PARALLEL_MIN)
    for (int t0 = 0; t0 < T; t0 += CHUNK_ROWS) {
        const int t1 = at_most(t0 + CHUNK_ROWS, T), first = t0 == 0 ? 1 - s->W : t0;
        #pragma omp for schedule(static) collapse(2) nowait
        for (int t = first; t < t1; t += ROWS)
            for (int c = 0; c < C; c += STRIP)
                dx_tile(g, dy, s,
                        (struct conv_tile){ t, at_most(t + ROWS, t1), c, at_most(C - c, STRIP) });
        #pragma omp for schedule(static) nowait  /* a strip stays with its thread */
        for (int c = 0; c < C; c += strip)
            dw_strip(g, dy, s, (struct conv_tile){ t0, t1, c, at_most(C - c, strip) });
    }
}
