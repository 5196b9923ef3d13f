/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/log.h"
#include "src/base/status.h"
#include "src/infer/load.h"
#include "src/store/dims_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct dims example(void)
{
    return (struct dims){ .layer = "ttt_linear", .V = 4097, .L = 3, .C = 96, .H = 2, .E = 352,
                          .K = 16, .conv_width = 4, .gate = 1, .share_qk = 0, .pre_conv = 1,
                          .tied = 1, .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1.0 / 3e6,
                          .init_std = 0.02, .inner_lr = 0.1, .without = 5, .Hkv = 1, .F = 40, .qkv_bias = 1, .window = 512,
                          .full_layers = 1,
                          .rope_scaling = 2, .rope_original = 8192, .rope_factor = 1.0 / 3,
                          .rope_low = 1.5, .rope_high = 4.5 };
}

static int same(const struct dims *a, const struct dims *b)
{
    return !strcmp(a->layer, b->layer) && a->V == b->V && a->L == b->L && a->C == b->C &&
           a->H == b->H && a->E == b->E && a->K == b->K && a->conv_width == b->conv_width &&
           a->gate == b->gate && a->share_qk == b->share_qk && a->pre_conv == b->pre_conv &&
           a->tied == b->tied && a->rope_theta == b->rope_theta && a->rms_eps == b->rms_eps &&
           a->ln_eps == b->ln_eps && a->init_std == b->init_std && a->inner_lr == b->inner_lr &&
           a->without == b->without && a->Hkv == b->Hkv && a->F == b->F && a->qkv_bias == b->qkv_bias &&
           a->window == b->window && a->full_layers == b->full_layers &&
           a->rope_scaling == b->rope_scaling && a->rope_original == b->rope_original &&
           a->rope_factor == b->rope_factor && a->rope_low == b->rope_low &&
           a->rope_high == b->rope_high;
}

/* Through text, as a MANIFEST holds it: doubles come back to the same bits. */
static void a_description_comes_back(void **state)
{
    (void)state;
    const struct dims d = example();
    struct dims back;
    json_t *info = json_object();

    load_describe(info, &d, 1024, "bytes", NULL, (struct hash){ 1, 2 });
    char *text = json_dumps(info, 0);
    json_t *again = json_loads(text, 0, NULL);
    assert_int_equal(dims_of_info(&back, again, "x"), OK);
    assert_true(same(&d, &back));
    assert_int_equal(json_integer_value(json_object_get(again, "context")), 1024);

    back.tied = 0;  /* and same() notices */
    assert_false(same(&d, &back));
    free(text);
    json_decref(info);
    json_decref(again);
}

static void a_missing_field_is_named(void **state)
{
    (void)state;
    const struct dims d = example();
    static const char *const keys[] = { "layer", "V", "tied", "ln_eps", "inner_lr" };
    struct dims back;

    for (int i = 0; i < 5; i++) {
        json_t *info = json_object();
        char want[64];
        load_describe(info, &d, 0, NULL, NULL, (struct hash){ 0, 0 });
        json_object_del(json_object_get(info, "model"), keys[i]);
        assert_int_equal(dims_of_info(&back, info, "some/place"), ERR_DATA);
        snprintf(want, sizeof want, "model.%s", keys[i]);
        assert_non_null(strstr(log_last_error(), want));
        assert_non_null(strstr(log_last_error(), "some/place"));
        json_decref(info);
    }
    assert_int_equal(dims_of_info(&back, NULL, "x"), ERR_DATA);
}

/* Models of older programs lack what was added since: they are whole. */
static void an_older_checkpoint_is_whole(void **state)
{
    (void)state;
    const struct dims d = example();
    struct dims back;
    json_t *info = json_object();

    load_describe(info, &d, 0, NULL, NULL, (struct hash){ 0, 0 });
    json_object_del(json_object_get(info, "model"), "without");
    json_object_del(json_object_get(info, "model"), "F");
    json_object_del(json_object_get(info, "model"), "rope_scaling");
    json_object_del(json_object_get(info, "model"), "rope_factor");
    assert_int_equal(dims_of_info(&back, info, "x"), OK);
    assert_true(back.without == 0 && back.F == 0 && back.rope_scaling == 0 &&
                back.rope_factor == 0);
    json_decref(info);
}

static void hostile_values_are_refused(void **state)
{
    (void)state;
    const struct dims d = example();
    static const char *const bad[] = { "-1", "2147483648", "1.5", "\"16\"", "null", "[]" };
    struct dims back;

    for (int i = 0; i < 6; i++) {
        json_t *info = json_object();
        load_describe(info, &d, 0, NULL, NULL, (struct hash){ 0, 0 });
        json_object_set_new(json_object_get(info, "model"), "K",
                            json_loads(bad[i], JSON_DECODE_ANY, NULL));
        assert_int_equal(dims_of_info(&back, info, "x"), ERR_DATA);
        json_decref(info);
    }
    json_t *info = json_object();
    load_describe(info, &d, 0, NULL, NULL, (struct hash){ 0, 0 });
    json_object_set_new(json_object_get(info, "model"), "layer",
                        json_string("a name that is far too long"));
    assert_int_equal(dims_of_info(&back, info, "x"), ERR_DATA);
    json_decref(info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_description_comes_back),
        cmocka_unit_test(a_missing_field_is_named),
        cmocka_unit_test(an_older_checkpoint_is_whole),
        cmocka_unit_test(hostile_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
