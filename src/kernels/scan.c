/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/scan.h"

#include <omp.h>
#include <string.h>

#include "src/kernels/lanes.h"
#include "src/kernels/vecmath.h"

enum { W = SCAN_STRIP, G = SCAN_GROUP, AHEAD = 4 };  /* rows fetched ahead */

#define LOG2E ((real)1.4426950408889634)
#define LN2 ((real)0.6931471805599453)

int scan_groups(int T) { return (T + G - 1) / G; }

static int strips(int C) { return (C + W - 1) / W; }

/* A strip of one sequence, and its scratch: rows of W channels, zero after the last channel. */
struct strip {
    const struct scan *s;
    int     b, c, w;                  /* sequence, first channel, channels                   */
    int64_t row;                      /* of the sequence's first token, as an offset in (B*T,C) */
    real  (*A)[W], (*h)[W];           /* (N): A log2(e); the state                           */
    real  (*hs)[W], (*es)[W];         /* (G+1,N) states of a group, (G,N) decays             */
    real  (*dA)[W], (*sum)[W];        /* (N): of a group, of all                             */
    real   *lanes;                    /* (2N,LANES)                                           */
    real   *dbc;                      /* (T,2N): this strip's share of dB, dC                */
};

/* A token's row of a strip.  x = raw + bias, v = delta u; y: the sum before the gate, and in
 * backward its gradient. */
struct token { real delta[W], x[W], u[W], v[W], y[W]; };

static int64_t strip_reals(int N, int backward)
{
    return (int64_t)N * W * (backward ? 2 * G + 5 : 2) + (backward ? 2 * N * LANES : 0);
}

int64_t scan_scratch(int B, int T, int C, int N, int threads, int backward)
{
    const int64_t sums = backward ? align_reals((int64_t)B * strips(C) * T * 2 * N) : 0;
    return sums + threads * strip_reals(N, backward);
}

static struct strip strip_of(const struct scan *s, int i, real *scratch, int backward)
{
    const int n = strips(s->C), N = s->N;
    struct strip p = { .s = s, .b = i / n, .c = i % n * W };
    real (*at)[W] = (real (*)[W])scratch;

    p.w = s->C - p.c < W ? s->C - p.c : W;
    p.row = (int64_t)p.b * s->T * s->C + p.c;
    p.A = at, p.h = at + N;
    if (!backward) return p;
    p.hs = at + 2 * N;
    p.es = p.hs + (G + 1) * N;
    p.dA = p.es + G * N;
    p.sum = p.dA + N;
    p.lanes = (real *)(p.sum + N);
    return p;
}

/* Rows of (N,C) to rows of a strip and back. */
static void load_state(real (*to)[W], const real *from, const struct strip *p)
{
    for (int n = 0; n < p->s->N; n++) {
        memcpy(to[n], from + (int64_t)n * p->s->C + p->c, (size_t)p->w * sizeof(real));
        memset(to[n] + p->w, 0, (size_t)(W - p->w) * sizeof(real));
    }
}

static void store_state(real *to, real (*from)[W], const struct strip *p)
{
    for (int n = 0; n < p->s->N; n++)
        memcpy(to + (int64_t)n * p->s->C + p->c, from[n], (size_t)p->w * sizeof(real));
}

static real *kept_of(const struct strip *p, int t)
{
    const struct scan *s = p->s;
    return s->kept + ((int64_t)p->b * scan_groups(s->T) + t / G) * s->N * s->C;
}

CLONES
static void load_A(const struct strip *p)
{
    const int N = p->s->N;
    for (int n = 0; n < N; n++) {
        real *A_n = p->A[n];
        for (int k = 0; k < W; k++)
            A_n[k] = k < p->w ? p->s->A_log[(int64_t)(p->c + k) * N + n] : 0;
        for (int k = 0; k < W; k++) A_n[k] = k < p->w ? -vexp(A_n[k]) * LOG2E : 0;
    }
}

/* Prefetch: rows of a strip are far apart, and the hardware does not guess the next one. */
INLINE void fetch(const real *row)
{
    for (int i = 0; i < W; i += (int)ALIGN_REALS) __builtin_prefetch(row + i);
}

/* Token t: step sizes, inputs; v = delta u, y starts with D u. */
INLINE void begin_token(struct token *k, const struct strip *p, int t)
{
    const struct scan *s = p->s;
    const int64_t at = p->row + (int64_t)t * s->C;

    #pragma omp simd
    for (int i = 0; i < p->w; i++) {
        k->x[i] = s->raw[at + i] + s->bias[p->c + i];
        k->u[i] = s->u[at + i];
        k->delta[i] = vsoftplus(k->x[i]);
        k->v[i] = k->delta[i] * k->u[i];
        k->y[i] = s->D[p->c + i] * k->u[i];
    }
}

/* [E50] and the sum of [E51]: h -> next, decays to e (NULL: not wanted). */
INLINE void step(struct token *k, const struct strip *p, int t, real (*next)[W],
                 real (*h)[W], real (*e)[W])
{
    const struct scan *s = p->s;
    const real *Bn = s->Bn + ((int64_t)p->b * s->T + t) * s->ld;
    const real *Cn = s->Cn + ((int64_t)p->b * s->T + t) * s->ld;

    for (int n = 0; n < s->N; n++) {
        const real bn = Bn[n], cn = Cn[n];
        #pragma omp simd
        for (int i = 0; i < W; i++) {
            const real decay = vexp2(k->delta[i] * p->A[n][i]);
            const real now = vfma(decay, h[n][i], k->v[i] * bn);
            if (e) e[n][i] = decay;
            next[n][i] = now;
            k->y[i] = vfma(cn, now, k->y[i]);
        }
    }
}

CLONES
static void forward(real *y, const struct strip *p)
{
    const struct scan *s = p->s;
    struct token k = { { 0 }, { 0 }, { 0 }, { 0 }, { 0 } };

    for (int t = 0; t < s->T; t++) {
        const int64_t at = p->row + (int64_t)t * s->C;
        if (s->kept && t % G == 0) store_state(kept_of(p, t), p->h, p);
        const int64_t next = at + AHEAD * s->C;
        if (t + AHEAD < s->T) fetch(s->raw + next), fetch(s->u + next), fetch(s->z + next);
        begin_token(&k, p, t);
        step(&k, p, t, p->h, p->h, NULL);
        #pragma omp simd
        for (int i = 0; i < p->w; i++) {
            const real z = s->z[at + i];
            y[at + i] = k.y[i] * (z * vsigmoid(z));
        }
    }
}

static int parallel(const struct scan *s)
{
    return (int64_t)s->B * s->T * s->C * s->N >= PARALLEL_MIN;
}

void scan_forward(real *y, real *h, int64_t stride, const struct scan *s)
{
    #pragma omp parallel for schedule(static) if (parallel(s))
    for (int i = 0; i < s->B * strips(s->C); i++) {
        const struct strip p = strip_of(s, i, s->scratch + omp_get_thread_num() *
                                        strip_reals(s->N, 0), 0);
        load_A(&p);
        load_state(p.h, h + p.b * stride, &p);
        forward(y, &p);
        store_state(h + p.b * stride, p.h, &p);
    }
}

/* --- backward ------------------------------------------------------------- */

/* Gradients of a strip's sums over tokens. */
struct sums { real bias[W], D[W]; };

/* Through the gate and D: k->y becomes the gradient of the sum over states, du starts with D's. */
INLINE void end_token(struct token *k, const struct scan_grad *g, struct sums *sums,
                      const struct strip *p, int t)
{
    const struct scan *s = p->s;
    const int64_t at = p->row + (int64_t)t * s->C;

    #pragma omp simd
    for (int i = 0; i < p->w; i++) {
        const real z = s->z[at + i], sigma = vsigmoid(z), dy = g->dy[at + i];
        g->dz[at + i] = dy * k->y[i] * (sigma * vfma(z, 1 - sigma, 1));
        k->y[i] = dy * (z * sigma);
        sums->D[i] = vfma(k->y[i], k->u[i], sums->D[i]);
    }
}

/* One token of the reverse recurrence [E52].  With d_n = C_n dy + (gradient that comes from the
 * next token) for the state h_n after the token, and the state before it h, decay e = exp(delta A):
 *
 *     to v = delta u   += d_n B_n              to B_n  += d_n v        to C_n += dy h_n
 *     by the decay      m = d_n e:  to delta += A_n m h,  to A_n += delta m h
 *     p->h, the gradient of the state before the token, becomes m
 *
 * A is in units of log2(e), for exp2: so to_delta and dA lack a factor ln 2, which comes later. */
INLINE void step_backward(const struct token *k, const struct strip *p, int t, real (*h)[W],
                          real (*hn)[W], real (*e)[W], real *restrict to_v,
                          real *restrict to_delta)
{
    const struct scan *s = p->s;
    const real *Bn = s->Bn + ((int64_t)p->b * s->T + t) * s->ld;
    const real *Cn = s->Cn + ((int64_t)p->b * s->T + t) * s->ld;

    for (int n = 0; n < s->N; n++) {
        const real bn = Bn[n], cn = Cn[n];
        real sum_b[LANES] = { 0 }, sum_c[LANES] = { 0 };
        for (int q = 0; q < W; q += LANES) {
            #pragma omp simd
            for (int j = 0; j < LANES; j++) {
                const int i = q + j;
                const real d = vfma(k->y[i], cn, p->h[n][i]), m = d * e[n][i];
                const real by_decay = m * h[n][i];
                to_v[i] = vfma(d, bn, to_v[i]);
                to_delta[i] = vfma(p->A[n][i], by_decay, to_delta[i]);
                p->dA[n][i] = vfma(k->delta[i], by_decay, p->dA[n][i]);
                p->h[n][i] = m;
                sum_b[j] = vfma(d, k->v[i], sum_b[j]);
                sum_c[j] = vfma(k->y[i], hn[n][i], sum_c[j]);
            }
        }
        memcpy(p->lanes + (int64_t)n * LANES, sum_b, sizeof sum_b);
        memcpy(p->lanes + (int64_t)(s->N + n) * LANES, sum_c, sizeof sum_c);
    }
}

/* The lanes of n sums, to one number each. */
INLINE void add_lanes(real *out, const real *lanes, int n)
{
    for (int i = 0; i < n; i++, lanes += LANES) {
        real a[8], b[4];
        #pragma omp simd
        for (int j = 0; j < 8; j++) a[j] = lanes[j] + lanes[j + 8];
        #pragma omp simd
        for (int j = 0; j < 4; j++) b[j] = a[j] + a[j + 4];
        out[i] = (b[0] + b[2]) + (b[1] + b[3]);
    }
}

CLONES
static void backward_group(const struct scan_grad *g, struct sums *sums, const struct strip *p,
                           int t0, int t1)
{
    const struct scan *s = p->s;
    const int N = s->N;
    struct token k[G];

    memset(k, 0, sizeof k);
    load_state(p->hs, kept_of(p, t0), p);
    for (int t = t0; t < t1; t++) {
        const int i = t - t0;
        const int64_t at = p->row + (int64_t)t * s->C, before = at - (int64_t)G * s->C;
        fetch(s->z + at), fetch(g->dy + at);
        fetch(g->dz + at), fetch(g->du + at), fetch(g->draw + at);
        if (t0) fetch(s->raw + before), fetch(s->u + before);
        begin_token(&k[i], p, t);
        step(&k[i], p, t, p->hs + (i + 1) * N, p->hs + i * N, p->es + i * N);
    }
    memset(p->dA, 0, (size_t)N * sizeof *p->dA);
    for (int t = t1 - 1; t >= t0; t--) {
        const int i = t - t0;
        const int64_t at = p->row + (int64_t)t * s->C;
        real to_v[W] = { 0 }, to_delta[W] = { 0 };
        end_token(&k[i], g, sums, p, t);
        step_backward(&k[i], p, t, p->hs + i * N, p->hs + (i + 1) * N, p->es + i * N, to_v,
                      to_delta);
        add_lanes(p->dbc + (int64_t)t * 2 * N, p->lanes, 2 * N);
        #pragma omp simd
        for (int j = 0; j < p->w; j++) {
            const real ddelta = vfma(to_v[j], k[i].u[j], LN2 * to_delta[j]);
            const real dx = ddelta * vsigmoid(k[i].x[j]);
            g->draw[at + j] = dx;
            sums->bias[j] += dx;
            g->du[at + j] = vfma(to_v[j], k[i].delta[j], k[i].y[j] * s->D[p->c + j]);
        }
    }
    for (int n = 0; n < N; n++)
        for (int j = 0; j < W; j++) p->sum[n][j] += p->dA[n][j];
}

static void backward(const struct scan_grad *g, const struct strip *p)
{
    const struct scan *s = p->s;
    const int64_t at = (int64_t)p->b * s->C + p->c;
    struct sums sums = { { 0 }, { 0 } };

    memset(p->sum, 0, (size_t)s->N * sizeof *p->sum);
    for (int i = scan_groups(s->T) - 1; i >= 0; i--)
        backward_group(g, &sums, p, i * G, i * G + G < s->T ? i * G + G : s->T);
    memcpy(g->dbias + at, sums.bias, (size_t)p->w * sizeof(real));
    memcpy(g->dD + at, sums.D, (size_t)p->w * sizeof(real));
    for (int i = 0; i < p->w; i++)
        for (int n = 0; n < s->N; n++)
            g->dA_log[(at + i) * s->N + n] = p->sum[n][i] * p->A[n][i] * LN2;
}

/* dB, dC of one token: the shares of all strips, in order. */
CLONES
static void add_strips(real *restrict dB, real *restrict dC, const real *restrict shares,
                       const struct scan *s)
{
    const int N = s->N, n_strips = strips(s->C);
    memset(dB, 0, (size_t)N * sizeof *dB);
    memset(dC, 0, (size_t)N * sizeof *dC);
    for (int i = 0; i < n_strips; i++, shares += (int64_t)s->T * 2 * N)
        for (int n = 0; n < N; n++) {
            dB[n] += shares[n];
            dC[n] += shares[N + n];
        }
}

void scan_backward(const struct scan_grad *g, real *dh, int64_t stride, const struct scan *s)
{
    const int n = strips(s->C);
    const int64_t each = (int64_t)s->T * 2 * s->N;
    real *shares = s->scratch, *own = shares + align_reals(s->B * n * each);

    #pragma omp parallel for schedule(static) if (parallel(s))
    for (int i = 0; i < s->B * n; i++) {
        struct strip p = strip_of(s, i, own + omp_get_thread_num() * strip_reals(s->N, 1), 1);
        p.dbc = shares + i * each;
        load_A(&p);
        load_state(p.h, dh + p.b * stride, &p);
        backward(g, &p);
        store_state(dh + p.b * stride, p.h, &p);
    }
    #pragma omp parallel for schedule(static) if (parallel(s))
    for (int i = 0; i < s->B * s->T; i++)
        add_strips(g->dB + (int64_t)i * s->ld, g->dC + (int64_t)i * s->ld,
                   shares + i / s->T * n * each + (int64_t)(i % s->T) * 2 * s->N, s);
}

/* --- maps ----------------------------------------------------------------- */

/* Only the state, without y; with dy its gradient, in reverse.  sum (W): the sum of delta, whose
 * exponential is the decay of the whole slice. */
CLONES
static void states_only(real *sum, const struct strip *p, const real *dy)
{
    const struct scan *s = p->s;
    struct token k = { { 0 }, { 0 }, { 0 }, { 0 }, { 0 } };

    for (int i = 0; i < s->T; i++) {
        const int t = dy ? s->T - 1 - i : i;
        const int64_t at = p->row + (int64_t)t * s->C;
        const real *row = (dy ? s->Cn : s->Bn) + ((int64_t)p->b * s->T + t) * s->ld;
        begin_token(&k, p, t);
        if (dy)
            for (int j = 0; j < p->w; j++) {
                const real z = s->z[at + j];
                k.v[j] = dy[at + j] * (z * vsigmoid(z));
            }
        for (int j = 0; j < W; j++) sum[j] += k.delta[j];
        for (int n = 0; n < s->N; n++) {
            const real x = row[n];
            #pragma omp simd
            for (int j = 0; j < W; j++) {
                const real decay = vexp2(k.delta[j] * p->A[n][j]), in = k.v[j] * x;
                p->h[n][j] = dy ? decay * (p->h[n][j] + in) : vfma(decay, p->h[n][j], in);
            }
        }
    }
}

CLONES
static void compose_strip(const struct scan_map *map, const struct strip *p, const real *dy)
{
    const struct scan *s = p->s;
    const int64_t at = p->b * map->stride + p->c;
    real sum[W] = { 0 };

    load_A(p);
    load_state(p->h, map->offset + p->b * map->stride, p);
    states_only(sum, p, dy);
    store_state(map->offset + p->b * map->stride, p->h, p);
    for (int n = 0; n < s->N; n++) {
        real *decay = map->decay + at + (int64_t)n * s->C;
        #pragma omp simd
        for (int j = 0; j < p->w; j++) decay[j] *= vexp2(sum[j] * p->A[n][j]);
    }
}

static void compose(const struct scan_map *map, const real *dy, const struct scan *s)
{
    #pragma omp parallel for schedule(static) if (parallel(s))
    for (int i = 0; i < s->B * strips(s->C); i++) {
        const struct strip p = strip_of(s, i, s->scratch + omp_get_thread_num() *
                                        strip_reals(s->N, 0), 0);
        compose_strip(map, &p, dy);
    }
}

void scan_compose(const struct scan_map *map, const struct scan *s) { compose(map, NULL, s); }

void scan_compose_backward(const struct scan_map *map, const real *dy, const struct scan *s)
{
    compose(map, dy, s);
}
