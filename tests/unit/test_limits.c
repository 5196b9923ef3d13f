/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration may ask for can be saved: the largest state that it takes fits a MANIFEST
 * with all that may stand beside it, and one block more is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/conf/conf.h"
#include "src/model/model.h"
#include "src/store/manifest.h"
#include "src/store/state_tensors.h"

#include <cmocka.h>

static int read_conf(struct conf *c, const char *layer, const char *optim, int layers)
{
    char text[512];
    snprintf(text, sizeof text, "data: {train: d}\nmodel: {layer: %s, layers: %d, width: 8, heads: 2, "
             "vocab: 100}\noptim: {%s}\n", layer, layers, optim);
    return conf_parse(c, text, strlen(text), "t.yaml", NULL, 0, NULL);
}

static struct tensor *state_of(int *count, const struct conf *c)
{
    struct param_table t;
    struct dims d;

    conf_dims(c, &d);
    assert_int_equal(model_layout(&t, &d), OK);
    struct tensor *list = state_tensors(count, &t, c->optim.state == MOMENTS_BF16,
                                        c->optim.kind == OPTIM_SOAP ? c->optim.max_dim : 0);
    param_done(&t);
    return list;
}

/* As much of everything as there may be. */
static int can_be_written(struct tensor *list, int count)
{
    static struct writer_file files[WRITER_FILES];
    json_t *info = json_object(), *scalars = json_object();
    char *words = mem_new(((int64_t)1 << 19) + 1, 1, "text");
    size_t bytes;

    memset(words, '"', (size_t)1 << 18);  /* two bytes each */
    json_object_set_new(info, "config", json_string(words));
    for (int i = 0; i < WRITER_FILES; i++) {
        files[i].bytes = files[i].tiles = INT64_MAX;
        writer_name(files[i].name, i);
    }
    const struct manifest m = { .step = INT64_MAX, .attempt = INT64_MAX, .created = INT64_MAX,
                                .count = count, .tensors = list, .n_files = WRITER_FILES,
                                .files = files, .scalars = scalars, .info = info };
    char *text = manifest_text(&bytes, &m);
    const int good = text != NULL;
    mem_free(text);
    mem_free(words);
    json_decref(info);
    json_decref(scalars);
    return good;
}

static void the_largest_can_be_saved(void **state)
{
    static const struct { const char *layer, *optim; } rows[] = {
        { "ttt_linear", "" }, { "ttt_mlp", "" }, { "ttt_mlp", "kind: soap" },
        { "ttt_linear", "kind: soap" }, { "ttt_linear", "state: bf16" },
    };
    static struct conf c;
    int least = 1024;
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int good = 1, bad = 1025, count;  /* 1024 is the table's limit */
        while (bad - good > 1) {
            const int L = (good + bad) / 2;
            if (read_conf(&c, rows[i].layer, rows[i].optim, L) == OK) good = L;
            else bad = L;
        }
        if (good < least) least = good;
        assert_int_equal(read_conf(&c, rows[i].layer, rows[i].optim, good), OK);
        struct tensor *list = state_of(&count, &c);
        assert_non_null(list);
        assert_in_range(count, 1, TENSOR_COUNT);
        assert_true(can_be_written(list, count));
        mem_free(list);
        if (bad > 1024) continue;
        assert_int_equal(read_conf(&c, rows[i].layer, rows[i].optim, bad), ERR_CONFIG);
        assert_non_null(strstr(log_last_error(), "tensors"));
        c.model.layers = bad;
        assert_null(state_of(&count, &c));
        assert_true(count > TENSOR_COUNT);
    }
    assert_true(least < 1024);  /* some are limited by it */
}

/* Names are those that checkpoints have, in their order. */
static void names_of_a_state(void **state)
{
    static struct conf c;
    int count, n = 0;
    (void)state;

    assert_int_equal(read_conf(&c, "ttt_linear", "kind: soap", 1), OK);
    struct tensor *list = state_of(&count, &c);
    while (n < count && !strchr(list[n].name, '/')) n++;
    for (int i = 0; i < n; i++) {
        assert_memory_equal(list[n + i].name, "adam.m/", 7);
        assert_string_equal(list[n + i].name + 7, list[i].name);
        assert_memory_equal(list[2 * n + i].name, "adam.v/", 7);
        assert_string_equal(list[2 * n + i].name + 7, list[i].name);
        assert_true(tensor_same_shape(&list[n + i], &list[i]));
    }
    assert_true(count > 3 * n);
    for (int i = 3 * n; i < count; i++) {
        assert_memory_equal(list[i].name, "soap.", 5);
        assert_int_equal(list[i].shape[list[i].ndim - 1], list[i].shape[list[i].ndim - 2]);
    }
    mem_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_largest_can_be_saved),
                                        cmocka_unit_test(names_of_a_state) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
