/* SPDX-License-Identifier: Apache-2.0 */
/* Attention in blocks against the plain sum over all pairs, forward and backward; cut anywhere it is
 * the same attention, cut at blocks the same bits. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/kernels/attention.h"
#include "src/kernels/rope.h"
#include "src/kernels/smm.h"

#include <cmocka.h>

static int half;  /* are operands rounded to bf16? */

/* Sequences of L tokens; rows of the past have some room behind them that is not a number. */
struct shape { int B, L, G, R, F; };

struct arrays {
    struct shape s;
    int64_t      room, nq, nkv, npast, nlse;
    real *q, *k, *v, *dout;                 /* given                       */
    real *o, *lse, *dq, *dk, *dv;           /* in blocks                   */
    real *past, *dpast, *scratch;
};

static real *numbers(int64_t n, const char *name, double scale)
{
    real *x = mem_new(n, sizeof *x, "test");
    const uint64_t key = rng_key(7, name);
    for (int64_t i = 0; i < n; i++) x[i] = (real)(scale * rng_normal(key, (uint64_t)i));
    return x;
}

static void arrays_init(struct arrays *a, const struct shape *s)
{
    const int64_t N = (int64_t)s->B * s->L;
    *a = (struct arrays){ .s = *s, .room = s->L + 5, .nq = N * s->G * s->R * s->F,
                          .nkv = N * s->G * s->F, .nlse = N * s->G * s->R };
    a->npast = (int64_t)s->B * s->G * a->room * 2 * s->F;
    a->q = numbers(a->nq, "q", half ? 0.5 : 2);  /* rounded scores are off by a part of them */
    a->k = numbers(a->nkv, "k", 2);
    a->v = numbers(a->nkv, "v", 1);
    a->dout = numbers(a->nq, "do", 1);
    real **const made[] = { &a->o, &a->dq, &a->lse, &a->dk, &a->dv, &a->past, &a->dpast };
    const int64_t n[] = { a->nq, a->nq, a->nlse, a->nkv, a->nkv, a->npast, a->npast };
    for (int i = 0; i < 7; i++) *made[i] = mem_new(n[i], sizeof(real), "test");
    const int64_t each = attention_scratch(s->L, s->F, 1);
    a->scratch = mem_new(omp_get_max_threads() * each, sizeof(real), "test");
    for (int64_t i = 0; i < a->npast; i++) a->past[i] = (real)NAN;
}

static void arrays_done(struct arrays *a)
{
    real *const all[] = { a->q, a->k, a->v, a->dout, a->o, a->dq, a->lse, a->dk, a->dv, a->past,
                          a->dpast, a->scratch };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

/* Rows [t, t + T) of every sequence of x (B,L,w): copied out to y, or back. */
static void rows(real *y, real *x, const struct shape *s, int t, int T, int w, int back)
{
    for (int b = 0; b < s->B; b++) {
        real *part = y + (int64_t)b * T * w, *whole = x + ((int64_t)b * s->L + t) * w;
        memcpy(back ? whole : part, back ? part : whole, (size_t)T * (size_t)w * sizeof *x);
    }
}

/* Copies of the rows of a slice. */
struct slice { int t, T; real *q, *k, *v, *dout, *o, *lse, *dq, *dk, *dv; };

static struct slice slice_of(struct arrays *a, int t, int T)
{
    const struct shape *s = &a->s;
    const int wq = s->G * s->R * s->F, wk = s->G * s->F;
    const int64_t N = (int64_t)s->B * T;
    struct slice x = { .t = t, .T = T };
    real **const to[] = { &x.q, &x.dout, &x.o, &x.dq, &x.k, &x.v, &x.dk, &x.dv, &x.lse };
    real *const from[] = { a->q, a->dout, a->o, a->dq, a->k, a->v, a->dk, a->dv };
    for (int i = 0; i < 9; i++) {
        *to[i] = mem_new(N * (i < 4 ? wq : wk) + s->G * s->R * N, sizeof(real), "test");
        if (i < 8) rows(*to[i], from[i], s, t, T, i < 4 ? wq : wk, 0);
    }
    return x;
}

static void slice_done(struct arrays *a, struct slice *x)
{
    const struct shape *s = &a->s;
    const int wq = s->G * s->R * s->F, wk = s->G * s->F;
    rows(x->o, a->o, s, x->t, x->T, wq, 1);
    rows(x->dq, a->dq, s, x->t, x->T, wq, 1);
    rows(x->dk, a->dk, s, x->t, x->T, wk, 1);
    rows(x->dv, a->dv, s, x->t, x->T, wk, 1);
    real *const all[] = { x->q, x->dout, x->o, x->dq, x->k, x->v, x->dk, x->dv, x->lse };
    for (int i = 0; i < 9; i++) mem_free(all[i]);
}

static struct attention call_of(struct arrays *a, struct slice *x)
{
    const struct shape *s = &a->s;
    return (struct attention){ .B = s->B, .T = x->T, .G = s->G, .R = s->R, .F = s->F, .pos = x->t,
                               .room = a->room, .q = x->q, .past = a->past, .o = x->o,
                               .lse = x->lse, .scratch = a->scratch, .bf16 = half };
}

/* In slices of T tokens: all forward, then all backward, the last first. */
static void in_slices(struct arrays *a, int T)
{
    const struct shape *s = &a->s;
    const int n = (s->L + T - 1) / T;
    struct slice *x = mem_new(n, sizeof *x, "test");

    for (int i = 0; i < n; i++) {
        x[i] = slice_of(a, i * T, s->L - i * T < T ? s->L - i * T : T);
        const struct attention c = call_of(a, &x[i]);
        attention_append(&c, a->past, x[i].k, x[i].v);
        attention_forward(&c);
    }
    for (int i = n - 1; i >= 0; i--) {
        const struct attention c = call_of(a, &x[i]);
        attention_backward(&c, x[i].dq, a->dpast, x[i].dout);
        attention_take(&c, x[i].dk, x[i].dv, a->dpast);
        slice_done(a, &x[i]);
    }
    mem_free(x);
}

/* The definition, in double: o, and dq, dk, dv added up. */
struct plain { double *o, *dq, *dk, *dv; };

static void plain_row(struct plain *p, const struct arrays *a, int b, int h, int t, double *w)
{
    const struct shape *s = &a->s;
    const int F = s->F, wq = s->G * s->R * F, wk = s->G * F;
    const int64_t at = ((int64_t)b * s->L + t) * wq + h * F;
    const int64_t kv = (int64_t)b * s->L * wk + h / s->R * F;
    double most = -1e300, sum = 0, d = 0, *dp = w + s->L;

    for (int u = 0; u <= t; u++) {
        w[u] = 0;
        for (int f = 0; f < F; f++)
            w[u] += (double)a->q[at + f] * (double)a->k[kv + u * wk + f] / sqrt(F);
        most = fmax(most, w[u]);
    }
    for (int u = 0; u <= t; u++) sum += w[u] = exp(w[u] - most);
    for (int u = 0; u <= t; u++) {
        w[u] /= sum;
        dp[u] = 0;
        for (int f = 0; f < F; f++) {
            p->o[at + f] += w[u] * (double)a->v[kv + u * wk + f];
            p->dv[kv + u * wk + f] += w[u] * (double)a->dout[at + f];
            dp[u] += (double)a->dout[at + f] * (double)a->v[kv + u * wk + f];
        }
        d += w[u] * dp[u];
    }
    for (int u = 0; u <= t; u++)
        for (int f = 0; f < F; f++) {
            const double ds = w[u] * (dp[u] - d) / sqrt(F);
            p->dq[at + f] += ds * (double)a->k[kv + u * wk + f];
            p->dk[kv + u * wk + f] += ds * (double)a->q[at + f];
        }
}

static double off(const real *x, const double *y, int64_t n)
{
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        worst = x[i] == x[i] ? fmax(worst, fabs((double)x[i] - y[i])) : INFINITY;
        largest = fmax(largest, fabs(y[i]));
    }
    return worst / largest;
}

static const struct shape shapes[] = {
    { 1, 200, 1, 1, 16 }, { 2, 128, 2, 1, 64 }, { 1, 77, 2, 3, 10 }, { 1, 64, 1, 2, 96 },
    { 2, 5, 1, 1, 2 }, { 1, 1100, 1, 1, 8 },
};
#define SHAPES (int)(sizeof shapes / sizeof *shapes)

static void blocks_are_the_plain_sum(void **state)
{
    (void)state;
    static const int cuts[] = { 0, 1, 7, 64 };
    for (int i = 0; i < SHAPES; i++)
        for (int c = 0; c < 4; c++) {
            const struct shape *s = &shapes[i];
            struct arrays a;
            struct plain p;
            arrays_init(&a, s);
            p.o = mem_new(2 * a.nq + 2 * a.nkv, sizeof *p.o, "test");
            p.dq = p.o + a.nq, p.dk = p.dq + a.nq, p.dv = p.dk + a.nkv;
            double *w = mem_new(2 * s->L, sizeof *w, "test");
            for (int b = 0; b < s->B; b++)
                for (int h = 0; h < s->G * s->R; h++)
                    for (int t = 0; t < s->L; t++) plain_row(&p, &a, b, h, t, w);
            in_slices(&a, cuts[c] ? cuts[c] : s->L);
            const double tol = half ? 0x1p-5 : 100 * REAL_EPS;
            assert_true(off(a.o, p.o, a.nq) < tol);
            if (half) assert_true(off(a.o, p.o, a.nq) > 0x1p-12);  /* it was */
            assert_true(off(a.dq, p.dq, a.nq) < tol);
            assert_true(off(a.dk, p.dk, a.nkv) < tol);
            assert_true(off(a.dv, p.dv, a.nkv) < tol);
            p.dk[0] += 1000 * tol;  /* the comparison can fail */
            assert_true(off(a.dk, p.dk, a.nkv) > tol);
            mem_free(p.o);
            mem_free(w);
            arrays_done(&a);
        }
}

static int same(const real *a, const real *b, int64_t n)
{
    return !memcmp(a, b, (size_t)n * sizeof *a);
}

/* Slices of any length, also one that leaves a single token; threads. */
static void cutting_changes_no_bit(void **state)
{
    (void)state;
    const int before = omp_get_max_threads();
    for (int i = 0; i < SHAPES; i++) {
        struct arrays whole, cut;
        static const int cuts[] = { 64, 128, 20, 19, 7, 1 };
        arrays_init(&whole, &shapes[i]);
        in_slices(&whole, shapes[i].L);
        for (int c = 0; c < 6; c++) {
            arrays_init(&cut, &shapes[i]);
            in_slices(&cut, cuts[c]);
            assert_true(same(whole.o, cut.o, whole.nq));
            arrays_done(&cut);
        }
        for (int threads = 1; threads <= 9; threads += 4) {  /* fewer and more than groups */
            omp_set_num_threads(threads);
            arrays_init(&cut, &shapes[i]);
            in_slices(&cut, shapes[i].L);
            assert_true(same(whole.o, cut.o, whole.nq) && same(whole.dq, cut.dq, whole.nq) &&
                        same(whole.dk, cut.dk, whole.nkv) && same(whole.dv, cut.dv, whole.nkv));
            cut.o[0] += (real)1e-3;
            assert_false(same(whole.o, cut.o, whole.nq));
            arrays_done(&cut);
        }
        omp_set_num_threads(before);
        arrays_done(&whole);
    }
}

/* A sequence's neighbours in the batch do not matter. */
static void sequences_are_alone(void **state)
{
    (void)state;
    const struct shape two = { 2, 90, 2, 2, 32 }, one = { 1, 90, 2, 2, 32 };
    struct arrays a, b;
    arrays_init(&a, &two);
    arrays_init(&b, &one);  /* the first sequence of two */
    in_slices(&a, 90);
    in_slices(&b, 90);
    assert_true(same(a.o, b.o, b.nq) && same(a.dq, b.dq, b.nq) && same(a.dk, b.dk, b.nkv));
    arrays_done(&a);
    arrays_done(&b);
}

/* Scores beyond what exp() of a float holds. */
static void large_scores_stay_finite(void **state)
{
    (void)state;
    const struct shape s = { 1, 130, 1, 1, 16 };
    struct arrays a;
    arrays_init(&a, &s);
    for (int64_t i = 0; i < a.nq; i++) a.q[i] *= 300;
    in_slices(&a, 130);
    for (int64_t i = 0; i < a.nq; i++) assert_true(isfinite(a.o[i]) && isfinite(a.dq[i]));
    arrays_done(&a);
}

/* Turned by its position: a product depends on the distance, slices have the table of the whole, and
 * turning back undoes it. */
static void rope_is_relative(void **state)
{
    (void)state;
    enum { T = 200, F = 12 };
    real *table = mem_new(T * F, sizeof *table, "test"), part[3 * F], far[2 * F];
    const double theta = 1e4, tol = REAL_EPS + 1e-13;  /* the angle itself is rounded */
    const struct rope r = { .theta = theta };

    rope_table(table, 0, T, F, &r);
    for (int t = 0; t < T; t++)
        for (int i = 0; i < F / 2; i++) {
            const double angle = t * pow(theta, -2.0 * i / F);
            assert_true(fabs((double)table[t * F + i] - cos(angle)) < tol);
            assert_true(fabs((double)table[t * F + F / 2 + i] - sin(angle)) < tol);
        }
    rope_table(part, 150, 3, F, &r);
    assert_memory_equal(part, table + 150 * F, sizeof part);
    rope_table(far, 100007, 2, F, &r);
    real *x = numbers(2 * F, "x", 1), *y = numbers(2 * F, "x", 1);
    rope_rotate(y, far, 1, 2, 1, F, 1);
    double product = 0, alone = 0;
    for (int f = 0; f < F; f++) product += (double)y[f] * (double)y[F + f];
    rope_rotate(x + F, table + F, 1, 1, 1, F, 1);
    for (int f = 0; f < F; f++) alone += (double)x[f] * (double)x[F + f];
    assert_true(fabs(product - alone) < 100 * REAL_EPS + 1e-10);
    assert_true(fabs(alone) > 1e-3);
    rope_rotate(y, far, 1, 2, 1, F, -1);
    for (int f = 0; f < F; f++) assert_true(fabs((double)(y[f] - x[f])) < 20 * REAL_EPS);
    mem_free(table);
    mem_free(x);
    mem_free(y);
}

/* Angles of transformers 4.57.6 (ROPE_INIT_FUNCTIONS, in float32: a few units of its last digit). */
static void rope_is_scaled(void **state)
{
    (void)state;
    enum { F = 24 };
    static const double llama3[F / 2] = {
        1, 0.643054068, 0.413518518, 0.165754661, 0.0583698079, 0.0175953358, 0.00883883517,
        0.00568384957, 0.00365502154, 0.00235037692, 0.00151141954, 0.000971924397
    };
    const struct rope plain = { .theta = 200 }, linear = { 200, ROPE_LINEAR, 4, 0, 0, 0 },
                      l3 = { 200, ROPE_LLAMA3, 8, 1, 4, 64 };
    real table[3 * F];

    for (int i = 0; i < F / 2; i++) {
        const double a = rope_angle(&plain, i, F);
        assert_true(a == pow(200, -2.0 * i / F));
        assert_true(rope_angle(&linear, i, F) == a / 4);
        assert_true(fabs(rope_angle(&l3, i, F) / llama3[i] - 1) < 5e-7);
    }
    rope_table(table, 7, 3, F, &l3);
    for (int i = 0; i < F / 2; i++)
        assert_true(fabs((double)table[2 * F + i] - cos(9 * rope_angle(&l3, i, F))) < REAL_EPS);
}

/* Every kind of shape that is used, against plain loops. */
static void parts_of_arrays_multiply(void **state)
{
    (void)state;
    for (int transposed = 0; transposed < 2; transposed++)
        for (int add = 0; add < 2; add++)
            for (int F = 6; F < 80; F += 29) {
                const struct smm_shape s = { 64, F, 64, F + 3, 70, F + 5, add, transposed };
                real *A = numbers(64 * 70, "a", 1), *B = numbers(64 * (F + 5), "b", 1);
                real *C = numbers(64 * (F + 3), "c", 1), *D = numbers(64 * (F + 3), "c", 1);
                smm_block(C, A, B, &s);
                smm_block_ref(D, A, B, &s);
                for (int i = 0; i < 64 * (F + 3); i++)
                    assert_true(fabs((double)(C[i] - D[i])) < 500 * REAL_EPS);
                assert_true(C[F] == D[F] && C[F + 2] == D[F + 2]);  /* between the rows */
                mem_free(A);
                mem_free(B);
                mem_free(C);
                mem_free(D);
            }
}

/* All of it with rounded operands. */
static void the_same_of_bf16(void **state)
{
    half = 1;
    blocks_are_the_plain_sum(state);
    cutting_changes_no_bit(state);
    sequences_are_alone(state);
    large_scores_stay_finite(state);
    half = 0;
}

/* Token after token as in generation: near, and never rounded. */
static void generation_is_near(void **state)
{
    (void)state;
    const struct shape s = { 2, 70, 2, 2, 32 };
    struct arrays a, b[2];
    arrays_init(&a, &s);
    in_slices(&a, s.L);
    double *want = mem_new(a.nq, sizeof *want, "test");
    for (int64_t i = 0; i < a.nq; i++) want[i] = (double)a.o[i];
    for (half = 1; half >= 0; half--) {
        arrays_init(&b[half], &s);
        memcpy(b[half].q, a.q, (size_t)a.nq * sizeof *a.q);
        for (int t = 0; t < s.L; t++) {
            struct slice x = slice_of(&b[half], t, 1);
            struct attention c = call_of(&b[half], &x);
            c.alone = 1;
            attention_append(&c, b[half].past, x.k, x.v);
            attention_forward(&c);
            slice_done(&b[half], &x);
        }
        assert_true(off(b[half].o, want, a.nq) < 100 * REAL_EPS);
    }
    half = 0;
    assert_true(same(b[0].o, b[1].o, a.nq));
    mem_free(want);
    arrays_done(&a);
    arrays_done(&b[0]);
    arrays_done(&b[1]);
}

static int nothing_is_left(void **state)
{
    (void)state;
    return mem_live_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_the_plain_sum), cmocka_unit_test(cutting_changes_no_bit),
        cmocka_unit_test(sequences_are_alone),      cmocka_unit_test(large_scores_stay_finite),
        cmocka_unit_test(rope_is_relative),         cmocka_unit_test(rope_is_scaled),
        cmocka_unit_test(parts_of_arrays_multiply),
        cmocka_unit_test(the_same_of_bf16),         cmocka_unit_test(generation_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
