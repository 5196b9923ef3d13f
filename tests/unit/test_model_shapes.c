/* SPDX-License-Identifier: Apache-2.0 */
/* What a model is before it computes: counts of parameters, the first loss, attention's window, and
 * shapes that are refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/mem.h"
#include "src/kernels/gemm.h"
#include "src/model/pass.h"
#include "tests/lib/tiny_model.h"

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
        cmocka_unit_test(parameter_counts),
        cmocka_unit_test(biases_are_counted),
        cmocka_unit_test(first_loss_is_ln_vocab),
        cmocka_unit_test(windows_are_kept),
        cmocka_unit_test(impossible_shapes_are_refused),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
