/* SPDX-License-Identifier: Apache-2.0 */
/* Models whose blocks differ: which layer a block has, what it sees of the model's dims, what its
 * parameters are called; and that reading slices is reading the whole. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/kernels/gemm.h"
#include "src/kernels/proof.h"
#include "src/layers/pattern.h"
#include "src/model/model.h"
#include "src/store/dims_json.h"
#include "src/store/hf_config.h"

#include <cmocka.h>

#include "tests/unit/said.h"  /* after cmocka */

static struct dims mixed(const char *layers, int L)
{
    struct dims d = { .V = 37, .L = L, .C = 16, .H = 2, .Hkv = 1, .E = 10, .K = 4,
                      .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = 1,
                      .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6, .init_std = 0.3,
                      .inner_lr = 1, .state = 3, .expand = 2, .dt_rank = 2, .F = 6, .qkv_bias = 1 };
    struct pattern p;
    snprintf(d.layer, sizeof d.layer, "%s", layers);
    assert_int_equal(pattern_of(&p, layers), OK);
    pattern_trim(&p, &d);
    if (!(p.has & HAS_ATTENTION)) d.Hkv = 0;
    return d;
}

static const char *const mixtures[] = {
    "ttt_linear, ttt_linear, ttt_linear, attention", "mamba, attention", "ttt_mlp, mamba, ttt_linear",
};
#define MIXTURES (sizeof mixtures / sizeof *mixtures)

/* The proof of equal bits is of the shapes that the inner loop has: C / H, whatever width the heads
 * of attention have. */
static void the_inner_loop_is_proved(void **state)
{
    static const struct { const char *layers; int K, F; } rows[] = {
        { "attention, ttt_linear", 4, 8 }, { "ttt_linear, attention", 4, 8 },
        { "mamba, attention", 1, 16 }, { "attention", 1, 6 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct dims d = mixed(rows[i].layers, 4);
        struct proof_of p;
        model_proof(&p, &d, 1);
        assert_int_equal(p.K, rows[i].K);
        assert_int_equal(p.F, rows[i].F);
        assert_int_equal(p.bf16, 1);
    }
}

/* --- the list ------------------------------------------------------------------ */

static void lists_are_added_to(void **state)
{
    char text[PATTERN_TEXT] = "", name[PATTERN_NAME];
    const char *rest;
    int n = 0;
    (void)state;

    while (pattern_add(text, n % 2 ? "attention" : "ttt_linear")) n++;
    assert_int_equal(n, PATTERN_LAYERS);
    for (rest = text; *rest; n--) {
        rest = pattern_next(name, rest);
        assert_string_equal(name, (PATTERN_LAYERS - n) % 2 ? "attention" : "ttt_linear");
    }
    assert_int_equal(n, 0);
    pattern_next(name, rest);
    assert_string_equal(name, "");
    strcpy(text, "mamba");
    assert_int_equal(pattern_add(text, ""), 0);
    assert_int_equal(pattern_add(text, "a, b"), 0);
    assert_string_equal(text, "mamba");
}

static void lists_are_shortened(void **state)
{
    static const struct { const char *list, *is; } rows[] = {
        { "", "" }, { "a", "a" }, { "a, a", "a" }, { "a, b", "a, b" }, { "a, a, a", "a" },
        { "a, b, a", "a, b, a" }, { "a, b, a, b", "a, b" }, { "a, a, b, a, a, b", "a, a, b" },
        { "a, a, b, a, b, a", "a, a, b, a, b, a" }, { "a, aa", "a, aa" }, { "aa, a, a", "aa, a, a" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[PATTERN_TEXT];
        strcpy(text, rows[i].list);
        pattern_shorten(text);
        assert_string_equal(text, rows[i].is);
    }
}

static void unknown_layers_are_named(void **state)
{
    struct pattern p;
    (void)state;

    hear(1);
    assert_int_equal(pattern_of(&p, ""), ERR_CONFIG);
    assert_int_equal(pattern_of(&p, "mamba, nothing, ttt_mlp"), ERR_CONFIG);
    assert_int_equal(pattern_of(&p, "nothing"), ERR_CONFIG);
    hear(0);
    assert_int_equal(p.n, 0);
    assert_non_null(strstr(said, "there is no sequence layer 'nothing' (entry 2 of the list)"));
    assert_non_null(strstr(said, "there is no sequence layer 'nothing'\n"));
}

/* --- the model ------------------------------------------------------------------ */

/* The pattern starts again where it ends, also in its middle at the last block. */
static void blocks_have_their_layers(void **state)
{
    const struct dims d = mixed(mixtures[0], 6);
    struct model *m;
    (void)state;

    assert_int_equal(model_shape(&m, &d), OK);
    for (int l = 0; l < 6; l++) {
        const struct block *b = &m->blocks[l];
        const int attention = l % 4 == 3;
        assert_string_equal(b->layer->name, attention ? "attention" : "ttt_linear");
        assert_string_equal(b->d.layer, b->layer->name);
        assert_int_equal(block_has_inner(b), !attention);
        assert_int_equal(b->d.K, attention ? 1 : 4);
        assert_int_equal(b->d.pre_conv, !attention);
        assert_int_equal(b->d.F, attention ? 6 : 0);
        assert_int_equal(head_groups(&b->d), attention ? 1 : 2);
        assert_int_equal(b->d.H, 2);
    }
    assert_int_equal(m->kinds, 4);
    assert_int_equal(m->has, HAS_HEADS | HAS_INNER | HAS_ATTENTION);
    model_free(m);
}

static void blocks_without_heads_or_feed_forward(void **state)
{
    const struct dims d = mixed("mamba, attention", 3);
    struct model *m;
    (void)state;

    assert_int_equal(model_shape(&m, &d), OK);
    for (int l = 0; l < 3; l += 2)
        assert_true(m->blocks[l].d.H == 1 && m->blocks[l].d.E == 0 && m->blocks[l].i_ffn < 0);
    assert_true(m->blocks[1].d.H == 2 && m->blocks[1].d.E == 10 && m->blocks[1].i_ffn >= 0);
    assert_true(m->blocks[1].d.state == 0 && m->blocks[1].d.expand == 0);
    assert_false(model_has_inner(m));
    model_free(m);
}

/* Around the blocks the same names whatever comes first, inside those of the layer's family. */
static void names_of_parameters(void **state)
{
    static const char *const lists[] = { "mamba, attention", "attention, mamba" };
    (void)state;

    for (int i = 0; i < 2; i++) {
        const struct dims d = mixed(lists[i], 2);
        struct param_table t;
        char name[PARAM_NAME];
        assert_int_equal(model_layout(&t, &d), OK);
        const char *const want[] = { "mixer.in_proj.weight", "norm.weight" },
                   *const other[] = { "self_attn.q_proj.bias", "input_layernorm.weight",
                                      "post_attention_layernorm.weight", "mlp.down_proj.weight" };
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, "model.layers.%d.%s", i, want[k]);
            assert_true(param_find(&t, name) >= 0);
        }
        for (int k = 0; k < 4; k++) {
            snprintf(name, sizeof name, "model.layers.%d.%s", 1 - i, other[k]);
            assert_true(param_find(&t, name) >= 0);
        }
        assert_true(param_find(&t, "model.embed_tokens.weight") == 0);
        assert_true(param_find(&t, "model.norm.weight") == t.count - 1);
        param_done(&t);
    }
}

/* A list of one is the word, whatever names its family has. */
static void a_list_of_one_is_the_word(void **state)
{
    struct dims d = mixed("mamba", 2);
    struct param_table t;
    (void)state;

    assert_int_equal(model_layout(&t, &d), OK);
    assert_true(param_find(&t, "backbone.embeddings.weight") == 0);
    param_done(&t);
}

static void is_refused(const struct dims *d, const char *says)
{
    struct model *m;
    hear(1);
    const int rc = model_shape(&m, d);
    hear(0);
    assert_int_equal(rc, ERR_CONFIG);
    assert_null(m);
    if (!strstr(said, says)) fail_msg("%s is not in %s", says, said);
}

static void impossible_mixtures_are_refused(void **state)
{
    struct dims d = mixed(mixtures[0], 6);
    (void)state;

    d.L = 3;
    is_refused(&d, "model.layer: expected at most one layer for each of the 3 blocks (model.layers), found 4");
    d = mixed("mamba, attention", 2);
    d.state = 0;  /* each layer's own checks are made */
    is_refused(&d, "model.state");
    d = mixed("mamba, attention", 2);
    d.F = 5;
    is_refused(&d, "model.head_dim: expected an even number, found 5");
    d = mixed("ttt_linear, mamba", 2);
    d.Hkv = 1;
    is_refused(&d, "every head has its own keys and values");
}

/* --- checkpoints and public formats ------------------------------------------------ */

static void a_checkpoint_has_the_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXTURES; i++) {
        const struct dims d = mixed(mixtures[i], 4);
        struct dims back;
        json_t *info = json_pack("{s:o}", "model", dims_json(&d));
        const json_t *layer = json_object_get(json_object_get(info, "model"), "layer");
        assert_true(json_is_array(layer));
        assert_int_equal(dims_of_info(&back, info, "info"), OK);
        assert_string_equal(back.layer, d.layer);
        json_decref(info);
    }
}

/* Lists that are none; one of one entry, and a word, as older checkpoints have it, are. */
static void lists_of_checkpoints(void **state)
{
    static const struct { const char *json, *is; } rows[] = {
        { "\"mamba\"", "mamba" }, { "[\"mamba\"]", "mamba" }, { "[\"mamba\", \"mamba\"]", "mamba" },
        { "[\"mamba\", \"attention\"]", "mamba, attention" },
        { "[]", NULL }, { "[1]", NULL }, { "\"\"", NULL }, { "7", NULL }, { "{}", NULL },
        { "[\"mamba\", \"\"]", NULL }, { "\"mamba, attention\"", NULL }, { "[[\"mamba\"]]", NULL },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct dims d = mixed("mamba", 2);
        struct dims back;
        json_t *info = json_pack("{s:o}", "model", dims_json(&d));
        json_object_set_new(json_object_get(info, "model"), "layer",
                            json_loads(rows[i].json, JSON_DECODE_ANY, NULL));
        hear(1);
        const int rc = dims_of_info(&back, info, "info");
        hear(0);
        assert_int_equal(rc, rows[i].is ? OK : ERR_DATA);
        if (rows[i].is) assert_string_equal(back.layer, rows[i].is);
        else assert_non_null(strstr(said, "info: model.layer is neither the name of a layer nor"));
        json_decref(info);
    }
}

static void no_public_format_has_it(void **state)
{
    const struct dims d = mixed(mixtures[0], 4);
    (void)state;
    hear(1);
    assert_int_equal(hf_config_can_write(&d), ERR_CONFIG);
    hear(0);
    assert_non_null(strstr(said, "no public format has a model whose blocks differ (model.layer: "
                           "[ttt_linear, ttt_linear, ttt_linear, attention])"));
}

/* --- reading ------------------------------------------------------------------------- */

enum { T = 45, SEQUENCES = 2 };

/* x (T,C) of the second of two sequences, read in slices. */
static void read_all(const struct model *m, real *x, const int32_t *tok, int slice,
                     const struct stream_tap *tap)
{
    const int C = m->dims.C;
    struct stream *s = stream_new(m, SEQUENCES, slice);
    int32_t part[SEQUENCES * T];
    real *y = mem_new((int64_t)SEQUENCES * slice * C, sizeof *y, "test");

    for (int t = 0; t < T; t += slice) {
        const int n = T - t < slice ? T - t : slice;
        for (int b = 0; b < SEQUENCES; b++)
            memcpy(part + b * n, tok + b * T + t, (size_t)n * sizeof *tok);
        stream_read(s, y, part, n, tap);
        memcpy(x + (int64_t)t * C, y + (int64_t)n * C, (size_t)n * (size_t)C * sizeof *x);
    }
    mem_free(y);
    stream_free(s);
}

static void slices_are_the_whole(void **state)
{
    static const int slices[] = { 4, 16, 1, 3, 7 };  /* the first two are of whole mini-batches */
    (void)state;

    for (size_t i = 0; i < MIXTURES; i++) {
        const struct dims d = mixed(mixtures[i], 5);
        const size_t n = (size_t)T * (size_t)d.C;
        struct model *m;
        real *whole = mem_new((int64_t)n, sizeof *whole, "test");
        real *cut = mem_new((int64_t)n, sizeof *cut, "test");
        int32_t tok[SEQUENCES * T];
        assert_int_equal(model_new(&m, &d), OK);
        model_init(m, 3);
        for (int t = 0; t < SEQUENCES * T; t++)
            tok[t] = (int32_t)(rng_u64(5, (uint64_t)t) % (uint64_t)d.V);
        read_all(m, whole, tok, T, NULL);
        for (size_t k = 0; k < sizeof slices / sizeof *slices; k++) {
            read_all(m, cut, tok, slices[k], NULL);
            for (size_t j = 0; j < n; j++)
                assert_true(fabs((double)(whole[j] - cut[j])) < 2e3 * REAL_EPS);
        }
        tok[T + 3] = (tok[T + 3] + 1) % d.V;  /* the comparison can fail */
        read_all(m, cut, tok, 16, NULL);
        assert_memory_not_equal(whole, cut, n * sizeof *cut);
        mem_free(whole);
        mem_free(cut);
        model_free(m);
    }
}

struct heard { int calls[8]; };

static void hear_inner(void *ctx, int l, int n, const double *w0, const double *before,
                       const double *after)
{
    struct heard *h = ctx;
    for (int k = 0; k < n; k++) assert_true(w0[k] > 0 && before[k] > 0 && after[k] > 0);
    h->calls[l] += n;
}

/* Blocks without an inner loop give no inner losses. */
static void inner_losses_are_of_some(void **state)
{
    const struct dims d = mixed("ttt_linear, attention, mamba", 5);
    struct heard h = { { 0 } };
    const struct stream_tap tap = { .ctx = &h, .inner = hear_inner };
    struct model *m;
    int32_t tok[SEQUENCES * T] = { 0 };
    real *x = mem_new(T * d.C, sizeof *x, "test");
    (void)state;

    assert_int_equal(model_new(&m, &d), OK);
    model_init(m, 3);
    read_all(m, x, tok, 16, &tap);
    static const int want[] = { T / 4, 0, 0, T / 4, 0 };
    assert_memory_equal(h.calls, want, sizeof want);
    mem_free(x);
    model_free(m);
}

/* What a stream asks for is what it was said to. */
static void bytes_of_a_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXTURES; i++) {
        const struct dims d = mixed(mixtures[i], 5);
        struct model *m;
        assert_int_equal(model_shape(&m, &d), OK);
        int64_t carries = 0, rows = 0;
        for (int l = 0; l < 5; l++) {
            carries += block_carry_reals(&m->blocks[l]);
            rows += block_past_reals(&m->blocks[l]);
        }
        const int64_t more = stream_bytes(m, 2, 8, 20) - stream_bytes(m, 2, 8, 10);
        assert_int_equal(more, 2 * 10 * rows * (int64_t)sizeof(real));
        assert_true(stream_bytes(m, 2, 8, 0) > 2 * carries * (int64_t)sizeof(real));
        model_free(m);
    }
}

static int nothing_is_left(void **state)
{
    (void)state;
    return mem_live_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_inner_loop_is_proved),
        cmocka_unit_test(lists_are_added_to),
        cmocka_unit_test(lists_are_shortened),
        cmocka_unit_test(unknown_layers_are_named),
        cmocka_unit_test(blocks_have_their_layers),
        cmocka_unit_test(blocks_without_heads_or_feed_forward),
        cmocka_unit_test(names_of_parameters),
        cmocka_unit_test(a_list_of_one_is_the_word),
        cmocka_unit_test(impossible_mixtures_are_refused),
        cmocka_unit_test(a_checkpoint_has_the_list),
        cmocka_unit_test(lists_of_checkpoints),
        cmocka_unit_test(no_public_format_has_it),
        cmocka_unit_test(slices_are_the_whole),
        cmocka_unit_test(inner_losses_are_of_some),
        cmocka_unit_test(bytes_of_a_stream),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
