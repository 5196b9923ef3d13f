/* SPDX-License-Identifier: Apache-2.0 */
/* test_linear.c -- products of a layer with bf16 operands: right, and the same bits whether an
 * operand is reals or rows, shared or not. */
#include "tests/unit/numeric.h"

#include "src/kernels/gemm.h"
#include "src/layers/linear.h"

enum { M = 130, C = 70, SEQUENCES = 3, TOKENS = 65, CANARY = 256, OTHER = 9 };

/* Products with one weight (M,C) and what they need. */
struct job {
    struct param_table t;
    struct bf16_weights *bf16;
    struct bf16_work work;
    struct arena arena;
    struct grad grad;
    real *w;
    unsigned char *canary;   /* after the scratch */
};

static void lay_out(struct job *j)
{
    bf16_work_lay_out(&j->work, &j->arena, SEQUENCES * TOKENS, TOKENS, M, 1);
    j->canary = arena_bytes(&j->arena, CANARY);
}

static struct job *new_job(void)
{
    struct job *j = hold(1, sizeof *j);
    param_add_product(&j->t, "", "matrix", INIT_NORMAL, 1, PARAM_SHAPE(M, C));
    j->w = noise((int)j->t.total, 1);
    j->bf16 = bf16_weights_new(&j->t, 1);
    bf16_weights_make(j->bf16, j->w, &(struct span){ 0, j->t.total }, 1);
    grad_init(&j->grad, &j->t, REDUCE_EXACT);
    arena_plan(&j->arena);
    lay_out(j);
    const int64_t bytes = j->arena.peak;
    arena_init(&j->arena, bytes, "test");
    lay_out(j);
    memset(j->canary, 0xa5, CANARY);
    return j;
}

static void job_done(struct job *j)
{
    for (int i = 0; i < CANARY; i++) assert_int_equal(j->canary[i], 0xa5);
    arena_done(&j->arena);
    grad_done(&j->grad);
    bf16_weights_free(j->bf16);
    param_done(&j->t);
    release();
}

static struct layer_call call_of(struct job *j, int B, int T)
{
    return (struct layer_call){ .t = &j->t, .w = j->w, .bf16 = j->bf16, .bf16_work = &j->work,
                                .grad = &j->grad, .B = B, .T = T };
}

static struct operand rows_of(const real *x, int N, int K)
{
    bf16 *rows = hold(bf16_rows_size(N, K), sizeof *rows);
    bf16_rows(rows, x, K, N, K);
    return (struct operand){ .rows = rows };
}

static double *rounded(const real *x, int64_t n)
{
    double *y = widen(x, n);
    for (int64_t i = 0; i < n; i++) y[i] = (double)bf16_value((bf16)bf16_bits(x[i]));
    return y;
}

/* to (n,m) = a (n,k) b (k,m) with any strides. */
struct matrix { const double *v; int row, col; };
static double *plain(struct matrix a, struct matrix b, int n, int m, int k)
{
    double *to = hold((int64_t)n * m, sizeof *to);
    for (int r = 0; r < n; r++)
        for (int c = 0; c < m; c++)
            for (int i = 0; i < k; i++)
                to[r * m + c] += a.v[r * a.row + i * a.col] * b.v[i * b.row + c * b.col];
    return to;
}

/* Which ways of saying the same a case takes. */
enum { X_ROWS = 1, DY_ROWS = 2, SHARED = 4, BETWEEN = 8, WAYS = 16 };
struct result { real *y, *y_other, *dx, *dw; };

/* Forward and backward with x twice and with another x once: before, or between them. */
static struct result run(struct job *j, int B, int T, int way, const real *x, const real *dy)
{
    const struct layer_call c = call_of(j, B, T);
    const int N = B * T, between = way & BETWEEN ? 1 : 0;
    struct result r = { zeros(N * M), zeros(N * M), zeros(N * C), zeros(M * C) };
    const struct operand in = way & X_ROWS ? rows_of(x, N, C) : reals(x);
    const struct operand back = way & DY_ROWS ? rows_of(dy, N, M) : reals(dy);
    const struct operand other = reals(noise(N * C, OTHER));

    grad_begin(&j->grad, 1);
    linear_share(&c, way & SHARED ? in : reals(NULL));
    for (int i = 0; i < 3; i++)
        linear_forward(&c, 0, i == between ? r.y_other : r.y, i == between ? other : in);
    for (int i = 0; i < 3; i++)
        linear_backward(&c, 0, r.dx, back, i == between ? other : in, i > 0);
    grad_read(&j->grad, r.dw, 0, M * C);
    return r;
}

/* Rounded operands, exact sums. */
static void assert_right(const struct result *r, const struct job *j, int B, int T, const real *x,
                         const real *dy)
{
    const int N = B * T;
    const real *z = noise(N * C, OTHER);
    const double *w = rounded(j->w, M * C), *dY = rounded(dy, N * M), tolerance = 1e-12 + ULPS(20);
    const double *X = rounded(x, N * C), *Z = rounded(z, N * C);
    double *sum = hold(N * C, sizeof *sum);
    for (int i = 0; i < N * C; i++) sum[i] = 2 * X[i] + Z[i];
    const double *dw = plain((struct matrix){ dY, 1, M }, (struct matrix){ sum, C, 1 }, M, C, N);
    double *dx = plain((struct matrix){ dY, M, 1 }, (struct matrix){ w, C, 1 }, N, C, M);
    for (int i = 0; i < N * C; i++) dx[i] *= 3;

    assert_close(r->y, plain((struct matrix){ X, C, 1 }, (struct matrix){ w, 1, C }, N, M, C), N * M, tolerance);
    assert_close(r->y_other, plain((struct matrix){ Z, C, 1 }, (struct matrix){ w, 1, C }, N, M, C),
                 N * M, tolerance);
    assert_close(r->dx, dx, N * C, tolerance);
    assert_close(r->dw, dw, M * C, tolerance);
}

static void every_way_is_right(void **state)
{
    (void)state;
    static const int tokens[] = { 1, 2, 3, 24, TOKENS };
    for (int k = 0; k < 10; k++) {
        const int B = k % 2 ? SEQUENCES : 1, T = tokens[k / 2], N = B * T;
        struct job *j = new_job();
        const real *x = noise(N * C, 2), *dy = noise(N * M, 3);
        const struct result first = run(j, B, T, 0, x, dy);
        assert_right(&first, j, B, T, x, dy);
        for (int way = 1; way < WAYS; way++) {
            const struct result r = run(j, B, T, way, x, dy);
            assert_same(r.y, first.y, N * M);
            assert_same(r.y_other, first.y_other, N * M);
            assert_same(r.dx, first.dx, N * C);
            assert_same(r.dw, first.dw, M * C);
        }
        job_done(j);
    }
}

/* Generation, one token of each sequence: weights are rounded, with bf16, and nothing else. */
static void alone_nothing_is_rounded(void **state)
{
    (void)state;
    struct job *j = new_job();
    const real *x = noise(SEQUENCES * C, 2);
    real *y = zeros(SEQUENCES * M);
    for (int half = 0; half < 2; half++) {
        struct layer_call c = call_of(j, SEQUENCES, 1);
        c.decode = 1;
        if (!half) c.bf16 = NULL;
        linear_forward(&c, 0, y, reals(x));
        const double *w = half ? rounded(j->w, M * C) : widen(j->w, M * C);
        assert_close(y, plain((struct matrix){ widen(x, SEQUENCES * C), C, 1 },
                              (struct matrix){ w, 1, C }, SEQUENCES, M, C), SEQUENCES * M,
                     1e-12 + ULPS(20));
    }
    job_done(j);
}

static int same(const real *a, const real *b, int n) { return !memcmp(a, b, (size_t)n * sizeof *a); }

/* What is shared is made once, for forward and for backward: a change after that isn't seen, one
 * that isn't shared is. */
static void shared_is_made_once(void **state)
{
    (void)state;
    enum { T = 24, N = SEQUENCES * T };
    for (int shared = 0; shared < 2; shared++) {
        struct job *j = new_job();
        const struct layer_call c = call_of(j, SEQUENCES, T);
        real *x = noise(N * C, 2), *dy = noise(N * M, 3), *y[2], *dw[2], *dx = zeros(N * C);
        linear_share(&c, reals(shared ? x : NULL));
        for (int i = 0; i < 2; i++) {
            y[i] = zeros(N * M);
            linear_forward(&c, 0, y[i], reals(x));
            x[5]++;
        }
        linear_share(&c, reals(shared ? x : NULL));
        for (int i = 0; i < 2; i++) {
            dw[i] = zeros(M * C);
            grad_begin(&j->grad, 1);
            linear_backward(&c, 0, dx, reals(dy), reals(x), 0);
            grad_read(&j->grad, dw[i], 0, M * C);
            x[5]++;
        }
        assert_int_equal(same(y[1], y[0], N * M), shared);
        assert_int_equal(same(dw[1], dw[0], M * C), shared);
        job_done(j);
    }
}

/* An array that only products read has room for every smaller call. */
static void arrays_have_room(void **state)
{
    (void)state;
    struct job *j = new_job();
    for (int B = 1; B < 40; B += 3)
        for (int T = 1; T < 6; T++) {
            const struct layer_call most = call_of(j, B, T);
            const int64_t room = operand_bytes(&most, C);
            for (int b = 1; b <= B; b++)
                for (int n = 1; n <= T; n++) {
                    const int64_t as_rows = bf16_rows_size(b * n, C) * (int64_t)sizeof(bf16);
                    const int64_t as_reals = (int64_t)b * n * C * (int64_t)sizeof(real);
                    struct layer_call c = call_of(j, b, n);
                    real v;
                    c.decode = n == 1 && T % 2;
                    assert_int_equal(!operand_rows(&c, &v), c.decode);
                    assert_true(room >= (c.decode ? as_reals : as_rows));
                }
        }
    struct layer_call fp32 = call_of(j, 2, 50);
    fp32.bf16 = NULL;
    assert_int_equal(operand_bytes(&fp32, C), 2 * 50 * C * (int64_t)sizeof(real));
    job_done(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_is_right), cmocka_unit_test(shared_is_made_once),
        cmocka_unit_test(arrays_have_room), cmocka_unit_test(alone_nothing_is_rounded),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
