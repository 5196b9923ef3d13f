/* SPDX-License-Identifier: Apache-2.0 */
/* The Mamba model: gradients are derivatives, slices of any length are the whole, the way a batch
 * is cut changes no bit; sizes and folders of the public models. */
#include "tests/unit/store_test.h"

#include <math.h>
#include <omp.h>

#include "src/base/log.h"
#include "src/base/rng.h"
#include "src/kernels/gemm.h"
#include "src/model/pass.h"
#include "src/store/hf.h"

#define GOLDEN "tests/golden/mamba"

static struct dims tiny(void)
{
    return (struct dims){ .layer = "mamba", .V = 37, .L = 2, .C = 12, .H = 1, .K = 1,
                          .conv_width = 4, .tied = 1, .rope_theta = 1e4, .rms_eps = 1e-5,
                          .ln_eps = 1e-6, .init_std = 0.3, .inner_lr = 1, .state = 5,
                          .expand = 2, .dt_rank = 3 };
}

/* No parameter keeps a value behind which an error could hide. */
static struct model *rough_model(const struct dims *d)
{
    struct model *m;
    assert_int_equal(model_new(&m, d), OK);
    model_init(m, 3);
    for (int i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.p[i];
        const uint64_t key = rng_key(4, p->name);
        for (int64_t k = 0; k < p->n; k++)
            m->w[p->offset + k] += (real)(0.1 * rng_normal(key, (uint64_t)k));
    }
    return m;
}

static void random_tokens(int32_t *tok, int64_t n, int V)
{
    const uint64_t key = rng_key(5, "tokens");
    for (int64_t i = 0; i < n; i++) tok[i] = (int32_t)(rng_u64(key, (uint64_t)i) % (uint64_t)V);
}

static struct pass_opts opts(int context, int slice, int micro, enum remat remat)
{
    return (struct pass_opts){ .context = context, .slice_tokens = slice, .micro_batch = micro,
                               .inner_group = 2, .remat = remat, .mask_token = 1 };
}

#ifdef TTT_F64
enum { B = 2 };

static double loss_of(struct pass *p, const int32_t *windows)
{
    struct pass_sums sums = { 0 };
    pass_run(p, NULL, &sums, windows, B);
    return fixed_value(sums.loss) / B;
}

/* <grad, v> against (loss(+hv) - loss(-hv)) / 2h for a parameter tensor. */
static void check_slope(struct model *m, struct pass *p, const real *mean, const int32_t *windows,
                        const struct param *q)
{
    const uint64_t key = rng_key(9, q->name);
    const double h = 1e-5;
    double along = 0, norm = 0, side[2];

    for (int64_t k = 0; k < q->n; k++) {
        along += mean[q->offset + k] * rng_normal(key, (uint64_t)k);
        norm += mean[q->offset + k] * mean[q->offset + k];
    }
    for (int s = 0; s < 3; s++) {
        for (int64_t k = 0; k < q->n; k++)
            m->w[q->offset + k] += (s == 1 ? -2 : 1) * h * rng_normal(key, (uint64_t)k);
        if (s < 2) side[s] = loss_of(p, windows);
    }
    const double slope = (side[0] - side[1]) / (2 * h);
    if (!(fabs(slope - along) < 1e-7 * (1 + sqrt(norm * (double)q->n))) || norm == 0)
        fail_msg("%s: derivative %.12g, gradient %.12g", q->name, slope, along);
}

static void gradients_are_derivatives(void **state)
{
    (void)state;
    const struct pass_opts all[] = { opts(40, 40, 2, REMAT_NONE), opts(40, 9, 2, REMAT_BLOCK),
                                     opts(2, 8, 2, REMAT_NONE), opts(35, 1, 1, REMAT_NONE) };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct dims d = tiny();
        d.tied = i % 2 == 0;
        if (i == 1) d.C = 35;       /* more than a strip of channels */
        int32_t windows[B * 64];
        struct model *m = rough_model(&d);
        struct pass *p = pass_new(m, &all[i]), *two = p;
        struct pass_opts both = all[i];
        struct pass_sums sums = { 0 };
        struct grad g;
        real *mean = mem_new(m->params.total, sizeof(real), "test");

        both.micro_batch = 2;
        if (all[i].micro_batch == 1) two = pass_new(m, &both);
        random_tokens(windows, B * (all[i].context + 1), d.V);
        grad_init(&g, &m->params, REDUCE_FAST);
        grad_begin(&g, (int64_t)B * pass_units(&all[i]));
        for (int b = 0; b < B; b += all[i].micro_batch)
            pass_run(p, &g, &sums, windows + b * (all[i].context + 1), all[i].micro_batch);
        grad_read(&g, mean, 0, m->params.total);
        for (int k = 0; k < m->params.count; k++)
            check_slope(m, two, mean, windows, &m->params.p[k]);
        grad_done(&g);
        mem_free(mean);
        if (two != p) pass_free(two);
        pass_free(p);
        model_free(m);
    }
}
#endif

/* hidden (T,C) of one sequence, read in slices of `slice`. */
static void read_all(const struct model *m, real *x, const int32_t *tok, int T, int slice)
{
    struct stream *s = stream_new(m, 1, slice);
    for (int t = 0; t < T; t += slice)
        stream_read(s, x + (int64_t)t * m->dims.C, tok + t, T - t < slice ? T - t : slice, NULL);
    stream_free(s);
}

static void slices_are_the_whole_bitwise(void **state)
{
    (void)state;
    enum { T = 77, C = 64 };
    static const int slices[] = { 2, 6, 16, 33, 64 };
    struct dims d = tiny();
    d.C = C;
    struct model *m = rough_model(&d);
    real *whole = mem_new(T * C, sizeof(real), "test"), *cut = mem_new(T * C, sizeof(real), "test");
    int32_t tok[T];

    random_tokens(tok, T, d.V);
    read_all(m, whole, tok, T, T);
    for (int i = 0; i < 5; i++) {   /* none leaves a last slice of one token */
        read_all(m, cut, tok, T - 1, slices[i]);
        assert_memory_equal(whole, cut, (T - 1) * C * sizeof(real));
    }
    read_all(m, cut, tok, T, 1);    /* products of one row round in their own way */
    for (int k = 0; k < T * C; k++)
        assert_true(fabs((double)(whole[k] - cut[k])) < 2e3 * REAL_EPS);
    tok[3] = (tok[3] + 1) % d.V;    /* the comparison can fail */
    read_all(m, cut, tok, T - 1, 16);
    assert_memory_not_equal(whole, cut, (T - 1) * C * sizeof(real));
    mem_free(whole);
    mem_free(cut);
    model_free(m);
}

/* Gradient sums of 5 sequences, as integers. */
static struct grad exact_grads(const struct model *m, int micro, enum remat remat, int threads)
{
    enum { SEQUENCES = 5, CONTEXT = 50 };
    int32_t windows[SEQUENCES * (CONTEXT + 1)];
    const struct pass_opts o = opts(CONTEXT, 20, micro, remat);
    struct pass_sums sums = { 0 };
    struct grad g;

    omp_set_num_threads(threads);
    struct pass *p = pass_new(m, &o);
    random_tokens(windows, SEQUENCES * (CONTEXT + 1), m->dims.V);
    grad_init(&g, &m->params, REDUCE_EXACT);
    grad_begin(&g, (int64_t)SEQUENCES * pass_units(&o));
    for (int b = 0; b < SEQUENCES; b += micro)
        pass_run(p, &g, &sums, windows + b * (CONTEXT + 1),
                 SEQUENCES - b < micro ? SEQUENCES - b : micro);
    pass_free(p);
    return g;
}

static void cutting_the_batch_changes_no_bit(void **state)
{
    (void)state;
    static const struct { int micro; enum remat remat; int threads; } ways[] = {
        { 1, REMAT_NONE, 2 }, { 2, REMAT_NONE, 1 }, { 3, REMAT_BLOCK, 2 }, { 5, REMAT_NONE, 3 },
    };
    struct dims d = tiny();
    d.C = 64;                       /* enough for threads */
    d.state = 16;
    struct model *m = rough_model(&d);
    struct grad g = exact_grads(m, 1, REMAT_NONE, 1);
    const size_t bytes = (size_t)m->params.total * sizeof *g.fixed;

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct grad h = exact_grads(m, ways[i].micro, ways[i].remat, ways[i].threads);
        assert_memory_equal(g.fixed, h.fixed, bytes);
        grad_done(&h);
    }
    m->w[m->params.p[1].offset] += (real)1e-3;  /* the comparison can fail */
    struct grad h = exact_grads(m, 1, REMAT_NONE, 1);
    assert_memory_not_equal(g.fixed, h.fixed, bytes);
    grad_done(&h);
    grad_done(&g);
    model_free(m);
    omp_set_num_threads(omp_get_num_procs());
}

/* The public sizes, with the vocabulary of GPT-NeoX and with Llama's. */
static void parameter_counts(void **state)
{
    (void)state;
    static const struct { int L, C; int64_t neox, llama; } sizes[] = {
        { 24, 768, 129135360, 115096320 }, { 48, 1024, 371516416, 352797696 },
        { 48, 1536, 793204224, 765126144 }, { 48, 2048, 1372178432, 1334740992 },
    };
    for (int i = 0; i < 8; i++) {
        struct dims d = tiny();
        struct param_table t;
        d.V = i % 2 ? 32000 : 50280;
        d.L = sizes[i / 2].L;
        d.C = sizes[i / 2].C;
        d.state = 16;
        d.dt_rank = d.C / 16;
        assert_int_equal(model_layout(&t, &d), OK);
        assert_int_equal(t.n, i % 2 ? sizes[i / 2].llama : sizes[i / 2].neox);
        param_done(&t);
    }
}

static void what_does_not_decay(void **state)
{
    (void)state;
    const struct dims d = tiny();
    struct param_table t;
    int count = 0;
    assert_int_equal(model_layout(&t, &d), OK);
    for (int i = 0; i < t.count; i++) {
        const char *dot = strrchr(t.p[i].name, '.');
        assert_int_equal(t.p[i].no_decay, !strcmp(dot, ".A_log") || !strcmp(dot, ".D"));
        count += t.p[i].no_decay;
    }
    assert_int_equal(count, 2 * d.L);
    param_done(&t);
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    struct dims bad[6];
    struct model *m;
    for (int i = 0; i < 6; i++) bad[i] = tiny();
    bad[0].state = 0;
    bad[1].state = 257;
    bad[2].expand = 0;
    bad[3].dt_rank = 25;
    bad[4].dt_rank = 0;
    bad[5].E = 16;
    quiet(1);
    for (int i = 0; i < 6; i++) assert_int_equal(model_new(&m, &bad[i]), ERR_CONFIG);
    quiet(0);
}

/* The folder that Hugging Face's code wrote, in and out. */
static void in_and_out(void **state)
{
    (void)state;
    struct dims d, back;
    struct param_table t = { 0 };
    json_t *config = NULL, *written = NULL;

    assert_int_equal(hf_read_config(&d, GOLDEN), OK);
    assert_string_equal(d.layer, "mamba");
    assert_true(d.V == 256 && d.L == 2 && d.C == 64 && d.state == 16 && d.expand == 2);
    assert_true(d.dt_rank == 4 && d.conv_width == 4 && d.tied && d.rms_eps == 1e-5 && !d.E);
    assert_int_equal(model_layout(&t, &d), OK);
    real *w = mem_new(t.total, sizeof *w, "test"), *v = mem_new(t.total, sizeof *v, "test");
    assert_int_equal(hf_read_weights(w, &t, GOLDEN), OK);
    assert_int_equal(hf_read_json(&config, GOLDEN), OK);
    assert_int_equal(hf_write(at("a"), &d, &t, w, config, 0), OK);
    assert_int_equal(hf_write(at("b"), &d, &t, w, NULL, 0), OK);
    assert_int_equal(hf_read_config(&back, at("b")), OK);
    assert_memory_equal(&back, &d, sizeof d);
    assert_int_equal(hf_read_weights(v, &t, at("b")), OK);
    assert_memory_equal(v, w, (size_t)t.total * sizeof *w);
    json_object_set_new(config, "tie_word_embeddings", json_true());
    for (int i = 0; i < 2; i++) {   /* the second came without the original's config.json */
        static const char *const ids[] = { "bos_token_id", "eos_token_id", "pad_token_id" };
        assert_int_equal(hf_read_json(&written, at(i ? "b" : "a")), OK);
        json_object_del(config, i ? "transformers_version" : "");
        for (int k = 0; i && k < 3; k++) json_object_set_new(config, ids[k], json_null());
        json_object_set_new(written, "dtype", json_string("float32"));
        assert_true(json_equal(config, written));
        json_decref(written);
    }
    json_decref(config);
    param_done(&t);
    mem_free(w);
    mem_free(v);
}

static void configs(void **state)
{
    (void)state;
    static const struct { const char *json; int rc, rank; } rows[] = {
        { "{\"model_type\":\"mamba\"}", OK, 48 },
        { "{\"model_type\":\"mamba\",\"hidden_size\":1000,\"time_step_rank\":\"auto\"}", OK, 63 },
        { "{\"model_type\":\"mamba\",\"time_step_rank\":7,\"intermediate_size\":1536}", OK, 7 },
        { "{\"model_type\":\"mamba\",\"intermediate_size\":1000}", ERR_DATA, 0 },
        { "{\"model_type\":\"mamba\",\"time_step_rank\":\"big\"}", ERR_DATA, 0 },
        { "{\"model_type\":\"mamba\",\"time_step_rank\":0}", ERR_DATA, 0 },
        { "{\"model_type\":\"mamba\",\"use_bias\":true}", ERR_DATA, 0 },
        { "{\"model_type\":\"mamba\",\"use_conv_bias\":false}", ERR_DATA, 0 },
        { "{\"model_type\":\"mamba2\"}", ERR_DATA, 0 },
    };
    struct dims d;
    quiet(1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_file(at("config.json"), rows[i].json, strlen(rows[i].json));
        if (hf_read_config(&d, work) != rows[i].rc) fail_msg("%s", rows[i].json);
        if (rows[i].rc == OK) assert_int_equal(d.dt_rank, rows[i].rank);
    }
    quiet(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef TTT_F64
        cmocka_unit_test(gradients_are_derivatives),
#endif
        cmocka_unit_test(slices_are_the_whole_bitwise),
        cmocka_unit_test(cutting_the_batch_changes_no_bit),
        cmocka_unit_test(parameter_counts),
        cmocka_unit_test(what_does_not_decay),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(in_and_out),
        cmocka_unit_test(configs),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
