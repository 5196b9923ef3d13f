/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.jsonl: what is written is read back to the same bits; a torn line and
 * the lines of steps that will be done again vanish, nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/metrics.h"
#include "src/store/progress.h"

#include <cmocka.h>  /* last: it has macros named fail and skip */

static char path[] = "/tmp/ttt-test-metrics-XXXXXX";

static void put(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

static char *get(void)
{
    char *text;
    size_t n;
    assert_int_equal(file_slurp(&text, &n, path, 1 << 20), OK);
    return text;
}

static void same_bits(void **state)
{
    (void)state;
    static const double x[] = { 0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, -2.5, 10.37349 };
    struct metrics *m;

    put("");
    assert_int_equal(metrics_open(&m, path, 0), OK);
    for (int i = 0; i < 6; i++)
        metrics_write(m, json_pack("{s:s,s:i,s:o}", "kind", "step", "step", i, "loss_nats",
                                   metrics_real(x[i])));
    metrics_write(m, json_pack("{s:i,s:o,s:o}", "step", 7, "nan", metrics_real(NAN), "inf",
                               metrics_real(-INFINITY)));
    metrics_sync(m);
    metrics_close(m);

    char *text = get(), *line = text;
    for (int i = 0; i < 6; i++) {
        json_t *o = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        const double y = json_real_value(json_object_get(o, "loss_nats"));
        assert_memory_equal(&y, &x[i], sizeof y);
        json_decref(o);
        line = strchr(line, '\n') + 1;
    }
    assert_string_equal(line, "{\"step\":7,\"nan\":null,\"inf\":null}\n");
    mem_free(text);
}

static void goes_on(void **state)
{
    (void)state;
    static const struct { const char *before; int64_t step; const char *after; } c[] = {
        { "{\"step\":1}\n{\"step\":2}\n", 2, "{\"step\":1}\n{\"step\":2}\n" },
        { "{\"step\":1}\n{\"step\":2}\n", 1, "{\"step\":1}\n" },
        { "{\"step\":1}\n{\"step\":2}", 2, "{\"step\":1}\n" },              /* torn */
        { "{\"step\":1}\n{\"st", 2, "{\"step\":1}\n" },
        { "{\"step\":1}\n{\"st\n{\"step\":2}\n", 2, "{\"step\":1}\n{\"step\":2}\n" },
        { "[1]\n7\n{\"step\":\"1\"}\n{\"step\":0}\n", 2, "{\"step\":0}\n" },
        { "{\"step\":3}\n", 0, "" },
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        struct metrics *m;
        put(c[i].before);
        assert_int_equal(metrics_open(&m, path, c[i].step), OK);
        char *text = get();
        assert_string_equal(text, c[i].after);
        mem_free(text);

        metrics_write(m, json_pack("{s:i}", "step", 9));  /* and new lines follow what stayed */
        metrics_close(m);
        text = get();
        assert_int_equal(strncmp(text, c[i].after, strlen(c[i].after)), 0);
        assert_string_equal(text + strlen(c[i].after), "{\"step\":9}\n");
        mem_free(text);
    }
}

/* A file that can't grow is what a full disk looks like from here. */
static void full_disk(void **state)
{
    (void)state;
    struct metrics *m;
    struct rlimit old, tight;

    put("{\"step\":1}\n");
    assert_int_equal(metrics_open(&m, path, 1), OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    tight = old;
    tight.rlim_cur = 16;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    for (int i = 2; i < 5; i++) metrics_write(m, json_pack("{s:i}", "step", i));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    metrics_write(m, json_pack("{s:i}", "step", 5));
    metrics_close(m);

    char *text = get();  /* no half lines in between */
    assert_string_equal(text, "{\"step\":1}\n{\"step\":5}\n");
    mem_free(text);
}

static void evaluations(void **state)
{
    (void)state;
    struct metrics *m;

    put("{\"kind\":\"eval\",\"step\":3}\n{\"kind\":\"step\",\"step\":5}\n"
        "{\"kind\":\"eval\",\"step\":6}\n");
    assert_int_equal(metrics_open(&m, path, 5), OK);
    assert_int_equal(metrics_last_eval(m), 3);         /* that of step 6 will be done again */
    metrics_write(m, json_pack("{s:s,s:i}", "kind", "eval", "step", 7));
    metrics_write(m, json_pack("{s:s,s:i}", "kind", "step", "step", 8));
    assert_int_equal(metrics_last_eval(m), 7);
    metrics_close(m);
    assert_int_equal(metrics_open(&m, path, 1), OK);
    assert_int_equal(metrics_last_eval(m), -1);
    metrics_close(m);
}

static void not_a_file(void **state)
{
    (void)state;
    struct metrics *m;
    assert_int_equal(metrics_open(&m, "/nowhere/metrics.jsonl", 0), ERR_IO);
    assert_null(m);
    assert_int_equal(metrics_open(&m, "/dev/full", 0), ERR_IO);  /* would never end */
    assert_null(m);
}

static void line(void **state)
{
    (void)state;
    char text[PROGRESS_LINE];
    struct progress p = { .step = 12, .steps = 480, .loss_nats = log(50), .grad_norm = 0.8414,
                          .lr = 2.1e-3, .tok_per_s = 1283, .mfu = 0.6131, .inner = 0.871, .left_s = 4320,
                          .save_s = NAN };
    progress_line(text, &p);
    assert_string_equal(text, "step 12/480  loss 3.9120  ppl 50  1283 tok/s  mfu 61.3 %  "
                              "grad 0.841  lr 2.10e-03  inner 0.871  left 1h12m");
    p.inner = p.left_s = NAN;
    p.skipped = 2;
    p.save_s = 100;
    p.save_steps = 8;
    progress_line(text, &p);
    assert_string_equal(text, "step 12/480  loss 3.9120  ppl 50  1283 tok/s  mfu 61.3 %  "
                              "grad 0.841  lr 2.10e-03  skipped 2  save in 8 steps or 1m40s");
    p.loss_nats = 1e300;  /* whatever the numbers, the line ends */
    p.grad_norm = 1e300;
    progress_line(text, &p);
    assert_true(strlen(text) < PROGRESS_LINE);
}

static int temporary(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int removed(void **state)
{
    (void)state;
    return unlink(path) || mem_live_blocks() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits), cmocka_unit_test(goes_on), cmocka_unit_test(full_disk),
        cmocka_unit_test(evaluations), cmocka_unit_test(not_a_file), cmocka_unit_test(line),
    };
    return cmocka_run_group_tests(tests, temporary, removed);
}
