/* The inner loop: small products against plain C, the dual form against the
 * primal one and against its definition. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/kernels/inner_gelu.h"
#include "src/kernels/smm.h"
#include "src/kernels/ttt_linear.h"
#include "src/kernels/ttt_mlp.h"

static real *noise(int64_t n, uint64_t seed, double scale)
{
    real *x = mem_new(n, sizeof *x, "test");
    const uint64_t key = rng_key(seed, "noise");
    for (int64_t i = 0; i < n; i++) x[i] = (real)(scale * rng_normal(key, (uint64_t)i));
    return x;
}

static void small_products_match_plain_c(void **state)
{
    (void)state;
    static const int shapes[][3] = { { 16, 64, 64 }, { 64, 64, 16 }, { 16, 16, 64 }, { 1, 6, 6 },
                                     { 13, 96, 96 }, { 7, 67, 3 }, { 64, 16, 64 }, { 3, 1, 5 } };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int add = 0; add < 2; add++) {
            const int M = shapes[s][0], N = shapes[s][1], K = shapes[s][2];
            real *A = noise(M * K, 1, 1), *B = noise(K * N, 2, 1), *T = noise(M * K, 4, 1);
            real *C = noise(M * N, 3, 1), *R = noise(M * N, 3, 1), *y = noise(N, 5, 1);
            smm(C, A, B, M, N, K, add);
            smm_ref(R, A, B, M, N, K, add);
            for (int i = 0; i < M * N; i++)
                assert_true(fabs((double)(C[i] - R[i])) < 20 * REAL_EPS * sqrt(K) * 4);
            smm_row(y, A, B, N, K, 0);
            smm_ref(R, A, B, M, N, K, 0);
            for (int i = 0; i < N; i++)
                assert_true(fabs((double)(y[i] - R[i])) < 20 * REAL_EPS * sqrt(K) * 4);
            smm_transpose(T, A, M, K);
            for (int i = 0; i < M; i++)
                for (int k = 0; k < K; k++) assert_true(T[k * M + i] == A[i * K + k]);
            real *D = noise(M * N, 3, 1), *U = noise(M * K, 6, 1), *V = noise(M * K, 6, 1);
            smm_ref(R, A, B, M, N, K, 0);
            smm_tn_from(C, D, T, B, M, N, K);
            for (int i = 0; i < M * N; i++)
                assert_true(fabs((double)(C[i] - D[i] - R[i])) < 20 * REAL_EPS * sqrt(K) * 4);
            smm_tn(D, T, B, M, N, K, 1);
            for (int i = 0; i < M * N; i++)
                assert_true(fabs((double)(C[i] - D[i])) < 20 * REAL_EPS * sqrt(K) * 4);
            smm_tn(C, T, B, M, N, K, 0);
            for (int i = 0; i < M * N; i++)
                assert_true(fabs((double)(C[i] - R[i])) < 20 * REAL_EPS * sqrt(K) * 4);
            smm_transpose_add(U, A, M, K);
            for (int i = 0; i < M * K; i++) assert_true(U[i] == V[i] + T[i]);
            smm_transpose_times(U, A, V, M, K);
            smm_transpose_times(V, A, V, M, K);
            for (int i = 0; i < M * K; i++) assert_true(U[i] == V[i]);
            smm_transpose_add(U, A, M, K);
            assert_memory_not_equal(U, V, (size_t)(M * K) * sizeof *U);
            mem_free(D); mem_free(U); mem_free(V);
            mem_free(A); mem_free(B); mem_free(C); mem_free(R); mem_free(T); mem_free(y);
        }
}

/* [E18], [E19] and what is derived from them, with 1 - tanh^2 = 1 / cosh^2, which keeps its
 * digits. */
static void gelu_is_its_definition(void **state)
{
    (void)state;
    enum { N = 4001 };
    const double root = 0.79788456080286535588, a = 0.79788456, c = 0.044715, d = 0.1070322243;
    real *x = mem_new(N, sizeof *x, "test"), *got = mem_new(7 * N, sizeof *got, "test");
    real *y = got, *y1 = y + N, *y2 = y1 + N, *d1 = y2 + N, *d2 = d1 + N, *f = d2 + N, *df = f + N;
    for (int i = 0; i < N; i++) x[i] = (real)((i - N / 2) * 0.006);
    x[0] = -1000;
    x[N - 1] = 1000;
    inner_gelu(y, x, N);
    inner_gelu_way_back(y1, d1, x, N);
    inner_gelu_slope(y2, f, x, N);
    assert_memory_equal(y, y1, N * sizeof *y);
    assert_memory_equal(y, y2, N * sizeof *y);
    inner_gelu_slope_way_back(y, d2, f, df, x, N);
    assert_memory_equal(y, y1, N * sizeof *y);
    assert_memory_equal(d1, d2, N * sizeof *y);
    for (int i = 0; i < N; i++) {
        const double z = (double)x[i], off = 6 * REAL_EPS, zz = z * z;
        const double u = root * z * (1 + c * zz), v = a * z * (1 + c * zz);
        const double s = 1 / (1 + exp(-2 * u)), w = 1 / (1 + exp(-2 * v));
        const double p = pow(cosh(u), -2), r = pow(cosh(v), -2);
        const double q = a + d * zz, dv = a * (1 + 3 * c * zz);
        assert_true(fabs((double)y[i] - z * s) < off * (fabs(z) + 1));
        assert_true(fabs((double)d1[i] - z * p * root * (1 + 3 * c * zz) / 2 - s) < off);
        assert_true(fabs((double)f[i] - z * r * q / 2 - w) < off);
        const double slope = r * (q + dv) / 2 + z * r * (d * z - tanh(v) * dv * q);
        assert_true(fabs((double)df[i] - slope) < off);
    }
    mem_free(x);
    mem_free(got);
}

/* A mini-batch of random data. */
struct batch { real *Q, *X, *V, *lr, *tok, *gamma, *beta, *state, *work; struct inner_in in; };

#define ALL_PARTS (WITHOUT_NORM | WITHOUT_RESIDUAL | WITHOUT_BIAS)

static struct batch batch_new(const struct inner *f, int r, int F)
{
    struct batch b = { .Q = noise(r * F, 1, 1), .X = noise(r * F, 2, 1), .V = noise(r * F, 3, 1),
                       .lr = noise(r, 4, 0.02), .tok = noise(r, 5, 0.3), .gamma = noise(F, 6, 0.2),
                       .beta = noise(F, 7, 0.2),
                       .state = noise(f->state_reals(F), 8, 0.2),
                       .work = noise(f->work_reals(r, F), 9, 1) };
    for (int i = 0; i < F; i++) b.gamma[i] += 1;
    for (int i = 0; i < r; i++) b.tok[i] += 1;
    b.in = (struct inner_in){ .Q = b.Q, .X = b.X, .V = b.V, .lr = b.lr, .tok = b.tok,
                              .gamma = b.gamma, .beta = b.beta, .r = r, .F = F,
                              .eps = (real)1e-6 };
    return b;
}

static void batch_free(struct batch *b)
{
    real *all[] = { b->Q, b->X, b->V, b->lr, b->tok, b->gamma, b->beta, b->state, b->work };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

static void check_dual(const struct inner *model, int without)
{
    static const int shapes[][2] = { { 16, 64 }, { 1, 8 }, { 5, 6 }, { 33, 18 } };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int complete = 0; complete < 2; complete++) {
            const int r = shapes[s][0], F = shapes[s][1];
            const int64_t S = model->state_reals(F);
            struct batch b = batch_new(model, r, F);
            b.in.without = without;
            real *W = noise(S, 8, 0.2), *G = mem_new(S, sizeof *G, "test");
            real *H = noise(S, 9, 1), *O = noise(r * F, 9, 1), *o = noise(F, 9, 1);
            double worst = 0, most = 1;  /* only a norm keeps numbers near 1 */
            model->forward(O, complete ? b.state : NULL, complete ? NULL : H, b.state, &b.in, NULL,
                           b.work, NULL);
            for (int i = 0; i < r; i++) {
                struct inner_in one = b.in;
                one.Q += i * F;
                one.X += i * F;
                one.V += i * F;
                one.lr += i;
                one.tok += i;
                one.r = 1;
                model->step(o, W, G, &one, complete && i == r - 1, b.work);
                for (int f = 0; f < F; f++) {
                    worst = fmax(worst, fabs((double)(o[f] - O[i * F + f])));
                    most = fmax(most, fabs((double)o[f]));
                }
            }
            for (int64_t i = 0; i < S; i++)
                worst = fmax(worst, fabs((double)(complete ? W[i] - b.state[i] : G[i] - H[i])));
            assert_true(worst < 400 * REAL_EPS * (without & WITHOUT_NORM ? most : 1));
            mem_free(W); mem_free(G); mem_free(H); mem_free(O); mem_free(o);
            batch_free(&b);
        }
}

static void dual_is_primal(void **state)
{
    (void)state;
    for (int without = 0; without <= ALL_PARTS; without++) {
        check_dual(&inner_linear, without);
        check_dual(&inner_mlp, without);
    }
}

/* Backward's replay of a mini-batch leaves the state that forward left, wherever that was put, and
 * it is another one than before. */
static void check_replay(const struct inner *model, int r, int F)
{
    struct batch b = batch_new(model, r, F);
    const int64_t S = model->state_reals(F);
    const size_t bytes = (size_t)S * sizeof(real);
    real *kept = mem_new(model->kept_reals(r, F), sizeof *kept, "test"), *O = noise(r * F, 9, 1);
    real *saved = mem_new(model->saved_reals(r, F), sizeof *saved, "test");
    real *next = noise(S, 9, 1), *again = noise(S, 10, 1);

    model->forward(O, next, NULL, b.state, &b.in, kept, b.work, NULL);
    assert_memory_not_equal(next, b.state, bytes);
    model->replay(saved, again, b.state, kept, &b.in, b.work);
    assert_memory_equal(again, next, bytes);
    model->replay(saved, NULL, b.state, kept, &b.in, b.work);
    model->forward(O, b.state, NULL, b.state, &b.in, NULL, b.work, NULL);
    assert_memory_equal(b.state, next, bytes);
    mem_free(kept); mem_free(O); mem_free(saved); mem_free(next); mem_free(again);
    batch_free(&b);
}

static void replay_is_forward(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct inner *model = i ? &inner_mlp : &inner_linear;
        check_replay(model, 16, 64);
        check_replay(model, 5, 18);
    }
}

#ifdef TTT_F64
/* 1/2 |LN(x W + b) - (v - x)|^2 of row j, written out. */
static double row_loss(const struct inner_in *in, const real *state, int j)
{
    const int F = in->F, norm = !(in->without & WITHOUT_NORM);
    double z[64], mean = 0, var = 0, loss = 0;
    for (int f = 0; f < F; f++) {
        z[f] = in->without & WITHOUT_BIAS ? 0 : state[F * F + f];
        for (int k = 0; k < F; k++) z[f] += in->X[j * F + k] * state[k * F + f];
        mean += z[f] / F;
    }
    for (int f = 0; f < F; f++) var += (z[f] - mean) * (z[f] - mean) / F;
    for (int f = 0; f < F; f++) {
        const double x = in->without & WITHOUT_RESIDUAL ? 0 : in->X[j * F + f];
        const double y = in->gamma[f] * (z[f] - mean) / sqrt(var + in->eps) + in->beta[f];
        const double e = (norm ? y : z[f]) - (in->V[j * F + f] - x);
        loss += 0.5 * e * e;
    }
    return loss;
}

/* The state after a mini-batch is W - tok sum_j lr_j dloss_j/dW, the gradient
 * taken by differences. */
static void check_step(int without)
{
    enum { R = 5, F = 6 };
    const double h = 1e-6;
    struct batch b = batch_new(&inner_linear, R, F);
    b.in.without = without;
    const int64_t S = inner_linear.state_reals(F);
    real *W = noise(S, 8, 0.2), *O = noise(R * F, 9, 1);
    double loss, sum = 0;
    inner_linear.forward(O, b.state, NULL, b.state, &b.in, NULL, b.work, &loss);
    for (int j = 0; j < R; j++) sum += row_loss(&b.in, W, j);
    assert_true(fabs(sum - loss) < 1e-12 * sum);
    assert_true(fabs(inner_linear.loss(W, &b.in, b.work) - loss) < 1e-12 * sum);
    for (int64_t i = 0; i < S; i++) {
        double step = 0;
        const real keep = W[i];
        for (int j = 0; j < R; j++) {
            W[i] = keep + h;
            const double plus = row_loss(&b.in, W, j);
            W[i] = keep - h;
            step += b.tok[R - 1] * b.lr[j] * (plus - row_loss(&b.in, W, j)) / (2 * h);
            W[i] = keep;
        }
        assert_true(fabs(W[i] - step - b.state[i]) < 1e-9);
    }
    mem_free(W);
    mem_free(O);
    batch_free(&b);
}

static void the_step_descends_the_inner_loss(void **state)
{
    (void)state;
    for (int without = 0; without <= ALL_PARTS; without++) check_step(without);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_products_match_plain_c),
        cmocka_unit_test(gelu_is_its_definition),
        cmocka_unit_test(dual_is_primal),
        cmocka_unit_test(replay_is_forward),
#ifdef TTT_F64
        cmocka_unit_test(the_step_descends_the_inner_loss),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
