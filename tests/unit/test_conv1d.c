/* SPDX-License-Identifier: Apache-2.0 */
/* test_conv1d.c -- plain sums, adjoints, and sequences cut anywhere. */
#include "tests/unit/numeric.h"

#include "src/kernels/conv1d.h"

static const struct { int T, C, W; } shapes[] = {
    { 1, 1, 1 }, { 7, 67, 1 }, { 1, 7, 4 }, { 2, 3, 4 }, { 67, 131, 4 }, { 35, 16, 2 },
    { 3, 5, 7 }, { 40, 129, 16 }, { 530, 3, 4 }, { 300, 7, 3 },
};
#define SHAPES (sizeof shapes / sizeof *shapes)

/* Element c of row t of halo and x. */
static double input(const real *x, const real *halo, int t, int c, int C, int W)
{
    return (double)(t < 0 ? halo[(t + W - 1) * C + c] : x[t * C + c]);
}

static void agrees_with_plain_sums(int T, int C, int W)
{
    real *x = noise(T * C, 1), *halo = noise((W - 1) * C, 2), *w = noise(C * W, 3);
    real *b = noise(C, 4), *dy = noise(T * C, 5), *y = noise(T * C, 6), *dx = noise(T * C, 7);
    real *dhalo = noise((W - 1) * C, 8), *dw = noise(C * W, 9), *db = noise(C, 10);
    double *want_y = widen(y, T * C), *want_dx = widen(zeros(T * C), T * C);
    double *want_dhalo = widen(zeros((W - 1) * C), (W - 1) * C);
    double *want_dw = widen(dw, C * W), *want_db = widen(db, C);

    for (int t = 0; t < T; t++) {
        for (int c = 0; c < C; c++) {
            const double d = (double)dy[t * C + c];
            want_y[t * C + c] = (double)b[c];
            want_db[c] += d;
            for (int k = 0; k < W; k++) {
                const int i = t - W + 1 + k;
                const double w_ck = (double)w[c * W + k];
                want_y[t * C + c] += w_ck * input(x, halo, i, c, C, W);
                want_dw[c * W + k] += d * input(x, halo, i, c, C, W);
                *(i < 0 ? &want_dhalo[(i + W - 1) * C + c] : &want_dx[i * C + c]) += d * w_ck;
            }
        }
    }
    const struct conv1d s = { T, C, W, x, halo, w, b };
    conv1d_forward(y, &s);
    conv1d_backward(&(struct conv1d_grad){ dx, dhalo, dw, db }, dy, &s);
    assert_close(y, want_y, T * C, ULPS(W + 1));
    assert_close(dx, want_dx, T * C, ULPS(W + 1));
    assert_close(dhalo, want_dhalo, (W - 1) * C, ULPS(W + 1));
    assert_close(dw, want_dw, C * W, ULPS(16));
    assert_close(db, want_db, C, ULPS(16));
    release();
}

static void values_and_gradients(void **state)
{
    (void)state;
    for (size_t k = 0; k < SHAPES; k++)
        agrees_with_plain_sums(shapes[k].T, shapes[k].C, shapes[k].W);
}

/* The halo left behind is the last W-1 rows of halo and x, and its adjoint brings gradients
 * back to where the rows came from: <halo', g> = <x, x-part of g> + <halo, halo-part of g>. */
static void halo_and_its_adjoint(void **state)
{
    (void)state;
    for (size_t k = 0; k < SHAPES; k++) {
        const int T = shapes[k].T, C = shapes[k].C, W = shapes[k].W, H = (W - 1) * C;
        real *x = noise(T * C, 1), *halo = noise(H, 2), *next = copy(halo, H), *g = noise(H, 3);
        real *dx = zeros(T * C), *dhalo = zeros(H);

        conv1d_halo(next, x, T, C, W);
        for (int i = 0; i < H; i++) {
            const int t = T - (W - 1) + i / C;
            assert_true((double)next[i] == input(x, halo, t, i % C, C, W));
        }
        conv1d_halo_backward(dx, dhalo, g, T, C, W);
        assert_true(fabs(dot(next, g, H) - dot(x, dx, T * C) - dot(halo, dhalo, H)) < 1e-12);
        conv1d_halo_backward(dx, dhalo, g, T, C, W);                 /* += */
        assert_true(fabs(2 * dot(next, g, H) - dot(x, dx, T * C) - dot(halo, dhalo, H)) < 1e-12);
        release();
    }
}

/* Rows [t0, t1) of a slice, with the halo before them. */
static struct conv1d rows_of(const struct conv1d *s, const real *halo, int t0, int t1)
{
    struct conv1d part = *s;
    part.T = t1 - t0;
    part.x += t0 * s->C;
    part.halo = halo;
    return part;
}

/* Backward through slices, the last first; the halo's gradient goes to the slice before. */
static void backward_in_slices(const struct conv1d_grad *g, const real *dy,
                               const struct conv1d *all, const real *halos, const int *cut,
                               int slices)
{
    const int C = all->C, W = all->W, H = (W - 1) * C;
    real *coming = zeros(H);
    for (int i = slices - 1; i >= 0; i--) {
        const struct conv1d s = rows_of(all, halos + i * H, cut[i], cut[i + 1]);
        real *dx = g->dx + cut[i] * C;
        conv1d_backward(&(struct conv1d_grad){ dx, g->dhalo, g->dw, g->db }, dy + cut[i] * C, &s);
        conv1d_halo_backward(dx, g->dhalo, coming, s.T, C, W);
        memcpy(coming, g->dhalo, (size_t)H * sizeof *coming);
    }
}

/* Slices of 1, 2, 3, 16, 1 and 44 rows are the whole: outputs to the last bit,
 * gradients to rounding (they are sums of sums). */
static void slices_are_the_whole(void **state)
{
    (void)state;
    enum { T = 67, C = 131, W = 4, H = (W - 1) * C, SLICES = 6 };
    static const int cut[SLICES + 1] = { 0, 1, 3, 6, 22, 23, 67 };
    real *x = noise(T * C, 1), *halo = noise(H, 2), *w = noise(C * W, 3), *b = noise(C, 4);
    real *dy = noise(T * C, 5), *y = zeros(T * C), *whole = zeros(T * C);
    real *halos = zeros((SLICES + 1) * H);

    const struct conv1d all = { T, C, W, x, halo, w, b };
    conv1d_forward(whole, &all);
    memcpy(halos, halo, H * sizeof *halo);
    for (int i = 0; i < SLICES; i++) {
        real *now = halos + i * H, *next = now + H;
        const struct conv1d s = rows_of(&all, now, cut[i], cut[i + 1]);
        conv1d_forward(y + cut[i] * C, &s);
        memcpy(next, now, H * sizeof *now);
        conv1d_halo(next, s.x, s.T, C, W);
    }
    assert_same(y, whole, T * C);

    real *dx = zeros(T * C), *dhalo = zeros(H), *dw = zeros(C * W), *db = zeros(C);
    real *dx1 = zeros(T * C), *dhalo1 = zeros(H), *dw1 = zeros(C * W), *db1 = zeros(C);
    conv1d_backward(&(struct conv1d_grad){ dx, dhalo, dw, db }, dy, &all);
    backward_in_slices(&(struct conv1d_grad){ dx1, dhalo1, dw1, db1 }, dy, &all, halos, cut,
                       SLICES);
    assert_close(dx1, widen(dx, T * C), T * C, ULPS(6));
    assert_close(dhalo1, widen(dhalo, H), H, ULPS(6));
    assert_close(dw1, widen(dw, C * W), C * W, ULPS(8));
    assert_close(db1, widen(db, C), C, ULPS(8));

    const struct conv1d wrong = rows_of(&all, halo, 6, 22);          /* a wrong halo is seen */
    conv1d_forward(y + 6 * C, &wrong);
    assert_other(y, whole, T * C);
    release();
}

/* <conv(x, halo), dy> = <x, dx> + <halo, dhalo>: the bias aside it is linear. */
static void backward_is_the_adjoint(void **state)
{
    (void)state;
    for (size_t k = 0; k < SHAPES; k++) {
        const int T = shapes[k].T, C = shapes[k].C, W = shapes[k].W, H = (W - 1) * C;
        real *x = noise(T * C, 1), *halo = noise(H, 2), *w = noise(C * W, 3), *b = zeros(C);
        real *dy = noise(T * C, 5), *y = zeros(T * C), *dx = zeros(T * C), *dhalo = zeros(H);
        real *dw = zeros(C * W), *db = zeros(C);
        const struct conv1d s = { T, C, W, x, halo, w, b };
        conv1d_forward(y, &s);
        conv1d_backward(&(struct conv1d_grad){ dx, dhalo, dw, db }, dy, &s);
        const double forth = dot(y, dy, T * C), back = dot(x, dx, T * C) + dot(halo, dhalo, H);
        assert_true(fabs(forth - back) < ULPS(8) * T * C);
        assert_true(fabs(forth - dot(w, dw, C * W)) < ULPS(8) * T * C);
        release();
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    enum { T = 611, C = 131, W = 4, H = (W - 1) * C, ALL = 2 * T * C + H + C * W + C };
    real *x = noise(T * C, 1), *halo = noise(H, 2), *w = noise(C * W, 3), *b = noise(C, 4);
    real *dy = noise(T * C, 5), *out[4];
    const struct conv1d s = { T, C, W, x, halo, w, b };
    for (int t = 1; t <= 3; t++) {
        real *y = out[t] = zeros(ALL), *dx = y + T * C, *dhalo = dx + T * C, *dw = dhalo + H;
        omp_set_num_threads(t);
        conv1d_forward(y, &s);
        conv1d_backward(&(struct conv1d_grad){ dx, dhalo, dw, dw + C * W }, dy, &s);
    }
    assert_same(out[1], out[2], ALL);
    assert_same(out[1], out[3], ALL);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradients),
        cmocka_unit_test(halo_and_its_adjoint),
        cmocka_unit_test(slices_are_the_whole),
        cmocka_unit_test(backward_is_the_adjoint),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
