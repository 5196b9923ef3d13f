/* The model as a function: gradients are derivatives, slices are the whole,
 * and the way a batch is cut changes no bit. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/kernels/gemm.h"
#include "src/kernels/inner.h"
#include "src/layers/ttt.h"
#include "src/model/pass.h"
#include "tests/lib/inner_gated.h"
#include "tests/lib/inner_momentum.h"

static const char *const layer_names[] = { "ttt_linear", "ttt_mlp", "attention" };

#define EVERYTHING (2 * WITHOUT_MEAN - 1)

static struct dims tiny(int mamba)
{
    struct dims d = { .layer = "ttt_linear", .V = 37, .L = 2, .C = 12, .H = 2, .E = 10, .K = 4,
                      .conv_width = 4, .gate = mamba, .share_qk = mamba, .pre_conv = mamba,
                      .tied = mamba, .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6,
                      .init_std = 0.3, .inner_lr = 1 };
    return d;
}

static struct dims attention(int C, int H, int Hkv)
{
    struct dims d = tiny(0);
    strcpy(d.layer, "attention");
    d.C = C;
    d.H = H;
    d.Hkv = Hkv;
    d.K = 1;
    d.tied = 1;
    return d;
}

/* Heads of a width of their own: together narrower or wider than the stream. */
static struct dims headed(int C, int H, int Hkv, int F)
{
    struct dims d = attention(C, H, Hkv);
    d.F = F;
    d.qkv_bias = 1;
    d.rope_scaling = ROPE_LLAMA3;  /* of 5 pairs: 2 stay, 1 is between, 2 are divided */
    d.rope_factor = 4;
    d.rope_low = 1;
    d.rope_high = 4;
    d.rope_original = 200;
    return d;
}

/* No parameter keeps a 0 or a 1 behind which an error could hide. */
static struct model *rough_model(const struct dims *d, uint64_t seed)
{
    struct model *m;
    assert_int_equal(model_new(&m, d), 0);
    model_init(m, seed);
    for (int i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.p[i];
        const uint64_t key = rng_key(seed + 1, p->name);
        if (p->init != INIT_ZERO && p->init != INIT_ONE) continue;
        for (int64_t k = 0; k < p->n; k++)
            m->w[p->offset + k] += (real)(0.1 * rng_normal(key, (uint64_t)k));
    }
    return m;
}

static void random_tokens(int32_t *tok, int64_t n, int V, uint64_t seed)
{
    const uint64_t key = rng_key(seed, "tokens");
    for (int64_t i = 0; i < n; i++) tok[i] = (int32_t)(rng_u64(key, (uint64_t)i) % (uint64_t)V);
}

static double loss_of(struct pass *p, const int32_t *windows, int B)
{
    struct pass_sums sums = { 0 };
    pass_run(p, NULL, &sums, windows, B);
    assert_int_equal(sums.bad, 0);
    return fixed_value(sums.loss) / B;
}

static struct pass_opts opts(int context, int slice, int micro, enum remat remat)
{
    return (struct pass_opts){ .context = context, .slice_tokens = slice, .micro_batch = micro,
                               .inner_group = 2, .remat = remat, .mask_token = 1 };
}

#ifdef TTT_F64
/* Move a parameter by step times a random direction. */
static void move(struct model *m, const struct param *q, double step)
{
    const uint64_t key = rng_key(9, q->name);
    for (int64_t k = 0; k < q->n; k++)
        m->w[q->offset + k] += step * rng_normal(key, (uint64_t)k);
}

/* <grad, v> against the slope of loss(+ s v) at s = 0 for every parameter tensor, from four
 * points: good to about h^4 + 1e-16/h. */
static void check_gradients(const struct dims *d, const struct pass_opts *o)
{
    enum { B = 2 };
    const double h = 1e-5;
    int32_t windows[B * 64];
    struct model *m = rough_model(d, 3);
    struct pass *p = pass_new(m, o);
    struct pass_sums sums = { 0 };
    struct grad g;
    real *mean = mem_new(m->params.total, sizeof(real), "test");

    random_tokens(windows, B * (o->context + 1), d->V, 5);
    grad_init(&g, &m->params, REDUCE_FAST);
    grad_begin(&g, (int64_t)B * pass_units(o));
    pass_run(p, &g, &sums, windows, B);
    grad_read(&g, mean, 0, m->params.total);
    for (int i = 0; i < m->params.count; i++) {
        const struct param *q = &m->params.p[i];
        const uint64_t key = rng_key(9, q->name);
        double along = 0, norm = 0, at[4];
        for (int64_t k = 0; k < q->n; k++) {
            along += mean[q->offset + k] * rng_normal(key, (uint64_t)k);
            norm += mean[q->offset + k] * mean[q->offset + k];
        }
        move(m, q, -3 * h);
        for (int j = 0; j < 4; j++) {  /* at -2h, -h, h, 2h */
            move(m, q, j == 2 ? 2 * h : h);
            at[j] = loss_of(p, windows, B);
        }
        move(m, q, -2 * h);
        const double slope = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h);
        if (!(fabs(slope - along) < 1e-7 * (1 + sqrt(norm * (double)q->n))) || norm == 0)
            fail_msg("%s: derivative %.12g, gradient %.12g", q->name, slope, along);
    }
    grad_done(&g);
    mem_free(mean);
    pass_free(p);
    model_free(m);
}

static void check_layer(const char *layer)
{
    struct dims m = tiny(1), t = tiny(0), wide = tiny(1), one = tiny(1), bare = tiny(1);
    struct pass_opts whole = opts(16, 16, 2, REMAT_NONE), cut = opts(24, 8, 2, REMAT_BLOCK),
                     ragged = opts(22, 8, 2, REMAT_NONE), shorter = opts(3, 8, 2, REMAT_NONE);
    wide.C = 36;       /* head width 18: more than a vector and a remainder */
    wide.tied = 0;
    wide.gate = 0;
    one.K = 1;
    bare.E = 0;        /* no feed-forward */
    struct dims *const all[] = { &m, &t, &wide, &one, &bare };
    for (int i = 0; i < 5; i++) strcpy(all[i]->layer, layer);
    check_gradients(&m, &whole);
    check_gradients(&m, &cut);
    check_gradients(&m, &ragged);
    check_gradients(&m, &shorter);
    check_gradients(&t, &whole);
    check_gradients(&t, &ragged);
    check_gradients(&wide, &cut);
    check_gradients(&one, &cut);
    check_gradients(&bare, &cut);
}

static void check_attention(void)
{
    struct dims m = attention(12, 2, 0), grouped = attention(24, 4, 2), mixed = attention(12, 2, 1);
    struct dims wide = headed(14, 4, 2, 10), narrow = headed(15, 2, 1, 4);
    struct pass_opts whole = opts(16, 16, 2, REMAT_NONE), cut = opts(24, 8, 2, REMAT_BLOCK),
                     ragged = opts(22, 8, 2, REMAT_NONE), odd = opts(17, 5, 2, REMAT_BLOCK),
                     single = opts(9, 4, 2, REMAT_NONE);
    mixed.pre_conv = 1;
    grouped.tied = 0;
    check_gradients(&m, &whole);
    check_gradients(&m, &ragged);
    check_gradients(&m, &single);   /* the last unit is one token */
    check_gradients(&grouped, &cut);
    check_gradients(&grouped, &odd);
    check_gradients(&wide, &whole);
    check_gradients(&wide, &odd);
    check_gradients(&narrow, &cut);
    check_gradients(&mixed, &ragged);
    check_gradients(&mixed, &cut);
}

/* Blocks that differ: each gradient crosses layers of another kind. */
static void gradients_of_mixtures(void **state)
{
    static const char *const lists[] = { "ttt_linear, ttt_linear, ttt_linear, attention",
                                         "mamba, attention", "ttt_mlp, mamba, ttt_linear" };
    const struct pass_opts cut = opts(24, 8, 2, REMAT_BLOCK), ragged = opts(22, 8, 2, REMAT_NONE);
    (void)state;

    for (int i = 0; i < 3; i++) {
        struct dims d = tiny(i != 1);
        strcpy(d.layer, lists[i]);
        d.L = 4;
        if (i == 1) d.K = 1, d.Hkv = 1;
        if (i > 0) d.state = 3, d.expand = 2, d.dt_rank = 2;
        check_gradients(&d, &cut);
        check_gradients(&d, &ragged);
    }
}

static void gradients_are_derivatives(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) check_layer(layer_names[i]);
    check_attention();
}

/* Without each part of the TTT layer, and without all of them. */
static void gradients_of_ablations(void **state)
{
    (void)state;
    const struct pass_opts cut = opts(24, 8, 2, REMAT_BLOCK), ragged = opts(22, 8, 2, REMAT_NONE),
                           batch = opts(24, 24, 2, REMAT_NONE);
    for (int i = 0; i <= 2 * WITHOUT_MEAN; i = i ? 2 * i : 1) {
        struct dims d = tiny(i % 3 == 0), mlp = tiny(0);
        d.without = i < 2 * WITHOUT_MEAN ? i : EVERYTHING;
        mlp.without = d.without & ~WITHOUT_INIT;
        mlp.inner_lr = 0.1;  /* with 1 the loss bends too much for differences */
        strcpy(mlp.layer, "ttt_mlp");
        check_gradients(&d, &cut);
        check_gradients(&d, &ragged);
        check_gradients(&mlp, &ragged);
        d.K = 24;  /* one mini-batch: batch gradient descent */
        check_gradients(&d, &batch);
    }
}
#endif

/* hidden (T,C) of one sequence, read in slices of `slice`. */
static void read_all(const struct model *m, real *x, const int32_t *tok, int T, int slice)
{
    struct stream *s = stream_new(m, 1, slice);
    for (int t = 0; t < T; t += slice)
        stream_read(s, x + (int64_t)t * m->dims.C, tok + t, T - t < slice ? T - t : slice, NULL);
    assert_int_equal(stream_pos(s), T);
    stream_free(s);
}

/* T tokens in slices: of whole mini-batches to the bit, cut anywhere nearly. */
static void check_slices(const struct dims *d, int T)
{
    enum { MOST = 77 };
    struct model *m = rough_model(d, 3);
    const size_t n = (size_t)T * 64;
    real *whole = mem_new((int64_t)n, sizeof(real), "test");
    real *cut = mem_new((int64_t)n, sizeof(real), "test");
    int32_t tok[MOST];
    random_tokens(tok, T, d->V, 5);
    read_all(m, whole, tok, T, T);
    static const int slices[] = { 16, 32, 64 };
    for (int k = 0; k < 3; k++) {
        read_all(m, cut, tok, T, slices[k]);
        assert_memory_equal(whole, cut, n * sizeof(real));
    }
    /* Cut anywhere: the primal form takes over inside a mini-batch. */
    static const int odd[] = { 1, 3, 7, 20 };
    for (int j = 0; j < 4; j++) {
        read_all(m, cut, tok, T, odd[j]);
        double most = 1;  /* of numbers that only an inner norm keeps near 1 */
        for (size_t k = 0; k < n; k++)
            if (d->without) most = fmax(most, fabs((double)whole[k]));
        for (size_t k = 0; k < n; k++)
            assert_true(fabs((double)(whole[k] - cut[k])) < 2e3 * REAL_EPS * most);
    }
    tok[3] = (tok[3] + 1) % d->V;  /* the comparison can fail */
    read_all(m, cut, tok, T, 16);
    assert_memory_not_equal(whole, cut, n * sizeof(real));
    mem_free(whole);
    mem_free(cut);
    model_free(m);
}

static void slices_are_the_whole_bitwise(void **state)
{
    (void)state;
    enum { KINDS = 14 };
    for (int i = 0; i < 2 * KINDS; i++) {
        const int kind = i % KINDS;
        struct dims d = tiny(kind / 2 % 2);
        strcpy(d.layer, layer_names[kind % 2]);
        if (kind >= 4) d.without = kind >= 8 ? EVERYTHING : EVERYTHING & 0x55;
        if (kind % 2) d.without &= ~WITHOUT_INIT;
        if (d.without) d.inner_lr = 0.02;  /* steps that overshoot would amplify rounding */
        d.K = 16;
        d.C = 64;
        if (kind == 12) d = attention(64, 4, 2);
        if (kind == 13) d = headed(64, 3, 1, 24);
        check_slices(&d, i < KINDS ? 77 : 65);  /* a last slice of 13 tokens, or of one */
    }
}

/* Gradient sums of 5 sequences, as integers. */
static struct grad exact_grads(const struct model *m, int micro, enum remat remat, int threads,
                               struct pass_sums *sums)
{
    enum { B = 5, CONTEXT = 40 };
    int32_t windows[B * (CONTEXT + 1)];
    const struct pass_opts o = opts(CONTEXT, 16, micro, remat);
    struct grad g;

    omp_set_num_threads(threads);
    struct pass *p = pass_new(m, &o);
    random_tokens(windows, B * (CONTEXT + 1), m->dims.V, 5);
    grad_init(&g, &m->params, REDUCE_EXACT);
    grad_begin(&g, (int64_t)B * pass_units(&o));
    *sums = (struct pass_sums){ 0 };
    for (int b = 0; b < B; b += micro)
        pass_run(p, &g, sums, windows + b * (CONTEXT + 1), B - b < micro ? B - b : micro);
    pass_free(p);
    return g;
}

static struct dims batch_of(const char *layer, int without)
{
    struct dims d = tiny(1);
    strcpy(d.layer, layer);
    d.without = without;
    d.K = 8;
    return strcmp(layer, "attention") ? d : attention(12, 2, 1);
}

static void check_batches(struct dims d)
{
    struct model *m = rough_model(&d, 3);
    struct pass_sums one, other;
    struct grad g = exact_grads(m, 1, REMAT_NONE, 1, &one);
    const size_t bytes = (size_t)m->params.total * sizeof *g.fixed;
    static const struct { int micro; enum remat remat; int threads; } ways[] = {
        { 1, REMAT_NONE, 2 }, { 2, REMAT_NONE, 1 }, { 3, REMAT_BLOCK, 2 }, { 5, REMAT_NONE, 3 },
        { 1, REMAT_BLOCK, 1 },
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct grad h = exact_grads(m, ways[i].micro, ways[i].remat, ways[i].threads, &other);
        assert_memory_equal(g.fixed, h.fixed, bytes);
        assert_memory_equal(&one.loss, &other.loss, sizeof one.loss);
        grad_done(&h);
    }
    m->w[m->params.p[1].offset] += (real)1e-3;  /* the comparison can fail */
    struct grad h = exact_grads(m, 1, REMAT_NONE, 1, &other);
    assert_memory_not_equal(g.fixed, h.fixed, bytes);
    grad_done(&h);
    grad_done(&g);
    model_free(m);
    omp_set_num_threads(omp_get_num_procs());
}

static void cutting_the_batch_changes_no_bit(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) check_batches(batch_of(layer_names[i], 0));
    check_batches(headed(12, 4, 2, 10));
    check_batches(batch_of("ttt_linear", EVERYTHING));
    check_batches(batch_of("ttt_mlp", WITHOUT_NORM | WITHOUT_BIAS | WITHOUT_GATE));
}

/* Layers that the program does not have: an inner model with six parts and three rates, a step with
 * momenta, neither with a fused body; outputs after the step, and before it. */
static void pairs_without_a_fused_body(void **state)
{
    (void)state;
    static const struct inner pairs[] = {
        { .name = "gated", .model = &inner_gated, .step = &inner_momentum },
        { .name = "gated", .model = &inner_gated, .step = &inner_momentum, .loss = INNER_DOT,
          .output_before = 1 },
    };
    for (int i = 0; i < 2; i++) {
        ttt_add("ttt_gated", &pairs[i]);
        struct dims d = tiny(i);
        strcpy(d.layer, "ttt_gated");
        check_batches(batch_of(d.layer, 0));
#ifdef TTT_F64
        const struct pass_opts cut = opts(24, 8, 2, REMAT_BLOCK),
                               ragged = opts(22, 8, 2, REMAT_NONE),
                               batch = opts(24, 24, 2, REMAT_NONE);
        d.inner_lr = 0.1;
        d.without = i ? WITHOUT_TOKEN_IDX : 0;  /* it may make a step of length 0 */
        check_gradients(&d, &cut);
        check_gradients(&d, &ragged);
        d.K = i ? 12 : 24;  /* before the first step no value is known */
        check_gradients(&d, &batch);
#endif
        d.K = 16;
        d.C = 64;
        d.inner_lr = 0.1;
        check_slices(&d, 77);
    }
}

/* The paper's sizes: reference counts come from the authors' code. */
static void parameter_counts(void **state)
{
    (void)state;
    static const struct { int L, C, H, E; int64_t m, t, mlp, attention; } sizes[] = {
        { 12, 768, 12, 2048, 110424144, 110276688, 114589776, 109529856 },
        { 24, 1024, 16, 2736, 337684224, 337291008, 348792576, 335201280 },
        { 24, 1536, 16, 4096, 733608192, 733018368, 758528256, 728704512 },
        { 24, 2048, 32, 5504, 1285639296, 1284852864, 1307856000, 1279887360 },
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int kind = 0; kind < 4; kind++) {
            struct dims d = tiny(kind == 0 || kind == 2);
            struct param_table t;
            strcpy(d.layer, layer_names[kind < 2 ? 0 : kind - 1]);
            d.V = 32000;
            d.tied = 1;
            d.K = 16;
            d.L = sizes[i].L;
            d.C = sizes[i].C;
            d.H = sizes[i].H;
            d.E = sizes[i].E;
            assert_int_equal(model_layout(&t, &d), 0);
            const int64_t want[] = { sizes[i].m, sizes[i].t, sizes[i].mlp, sizes[i].attention };
            assert_int_equal(t.n, want[kind]);
            param_done(&t);
        }
}

/* Qwen2-0.5B as published: 494,032,768 parameters; biases are vectors that do not decay. */
static void biases_are_counted(void **state)
{
    (void)state;
    struct dims d = attention(896, 14, 2);
    struct param_table t;
    int biases = 0;
    d.V = 151936;
    d.L = 24;
    d.E = 4864;
    d.qkv_bias = 1;
    assert_int_equal(model_layout(&t, &d), 0);
    assert_int_equal(t.n, 494032768);
    for (int i = 0; i < t.count; i++) {
        const char *dot = strrchr(t.p[i].name, '.');
        assert_int_equal(t.p[i].no_decay, !strcmp(dot, ".bias"));
        biases += t.p[i].no_decay;
    }
    assert_int_equal(biases, 3 * 24);
    param_done(&t);
}

static void first_loss_is_ln_vocab(void **state)
{
    (void)state;
    enum { CONTEXT = 64 };
    struct dims d = tiny(1);
    struct model *m;
    int32_t windows[CONTEXT + 1];
    d.V = 1000;
    d.C = 64;
    d.init_std = 0.02;
    assert_int_equal(model_new(&m, &d), 0);
    model_init(m, 1);
    const struct pass_opts o = opts(CONTEXT, 32, 1, REMAT_NONE);
    struct pass *p = pass_new(m, &o);
    random_tokens(windows, CONTEXT + 1, d.V, 5);
    assert_true(fabs(loss_of(p, windows, 1) - log(1000)) < 0.1);
    pass_free(p);
    model_free(m);
}

/* A window is none for sequences that fit into it; longer ones are refused. */
static void windows_are_kept(void **state)
{
    (void)state;
    enum { T = 17 };
    int32_t tok[T];
    struct dims d = headed(24, 4, 2, 6);
    struct pass_bytes bytes;
    struct model *m[2];
    real x[2][T * 24];
    random_tokens(tok, T, d.V, 5);
    for (int i = 0; i < 2; i++) {
        d.window = i ? T : 0;
        m[i] = rough_model(&d, 3);
        read_all(m[i], x[i], tok, T, 16);
        model_free(m[i]);
    }
    assert_memory_equal(x[0], x[1], sizeof x[0]);
    assert_int_equal(model_check_window(&d, T), 0);
    assert_int_equal(model_check_window(&d, T + 1), -78);
    const struct pass_opts fits = opts(T, 8, 2, REMAT_NONE), longer = opts(T + 1, 8, 2, REMAT_NONE);
    assert_int_equal(pass_plan(&bytes, &d, &fits), 0);
    assert_int_equal(pass_plan(&bytes, &d, &longer), -78);
    d.window = 0;
    assert_int_equal(model_check_window(&d, INT64_MAX), 0);
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    struct model *m;
    struct dims d = tiny(1);
    d.H = 5;
    assert_int_equal(model_new(&m, &d), -78);
    assert_null(m);
    d = tiny(1);
    d.C = 10;  /* head width 5 */
    assert_int_equal(model_new(&m, &d), -78);
    d = tiny(1);
    strcpy(d.layer, "nothing");
    assert_int_equal(model_new(&m, &d), -78);
    d = tiny(1);
    strcpy(d.layer, "ttt_mlp");
    d.without = WITHOUT_INIT;  /* gelu(0 x) 0 has no gradient but its last bias's */
    assert_int_equal(model_new(&m, &d), -78);
    d = tiny(1);
    d.F = 4;  /* only attention has heads of another width */
    assert_int_equal(model_new(&m, &d), -78);
    d = tiny(1);
    d.window = 9;
    assert_int_equal(model_new(&m, &d), -78);
    d = headed(12, 2, 1, 4);
    d.window = -9;
    assert_int_equal(model_new(&m, &d), -78);
    d = tiny(1);
    d.qkv_bias = 1;
    assert_int_equal(model_new(&m, &d), -78);
    static const int widths[] = { 5, -2, 1 << 20 };
    for (int i = 0; i < 3; i++) {
        d = headed(12, 2, 1, widths[i]);
        assert_int_equal(model_new(&m, &d), -78);
    }
    const struct { int scaling; double factor, low, high; int original; } scalings[] = {
        { -1, 2, 1, 4, 8 }, { 3, 2, 1, 4, 8 }, { ROPE_LINEAR, 0.5, 0, 0, 0 },
        { ROPE_LINEAR, NAN, 0, 0, 0 }, { ROPE_LLAMA3, INFINITY, 1, 4, 8 },
        { ROPE_LLAMA3, 2, 4, 4, 8 }, { ROPE_LLAMA3, 2, 0, 4, 8 }, { ROPE_LLAMA3, 2, 1, NAN, 8 },
        { ROPE_LLAMA3, 2, 1, 4, 0 },
    };
    for (size_t i = 0; i < sizeof scalings / sizeof *scalings; i++) {
        d = headed(12, 2, 1, 4);
        d.rope_scaling = scalings[i].scaling;
        d.rope_factor = scalings[i].factor;
        d.rope_low = scalings[i].low;
        d.rope_high = scalings[i].high;
        d.rope_original = scalings[i].original;
        assert_int_equal(model_new(&m, &d), -78);
    }
    d = tiny(1);
    d.rope_scaling = ROPE_LINEAR;  /* only attention has it */
    d.rope_factor = 2;
    assert_int_equal(model_new(&m, &d), -78);
    int *const sizes[] = { &d.L, &d.C, &d.E, &d.V, &d.K, &d.conv_width };
    for (int i = 0; i < 6; i++) {  /* refused before anything is allocated for it */
        d = tiny(1);
        *sizes[i] = 2147483646;
        assert_int_equal(model_new(&m, &d), -78);
    }
    d = tiny(1);
    d.without = 2 * WITHOUT_MEAN;  /* of a later program */
    assert_int_equal(model_new(&m, &d), -78);
}

static int nothing_is_left(void **state)
{
    (void)state;
    return mem_live_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef TTT_F64
        cmocka_unit_test(gradients_are_derivatives),
        cmocka_unit_test(gradients_of_mixtures),
        cmocka_unit_test(gradients_of_ablations),
#endif
        cmocka_unit_test(slices_are_the_whole_bitwise),
        cmocka_unit_test(cutting_the_batch_changes_no_bit),
        cmocka_unit_test(pairs_without_a_fused_body),
        cmocka_unit_test(parameter_counts),
        cmocka_unit_test(biases_are_counted),
        cmocka_unit_test(first_loss_is_ln_vocab),
        cmocka_unit_test(windows_are_kept),
        cmocka_unit_test(impossible_shapes_are_refused),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
