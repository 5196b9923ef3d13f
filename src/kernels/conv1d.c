#include "src/kernels/conv1d.h"

#include <string.h>

#include "src/base/status.h"
#include "src/kernels/act.h"
#include "src/kernels/lanes.h"

#define ROWS 64  /* rows of a tile */

/* Row t of the halo followed by x, t >= -(W-1). */
static const real *row(const real *x, const real *halo, int t, int C, int W)
{
    return t < 0 ? halo + (int64_t)(t + W - 1) * C : x + (int64_t)t * C;
}

/* The taps of a strip, one row of the result for each: (W,STRIP) from (C,W). */
static void taps_by_row(real taps[][STRIP], const real *w, int columns, int W)
{
    for (int k = 0; k < W; k++)
        for (int c = 0; c < columns; c++) taps[k][c] = w[c * W + k];
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

static void forward_tile(real *y, const real *x, const real *halo, const real *w, const real *b,
                         int t0, int t1, int columns, int C, int W)
{
    _Alignas(ALIGN_BYTES) real taps[CONV_MAX_WIDTH][STRIP];
    taps_by_row(taps, w, columns, W);
    for (int t = t0; t < t1; t++) {                                              /* [E44] */
        real *y_t = y + (int64_t)t * C;
        if (W == 4) {
            four_taps(y_t, b, taps, row(x, halo, t - 3, C, W), row(x, halo, t - 2, C, W),
                      row(x, halo, t - 1, C, W), row(x, halo, t, C, W), columns);
            continue;
        }
        memcpy(y_t, b, (size_t)columns * sizeof *y_t);
        for (int k = 0; k < W; k++)
            add_tap(y_t, taps[k], row(x, halo, t - W + 1 + k, C, W), columns);
    }
}

void conv1d_forward(real *y, const real *x, const real *halo, const real *w, const real *b,
                    int T, int C, int W)
{
    check(W >= 1 && W <= CONV_MAX_WIDTH);
    #pragma omp parallel for schedule(static) collapse(2) if ((int64_t)T * C >= PARALLEL_MIN)
    for (int t = 0; t < T; t += ROWS)
        for (int c = 0; c < C; c += STRIP)
            forward_tile(y + c, x + c, halo + c, w + (int64_t)c * W, b + c, t,
                         at_most(t + ROWS, T), at_most(C - c, STRIP), C, W);
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

/* Input row s, -(W-1) <= s < T, met tap k in output row s + W-1 - k:
 *
 *     dx_sc = sum_k w_ck dy_(s+W-1-k),c     over rows 0 <= s+W-1-k < T          [E45]
 *     dw_ck = sum_t dy_tc x_(t-W+1+k),c,   db_c = sum_t dy_tc                  [E46]
 */
static void dx_tile(real *dx, real *dhalo, const real *dy, const real *w, int s0, int s1,
                    int T, int columns, int C, int W)
{
    static const real zero[STRIP];
    _Alignas(ALIGN_BYTES) real taps[CONV_MAX_WIDTH][STRIP];
    taps_by_row(taps, w, columns, W);
    for (int s = s0; s < s1; s++) {
        real *d = s < 0 ? dhalo + (int64_t)(s + W - 1) * C : dx + (int64_t)s * C;
        if (W == 4 && s >= 0 && s + 3 < T) {
            const real *dy_s = dy + (int64_t)s * C;
            four_taps(d, zero, taps, dy_s + (int64_t)3 * C, dy_s + (int64_t)2 * C, dy_s + C,
                      dy_s, columns);
            continue;
        }
        memset(d, 0, (size_t)columns * sizeof *d);
        for (int k = 0; k < W; k++) {
            const int t = s + W - 1 - k;
            if (t >= 0 && t < T) add_tap(d, taps[k], dy + (int64_t)t * C, columns);   /* [E45] */
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

/* Row k of a group's sums: tap k; row W: the bias. */
static void group_sums(real sum[][STRIP], const real *dy, const real *x, const real *halo, int t0,
                       int t1, int columns, int C, int W)
{
    for (int k = 0; k <= W; k++) memset(sum[k], 0, (size_t)columns * sizeof *sum[k]);
    for (int t = t0; t < t1; t++) {
        const real *dy_t = dy + (int64_t)t * C;
        if (W == 4) {
            four_sums(sum, dy_t, row(x, halo, t - 3, C, W), row(x, halo, t - 2, C, W),
                      row(x, halo, t - 1, C, W), row(x, halo, t, C, W), columns);
            continue;
        }
        for (int k = 0; k < W; k++)
            add_tap(sum[k], dy_t, row(x, halo, t - W + 1 + k, C, W), columns);
        add_row(sum[W], dy_t, columns);
    }
}

CLONES
static void widen_add(double *restrict sum, const real *group, int columns)
{
    for (int c = 0; c < columns; c++) sum[c] += (double)group[c];
}

static void dw_strip(real *dw, real *db, const real *dy, const real *x, const real *halo, int t0,
                     int t1, int columns, int C, int W)
{
    _Alignas(ALIGN_BYTES) double sum[CONV_MAX_WIDTH + 1][STRIP];
    _Alignas(ALIGN_BYTES) real group[CONV_MAX_WIDTH + 1][STRIP];
    memset(sum, 0, (size_t)(W + 1) * sizeof *sum);
    for (int t = t0; t < t1; t += GROUP_ROWS) {
        group_sums(group, dy, x, halo, t, at_most(t + GROUP_ROWS, t1), columns, C, W);
        for (int k = 0; k <= W; k++) widen_add(sum[k], group[k], columns);
    }
    for (int c = 0; c < columns; c++) {                                          /* [E46] */
        for (int k = 0; k < W; k++) dw[c * W + k] += (real)sum[k][c];
        db[c] += (real)sum[W][c];
    }
}

void conv1d_backward(real *dx, real *dhalo, real *dw, real *db, const real *dy, const real *x,
                     const real *halo, const real *w, int T, int C, int W)
{
    const int strip = strip_columns(C);
    check(W >= 1 && W <= CONV_MAX_WIDTH);
    #pragma omp parallel if ((int64_t)T * C >= PARALLEL_MIN)
    for (int t0 = 0; t0 < T; t0 += CHUNK_ROWS) {
        const int t1 = at_most(t0 + CHUNK_ROWS, T), s0 = t0 == 0 ? 1 - W : t0;
        #pragma omp for schedule(static) collapse(2) nowait
        for (int s = s0; s < t1; s += ROWS)
            for (int c = 0; c < C; c += STRIP)
                dx_tile(dx + c, dhalo + c, dy + c, w + (int64_t)c * W, s, at_most(s + ROWS, t1),
                        T, at_most(C - c, STRIP), C, W);
        #pragma omp for schedule(static) nowait  /* a strip stays with its thread */
        for (int c = 0; c < C; c += strip)
            dw_strip(dw + (int64_t)c * W, db + c, dy + c, x + c, halo + c, t0, t1,
                     at_most(C - c, strip), C, W);
    }
}
