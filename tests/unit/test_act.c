/* SPDX-License-Identifier: Apache-2.0 */
/* test_act.c -- gates against libm, backward against slopes, and in place. */
#include "tests/unit/numeric.h"

#include "src/kernels/act.h"

enum { MANY = 40001 };  /* enough for threads; odd */

static double silu(double a) { return a / (1 + exp(-a)); }
static double gelu(double g)
{
    return 0.5 * g * (1 + tanh(sqrt(2 / acos(-1)) * (g + 0.044715 * g * g * g)));
}

struct gate {
    double (*plain)(double);
    void (*forward)(real *, const real *, const real *, int64_t);    /* y, gated first */
    void (*backward)(real *, real *, const real *, const real *, const real *, int64_t);
};

/* gelu_gate's arguments stand the other way round: y = x gelu(g). */
static void gelu_forward(real *y, const real *g, const real *x, int64_t n)
{
    gelu_gate_forward(y, x, g, n);
}
static void gelu_backward(real *dg, real *dx, const real *dy, const real *g, const real *x,
                          int64_t n)
{
    gelu_gate_backward(dx, dg, dy, x, g, n);
}

static const struct gate gates[] = { { silu, swiglu_forward, swiglu_backward },
                                     { gelu, gelu_forward, gelu_backward } };

struct point { const struct gate *gate; double z; };
static double gate_at(void *ctx)
{
    const struct point *p = ctx;
    return p->gate->plain(p->z);
}

/* Both sides of zero, the tails, and far beyond what exp can hold. */
static real sample(int i, const real *noisy)
{
    static const double far[] = { 0, -0.0, 1e-6, -1e-6, 20, -20, 87, -87, 89, -89, 200, -200, 1e4,
                                  -1e4 };
    return i < (int)(sizeof far / sizeof *far) ? (real)far[i] : 3 * noisy[i];
}

static void values_and_gradients(void **state)
{
    (void)state;
    enum { n = 1009 };
    for (int k = 0; k < 2; k++) {
        real *z = noise(n, 1), *x = noise(n, 2), *dy = noise(n, 3), *y = zeros(n);
        real *dz = zeros(n), *dx = zeros(n);
        double *want = widen(y, n), *want_dz = widen(y, n), *want_dx = widen(y, n);
        for (int i = 0; i < n; i++) {
            z[i] = sample(i, z);
            struct point p = { &gates[k], (double)z[i] };
            const double up = slope(gate_at, &p, &p.z);
            want[i] = p.gate->plain(p.z) * (double)x[i];
            want_dx[i] = p.gate->plain(p.z) * (double)dy[i];
            want_dz[i] = up * (double)x[i] * (double)dy[i];
        }
        gates[k].forward(y, z, x, n);
        gates[k].backward(dz, dx, dy, z, x, n);
        /* One by one: the far values would make a common scale meaningless. */
        for (int i = 0; i < n; i++) {
            assert_close(y + i, want + i, 1, ULPS(6));
            assert_close(dx + i, want_dx + i, 1, ULPS(6));
            assert_close(dz + i, want_dz + i, 1, 1e-8 + ULPS(12));
        }
        release();
    }
}

/* _rows round what the others give, to the bit; rows of all lengths, longer than a piece too. */
static void rows_are_rounded(void **state)
{
    (void)state;
    static const int shapes[][2] = { { 1, 1 }, { 67, 33 }, { 3, 512 }, { 50, 1301 } };
    for (int i = 0; i < 4; i++) {
        const int N = shapes[i][0], C = shapes[i][1], n = N * C;
        const size_t bytes = (size_t)bf16_rows_size(N, C) * sizeof(bf16);
        real *a = noise(n, 1), *b = noise(n, 2), *dy = noise(n, 3), *y = zeros(n), *z = zeros(n);
        real *other = zeros(n);
        bf16 *want = hold(bf16_rows_size(N, C), sizeof *want), *got = hold((int64_t)bytes, 2);
        bf16 *want2 = hold(bf16_rows_size(N, C), sizeof *want), *got2 = got + bytes / 2;
        memset(got, 0xff, 2 * bytes);

        swiglu_forward(y, a, b, n);
        bf16_rows(want, y, C, N, C);
        swiglu_forward_rows(got, a, b, N, C);
        assert_memory_equal(got, want, bytes);

        gelu_gate_forward(y, a, b, n);
        bf16_rows(want, y, C, N, C);
        gelu_gate_forward_rows(got, a, b, N, C);
        assert_memory_equal(got, want, bytes);

        swiglu_backward(y, z, dy, a, b, n);
        bf16_rows(want, y, C, N, C);
        bf16_rows(want2, z, C, N, C);
        swiglu_backward_rows(got, got2, dy, a, b, N, C);
        assert_memory_equal(got, want, bytes);
        assert_memory_equal(got2, want2, bytes);

        gelu_gate_backward(y, z, dy, a, b, n);
        bf16_rows(want, z, C, N, C);
        gelu_gate_backward_rows(other, got, dy, a, b, N, C);
        assert_memory_equal(got, want, bytes);
        assert_same(other, y, n);
        release();
    }
}

/* gelu_tanh written with tanh has no correct digit at -6: 1 + tanh is rounding. */
static void tails_keep_their_digits(void **state)
{
    (void)state;
    const double want = -6 / (1 + exp(2 * sqrt(2 / acos(-1)) * (6 + 0.044715 * 216)));
    real g = -6, x = 1, y;
    gelu_gate_forward(&y, &x, &g, 1);
    assert_true(fabs((double)y / want - 1) < ULPS(40));   /* e^z: the error of z, |z| = 25 */
}

static void outputs_may_be_inputs(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        real *z = noise(MANY, 1), *x = noise(MANY, 2), *dy = noise(MANY, 3), *y = zeros(MANY);
        real *dz = zeros(MANY), *dx = zeros(MANY), *a = copy(z, MANY), *b = copy(x, MANY);
        gates[k].forward(y, z, x, MANY);
        gates[k].backward(dz, dx, dy, z, x, MANY);
        gates[k].forward(a, a, b, MANY);
        assert_same(a, y, MANY);
        memcpy(a, z, MANY * sizeof *a);
        gates[k].backward(a, b, dy, a, b, MANY);           /* over a and b */
        assert_same(a, dz, MANY);
        assert_same(b, dx, MANY);
        memcpy(a, z, MANY * sizeof *a);
        gates[k].backward(dy, a, dy, a, x, MANY);          /* over dy and a */
        assert_same(dy, dz, MANY);
        assert_same(a, dx, MANY);
        release();
    }
}

/* The same element has the same value wherever it stands in a loop. */
static void place_changes_no_bit(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        real *z = noise(67, 1), *x = noise(67, 2), *dy = noise(67, 3), *y = zeros(67), one;
        real *dz = zeros(67), *dx = zeros(67), one_dz, one_dx;
        gates[k].forward(y, z, x, 67);
        gates[k].backward(dz, dx, dy, z, x, 67);
        for (int i = 0; i < 67; i++) {
            gates[k].forward(&one, z + i, x + i, 1);
            gates[k].backward(&one_dz, &one_dx, dy + i, z + i, x + i, 1);
            assert_same(&one, y + i, 1);
            assert_same(&one_dz, dz + i, 1);
            assert_same(&one_dx, dx + i, 1);
        }
        release();
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    real *z = noise(MANY, 1), *x = noise(MANY, 2), *dy = noise(MANY, 3), *out[4];
    for (int t = 1; t <= 3; t++) {
        real *y = out[t] = zeros(7 * MANY);
        omp_set_num_threads(t);
        for (int k = 0; k < 2; k++, y += 3 * MANY) {
            gates[k].forward(y, z, x, MANY);
            gates[k].backward(y + MANY, y + 2 * MANY, dy, z, x, MANY);
        }
        memcpy(y, x, MANY * sizeof *y);
        vec_add(y, z, MANY);
        for (int i = 0; i < MANY; i++) assert_true(y[i] == x[i] + z[i]);
    }
    assert_same(out[1], out[2], 7 * MANY);
    assert_same(out[1], out[3], 7 * MANY);
    release();
}

/* Alone, SiLU is the gate of ones, bit by bit; in place, too. */
static void silu_is_a_gate_of_ones(void **state)
{
    (void)state;
    enum { n = 5003 };
    real *a = noise(n, 1), *dy = noise(n, 2), *ones = zeros(n), *y = zeros(n), *want = zeros(n);
    real *da = zeros(n), *db = zeros(n);
    for (int i = 0; i < n; i++) ones[i] = 1;
    swiglu_forward(want, a, ones, n);
    silu_forward(y, a, n);
    assert_same(y, want, n);
    swiglu_backward(da, db, dy, a, ones, n);
    silu_backward(dy, dy, a, n);
    assert_same(dy, da, n);
    assert_other(y, dy, n);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silu_is_a_gate_of_ones),
        cmocka_unit_test(values_and_gradients),
        cmocka_unit_test(rows_are_rounded), cmocka_unit_test(tails_keep_their_digits),
        cmocka_unit_test(outputs_may_be_inputs),
        cmocka_unit_test(place_changes_no_bit),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
