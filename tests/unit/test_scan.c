/* SPDX-License-Identifier: Apache-2.0 */
/* The selective scan against the formulas written down in double, its gradient against the slopes
 * of those; cut anywhere, on any number of threads, the same bits. */
#include "tests/unit/numeric.h"

#include "src/kernels/scan.h"

/* More than a group and a strip, and a remainder of each. */
enum { B = 2, T = 70, C = 67, N = 5, LD = 13, STRIDE = N * C + 3 };

/* What a scan reads, in one array of doubles: a slope is taken of any of them. */
enum { U, RAW, Z, BN, CN, BIAS, SKIP, A_LOG, H, PARTS };
static const int64_t size[PARTS] = { B * T * C, B * T * C, B * T * C, B * T * LD, B * T * LD, C, C,
                                     C * N, B * STRIDE };

struct problem { double *x[PARTS], *wy, *wh; };

static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* y, h_out (NULL: not wanted) of the plain recurrence; returns <wy, y> + <wh, h_out>. */
static double plain(const struct problem *p, double *y, double *h_out)
{
    double sum = 0;
    for (int b = 0; b < B; b++)
        for (int c = 0; c < C; c++) {
            double h[N];
            for (int n = 0; n < N; n++) h[n] = p->x[H][b * STRIDE + n * C + c];
            for (int t = 0; t < T; t++) {
                const int row = b * T + t, i = row * C + c;
                const double delta = softplus(p->x[RAW][i] + p->x[BIAS][c]), z = p->x[Z][i];
                double s = p->x[SKIP][c] * p->x[U][i];
                for (int n = 0; n < N; n++) {
                    const double A = -exp(p->x[A_LOG][c * N + n]);
                    h[n] = exp(delta * A) * h[n] + delta * p->x[U][i] * p->x[BN][row * LD + n];
                    s += p->x[CN][row * LD + n] * h[n];
                }
                s *= z * sigmoid(z);
                if (y) y[i] = s;
                sum += p->wy[i] * s;
            }
            for (int n = 0; n < N; n++) {
                if (h_out) h_out[b * STRIDE + n * C + c] = h[n];
                sum += p->wh[b * STRIDE + n * C + c] * h[n];
            }
        }
    return sum;
}

static double loss(void *ctx) { return plain(ctx, NULL, NULL); }

/* The same numbers as reals; doubles are what the reals are. */
static struct scan reals_of(struct problem *p, real **h, real **dy, real **dh)
{
    real *r[PARTS];
    for (int i = 0; i < PARTS; i++) {
        r[i] = noise(size[i], 10 + (uint64_t)i);
        for (int64_t k = 0; k < size[i]; k++) {
            if (i == RAW) r[i][k] -= 2;
            if (i == A_LOG) r[i][k] += 1;
        }
        p->x[i] = widen(r[i], size[i]);
    }
    *dy = noise(size[U], 30);
    *dh = noise(size[H], 31);
    p->wy = widen(*dy, size[U]);
    p->wh = widen(*dh, size[H]);
    *h = r[H];
    const int threads = omp_get_max_threads();
    return (struct scan){
        .B = B, .T = T, .C = C, .N = N, .ld = LD, .u = r[U], .raw = r[RAW], .z = r[Z], .Bn = r[BN],
        .Cn = r[CN], .bias = r[BIAS], .D = r[SKIP], .A_log = r[A_LOG],
        .kept = zeros((int64_t)B * scan_groups(T) * N * C),
        .scratch = zeros(scan_scratch(B, T, C, N, threads, 1)),
    };
}

static void forward_is_the_recurrence(void **state)
{
    (void)state;
    struct problem p;
    real *h, *dy, *dh, *y = zeros(size[U]);
    const struct scan s = reals_of(&p, &h, &dy, &dh);
    double *want = hold(size[U], sizeof *want), *last = widen(h, size[H]);

    plain(&p, want, last);
    scan_forward(y, h, STRIDE, &s);
    assert_close(y, want, size[U], ULPS(64));
    assert_close(h, last, size[H], ULPS(64));
    p.x[A_LOG][3] += 0.01;                      /* the comparison can fail */
    plain(&p, want, last);
    assert_false(is_close(y, want, size[U], ULPS(64)));
    release();
}

static void gradients_are_slopes(void **state)
{
    (void)state;
    struct problem p;
    real *h, *dy, *dh, *y = zeros(size[U]);
    const struct scan s = reals_of(&p, &h, &dy, &dh);
    real *got[PARTS];
    for (int i = 0; i < H; i++) got[i] = zeros(i >= BIAS ? B * size[i] : size[i]);
    got[H] = dh;
    const struct scan_grad g = { .dy = dy, .du = got[U], .draw = got[RAW], .dz = got[Z],
                                 .dB = got[BN], .dC = got[CN], .dbias = got[BIAS],
                                 .dD = got[SKIP], .dA_log = got[A_LOG] };

    scan_forward(y, h, STRIDE, &s);
    scan_backward(&g, dh, STRIDE, &s);
    for (int i = BIAS; i < H; i++)               /* those of sequences add up */
        for (int64_t k = 0; k < size[i]; k++) got[i][k] += got[i][size[i] + k];
    for (int i = 0; i < PARTS; i++) {
        const int64_t step = i < BN ? 97 : i == H ? 41 : i < BIAS ? 37 : 7;
        for (int64_t k = 0; k < size[i]; k += step) {
            if (i == H && k % STRIDE >= N * C) continue;
            if ((i == BN || i == CN) && k % LD >= N) continue;
            const double want = slope(loss, &p, &p.x[i][k]);
            const double off = fabs((double)got[i][k] - want) / (1 + fabs(want));
            if (!(off < (sizeof(real) == 8 ? 1e-8 : 2e-4)))
                print_error("part %d, element %lld: %.12g, slope %.12g\n", i, (long long)k,
                            (double)got[i][k], want);
            assert_true(off < (sizeof(real) == 8 ? 1e-8 : 2e-4));
        }
    }
    release();
}

/* All outputs of a scan, forward and backward, in one array. */
static real *everything(int64_t *count)
{
    struct problem p;
    real *h, *dy, *dh;
    const struct scan s = reals_of(&p, &h, &dy, &dh);
    const int64_t TC = size[U], n = 4 * TC + 2 * size[BN] + B * (2 * C + C * N) + 2 * size[H];
    real *all = zeros(n), *at = all + TC;
    struct scan_grad g = { .dy = dy };

    g.du = at, g.draw = (at += TC), g.dz = (at += TC), g.dB = (at += TC);
    g.dC = (at += size[BN]), g.dbias = (at += size[BN]), g.dD = (at += B * C);
    g.dA_log = (at += B * C), at += B * C * N;
    scan_forward(all, h, STRIDE, &s);
    scan_backward(&g, dh, STRIDE, &s);
    memcpy(at, h, (size_t)size[H] * sizeof *h);
    memcpy(at + size[H], dh, (size_t)size[H] * sizeof *dh);
    *count = n;
    return all;
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    const int before = omp_get_max_threads();
    int64_t n;

    omp_set_num_threads(1);
    const real *one = everything(&n);
    omp_set_num_threads(3);
    const real *three = everything(&n);
    omp_set_num_threads(before);
    assert_same(one, three, n);
    release();
}

/* Sequence b from t0 on: y and the state are those of the whole. */
static void cut_anywhere(void **state)
{
    (void)state;
    static const int cuts[] = { 0, 1, 7, 32, 33, 69, T };
    struct problem p;
    real *h, *dy, *dh, *whole = zeros(size[U]), *cut = zeros(size[U]);
    struct scan s = reals_of(&p, &h, &dy, &dh);
    real *h2 = copy(h, size[H]), *h3 = copy(h, size[H]);

    scan_forward(whole, h, STRIDE, &s);
    s.kept = NULL;
    for (int wrong = 0; wrong < 2; wrong++) {
        real *now = wrong ? h3 : h2;
        for (int b = 0; b < B; b++)
            for (int i = 0; cuts[i] < T; i++) {
                const int64_t row = b * T + cuts[i];
                struct scan part = s;
                part.B = 1;
                part.T = cuts[i + 1] - cuts[i];
                part.u += row * C, part.raw += row * C, part.z += row * C;
                part.Bn += row * LD, part.Cn += row * LD;
                scan_forward(cut + row * C, now + b * STRIDE, 0, &part);
                if (wrong) now[b * STRIDE] = 0;   /* a lost carry is noticed */
            }
        if (wrong) assert_other(whole, cut, size[U]);
        else assert_same(whole, cut, size[U]);
        if (!wrong) assert_same(h, h2, size[H]);
    }
    release();
}

/* A sequence in two parts: the second's map takes the state between them to the one behind, and
 * the gradient behind to the one between; maps of both compose to that of the whole. */
static void maps_take_states_over_slices(void **state)
{
    (void)state;
    enum { CUT = 29, NC = N * C };
    struct problem p;
    real *h, *dy, *dh, *y = zeros(size[U]);
    struct scan part[2], whole = reals_of(&p, &h, &dy, &dh);
    real *map[3], *back = zeros(2 * NC), *grads = zeros(8 * size[U]);
    for (int i = 0; i < 3; i++) map[i] = zeros(2 * NC);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < NC; k++) map[i][k] = back[k] = 1;

    whole.B = 1;
    part[0] = part[1] = whole;
    part[0].T = CUT;
    part[1].T = T - CUT;
    part[1].u += CUT * C, part[1].raw += CUT * C, part[1].z += CUT * C;
    part[1].Bn += CUT * LD, part[1].Cn += CUT * LD;
    for (int i = 0; i < 2; i++) {
        scan_compose(&(struct scan_map){ map[i], map[i] + NC, 0 }, &part[i]);
        scan_compose(&(struct scan_map){ map[2], map[2] + NC, 0 }, &part[i]);
    }
    double *want = widen(h, NC), *all = widen(h, NC);
    scan_forward(y, h, 0, &whole);
    for (int k = 0; k < NC; k++) {
        want[k] = (double)map[0][k] * want[k] + (double)map[0][NC + k];
        want[k] = (double)map[1][k] * want[k] + (double)map[1][NC + k];
        all[k] = (double)map[2][k] * all[k] + (double)map[2][NC + k];
    }
    assert_close(h, want, NC, ULPS(64));
    assert_close(h, all, NC, ULPS(64));

    double *dwant = widen(dh, NC);
    const struct scan_map to = { back, back + NC, 0 };
    scan_compose_backward(&to, dy + CUT * C, &part[1]);
    scan_compose_backward(&to, dy, &part[0]);
    for (int k = 0; k < NC; k++) dwant[k] = (double)back[k] * dwant[k] + (double)back[NC + k];
    real *at[8];
    for (int i = 0; i < 8; i++) at[i] = grads + i * size[U];
    const struct scan_grad g = { dy, at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7] };
    scan_backward(&g, dh, 0, &whole);
    assert_close(dh, dwant, NC, ULPS(64));
    dwant[0] += 0.01;                            /* the comparison can fail */
    assert_false(is_close(dh, dwant, NC, ULPS(64)));
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_recurrence), cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(threads_change_no_bit),     cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(maps_take_states_over_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
