/* SPDX-License-Identifier: Apache-2.0 */
/* Theorem 1 of the paper (arXiv 2407.04620): TTT with a linear inner model, batch gradient
 * descent, eta = 1/2 and W0 = 0 is linear attention.  Its loss has no factor 1/2, ours has, so that
 * eta is 1 here: inner_lr = F, since a step is divided by the head width. */
#include "tests/unit/numeric.h"

#include "src/kernels/gemm.h"
#include "src/layers/layer.h"

enum { T = 29, C = 24, H = 2, F = C / H, WEIGHTS = 4 };
#define THEOREM (WITHOUT_NORM | WITHOUT_RESIDUAL | WITHOUT_BIAS | WITHOUT_INIT | WITHOUT_GATE | \
                 WITHOUT_TOKEN_IDX | WITHOUT_MEAN)

static struct dims dims_of(int without)
{
    return (struct dims){ .layer = "ttt_linear", .V = 2, .L = 1, .C = C, .H = H, .E = 2, .K = T,
                          .conv_width = 4, .rope_theta = 100, .rms_eps = 1e-6, .ln_eps = 1e-6,
                          .init_std = 0.5, .inner_lr = F, .without = without };
}

/* Parameter `name` of the layer as doubles. */
static double *weight(const struct param_table *t, const real *w, const char *name)
{
    const int k = param_find(t, name);
    assert_true(k >= 0);
    return widen(w + t->p[k].offset, t->p[k].n);
}

/* y (T,C) = h W'. */
static double *project(const double *h, const double *W)
{
    double *y = hold(T * C, sizeof *y);
    for (int t = 0; t < T; t++)
        for (int c = 0; c < C; c++)
            for (int k = 0; k < C; k++) y[t * C + c] += h[t * C + k] * W[c * C + k];
    return y;
}

/* Pairs (2i, 2i+1) of every head transposed by position times theta^(-2i/F). */
static void rotate(double *x, double theta)
{
    for (int t = 0; t < T; t++)
        for (int i = 0; i < C; i += 2) {
            const double a = t * pow(theta, -(double)(i % F) / F), p = x[t * C + i],
                         q = x[t * C + i + 1];
            x[t * C + i] = p * cos(a) - q * sin(a);
            x[t * C + i + 1] = p * sin(a) + q * cos(a);
        }
}

/* o_i = sum over j <= i of (q_i . k_j) v_j, head by head. */
static double *attend(const double *q, const double *k, const double *v)
{
    double *o = hold(T * C, sizeof *o);
    for (int h = 0; h < H; h++)
        for (int i = 0; i < T; i++)
            for (int j = 0; j <= i; j++) {
                double s = 0;
                for (int f = h * F; f < (h + 1) * F; f++) s += q[i * C + f] * k[j * C + f];
                for (int f = h * F; f < (h + 1) * F; f++) o[i * C + f] += s * v[j * C + f];
            }
    return o;
}

static void normalise(double *x, const double *gamma, const double *beta)
{
    for (int t = 0; t < T; t++) {
        double mean = 0, var = 0, *x_t = x + t * C;
        for (int c = 0; c < C; c++) mean += x_t[c] / C;
        for (int c = 0; c < C; c++) var += (x_t[c] - mean) * (x_t[c] - mean) / C;
        for (int c = 0; c < C; c++)
            x_t[c] = gamma[c] * (x_t[c] - mean) / sqrt(var + 1e-6) + beta[c];
    }
}

static void lay_out(const struct layer *layer, struct arena *a, struct layer_call *c)
{
    struct layout l = { .a = a, .v = c->v, .lives = LIFE_TAPE | LIFE_IN | LIFE_SCRATCH,
                        .room = LAYER_ARRAYS, .groups = c->d->H, .who = layer->name };
    arena_reset(a, 0);
    layer->arrays(&l, c);
}

/* The layer's output (T,C), read in slices of at most `slice` tokens: its parts without a block. */
static real *layer_output(const struct dims *d, const struct param_table *t, const real *w,
                          real *h, int slice)
{
    const struct layer *layer = layers_find(d->layer);
    real *v[LAYER_ARRAYS] = { NULL };
    struct layer_call c = { .d = d, .t = t, .w = w, .B = 1, .T = slice, .v = v,
                            .inner_lr = d->inner_lr };
    real *carry = zeros(layer->carry_reals(d)), *y = zeros(T * C);
    struct arena a;

    arena_plan(&a);
    lay_out(layer, &a, &c);
    arena_init(&a, a.peak, "test");
    layer->carry_start(&c, carry);
    for (int at = 0; at < T; at += slice) {
        c.pos = at;
        c.T = T - at < slice ? T - at : slice;
        lay_out(layer, &a, &c);
        v[A_H] = h + at * C;
        v[A_Y] = y + at * C;
        const struct head_share all = layer_all_heads(layer, &c);
        layer->project(&c);
        layer->mix(&c, carry);
        layer->inner(&c, &all, carry);
        layer->finish(&c);
    }
    arena_done(&a);
    return y;
}

static void ttt_is_linear_attention(void **state)
{
    (void)state;
    static const int slices[] = { T, 1, 5 };  /* at once, and with the primal form */
    struct dims d = dims_of(THEOREM);
    struct param_table t = { 0 };
    real *h = noise(T * C, 7);

    layers_find(d.layer)->params(&t, &d, "");
    assert_int_equal(t.count, WEIGHTS + 2);  /* Wq, Wk, Wv, Wo and the norm after the heads */
    real *w = zeros(t.total);
    param_init(w, &t, 3);

    double *x = widen(h, T * C);
    double *q = project(x, weight(&t, w, "seq_modeling_block.q_proj.weight"));
    double *k = project(x, weight(&t, w, "seq_modeling_block.k_proj.weight"));
    double *v = project(x, weight(&t, w, "seq_modeling_block.v_proj.weight"));
    rotate(q, d.rope_theta);
    rotate(k, d.rope_theta);
    double *o = attend(q, k, v);
    normalise(o, weight(&t, w, "seq_modeling_block.post_norm.weight"),
              weight(&t, w, "seq_modeling_block.post_norm.bias"));
    const double *want = project(o, weight(&t, w, "seq_modeling_block.o_proj.weight"));

    for (int i = 0; i < 3; i++)
        assert_close(layer_output(&d, &t, w, h, slices[i]), want, T * C, ULPS(2000));

    d.K = T - 1;  /* two mini-batches are not batch gradient descent, and this is seen */
    const real *other = layer_output(&d, &t, w, h, T);
    double most = 0;
    for (int i = (T - 1) * C; i < T * C; i++)
        most = fmax(most, fabs((double)other[i] - want[i]));
    assert_true(most > 1e-3);
    param_done(&t);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(ttt_is_linear_attention) };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
