/* The files in config/ are valid, have the sizes of the paper's models, and the reference beside
 * them is what the program prints.  Runs in the repository's root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/conf/conf.h"
#include "src/model/model.h"

#include <cmocka.h>

static int64_t parameters(const char *file, char *set)
{
    struct conf c;
    struct dims d;
    struct param_table t = { 0 };

    assert_int_equal(conf_read(&c, file, &set, set != NULL), OK);
    conf_dims(&c, &d);
    assert_int_equal(model_layout(&t, &d), OK);
    const int64_t n = t.n;
    param_done(&t);
    return n;
}

/* The authors' code gives these counts (arXiv 2407.04620; ttt-lm-jax 6f529b1). */
static void sizes_of_the_paper(void **state)
{
    static const struct { const char *file; int64_t mamba, transformer; } rows[] = {
        { "config/ttt-linear-125m.yaml", 110424144, 110276688 },
        { "config/ttt-linear-350m.yaml", 337684224, 337291008 },
        { "config/ttt-linear-760m.yaml", 733608192, 733018368 },
        { "config/ttt-linear-1.3b.yaml", 1285639296, 1284852864 },
    };
    (void)state;

    for (int i = 0; i < 4; i++) {
        assert_int_equal(parameters(rows[i].file, NULL), rows[i].mamba);
        assert_int_equal(parameters(rows[i].file, "model.backbone=transformer"),
                         rows[i].transformer);
        assert_true(parameters(rows[i].file, "model.tied=false") > rows[i].mamba);
    }
    assert_int_equal(parameters("config/demo-kjv.yaml", NULL), 5931896);
}

/* A file that nobody added to a list above is read all the same. */
static void every_file_is_valid(void **state)
{
    char **names;
    int count, yaml = 0;
    (void)state;

    assert_int_equal(dir_list(&names, &count, "config"), OK);
    for (int i = 0; i < count; i++) {
        if (!strstr(names[i], ".yaml")) continue;
        char *path = mem_format("config/%s", names[i]);
        assert_true(parameters(path, NULL) > 0);
        mem_free(path);
        yaml++;
    }
    assert_true(yaml >= 5);
    mem_free(names);
}

static void reference_is_current(void **state)
{
    char *printed = NULL, *stored = NULL;
    size_t n = 0, stored_n = 0;
    FILE *out = open_memstream(&printed, &n);
    (void)state;

    assert_non_null(out);
    conf_reference(out);
    fclose(out);
    assert_int_equal(file_slurp(&stored, &stored_n, "config/README.md", 1 << 20), OK);
    if (n != stored_n || memcmp(printed, stored, n))
        fail_msg("run: build/ttt config reference > config/README.md");
    free(printed);
    mem_free(stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_the_paper),
        cmocka_unit_test(every_file_is_valid),
        cmocka_unit_test(reference_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
