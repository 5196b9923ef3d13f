/* SPDX-License-Identifier: Apache-2.0 */
/* launch.slurm of a configuration: sections in sections, words, lists, times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/base/status.h"
#include "src/conf/conf.h"

#include <cmocka.h>

#define HEAD "data: {train: d}\n"

static void read_text(struct conf *c, const char *text, char *const *sets, int n_sets)
{
    assert_int_equal(conf_parse(c, text, strlen(text), "t.yaml", sets, n_sets, NULL), OK);
}

static void words_and_lists(void **state)
{
    char *const sets[] = { "launch.slurm.modules=zlib", "launch.slurm.modules=gcc",
                           "launch.slurm.source=", "launch.slurm.account=" };
    struct conf c;
    (void)state;

    read_text(&c, HEAD "launch:\n  slurm:\n    nodes: 2\n    constraint: '[a|b]*2'\n"
                  "    modules: [gcc/12, openmpi]\n    source: env.sh\n"
                  "    environment:\n      - A=1\n      - 'B=$HOME \"x\"'\n", NULL, 0);
    assert_int_equal(c.launch.slurm.nodes, 2);
    assert_int_equal(c.launch.slurm.min_nodes, 2);
    assert_string_equal(c.launch.slurm.constraint, "[a|b]*2");
    assert_string_equal(c.launch.slurm.modules, "gcc/12\nopenmpi");
    assert_string_equal(c.launch.slurm.source, "env.sh");
    assert_string_equal(c.launch.slurm.environment, "A=1\nB=$HOME \"x\"");

    read_text(&c, HEAD "launch: {slurm: {modules: [a, b], source: [x], account: y}}\n", sets, 4);
    assert_string_equal(c.launch.slurm.modules, "gcc");  /* the last one wins */
    assert_string_equal(c.launch.slurm.source, "");
    assert_string_equal(c.launch.slurm.account, "");
}

/* An override of a list is one text, or a list as YAML writes it. */
static void lists_by_override(void **state)
{
    static const struct { const char *text, *want; } rows[] = {
        { "a", "a" }, { "[a]", "a" }, { "[a,b]", "a\nb" }, { "[a, 'b, c' , \"d\"]", "a\nb, c\nd" },
        { "[]", "" }, { "", "" }, { "a,b", "a,b" },
    };
    static const char *const bad[] = { "[a", "[a]b", "[a] [b]", "[[a]]", "[a: b]", "[a,'']", "[*a]",
                                       "[\xff]", "[&a b]" };
    struct conf c;
    char set[128], *const sets[] = { set };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(set, sizeof set, "launch.slurm.source=%s", rows[i].text);
        read_text(&c, HEAD "launch: {slurm: {source: [x, y]}}\n", sets, 1);
        assert_string_equal(c.launch.slurm.source, rows[i].want);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(set, sizeof set, "launch.slurm.source=%s", bad[i]);
        assert_int_equal(conf_parse(&c, HEAD, strlen(HEAD), "t.yaml", sets, 1, NULL), ERR_CONFIG);
    }
}

static void times(void **state)
{
    static const struct { const char *text; int64_t seconds; } list[] = {
        { "90", 5400 }, { "1:30", 90 }, { "2:00:01", 7201 }, { "1-00", 86400 }, { "1-1:1", 90060 },
        { "3-02:01:05", 266465 }, { "", -1 }, { "1-", -1 }, { "-1", -1 }, { "1:2:3:4", -1 },
        { "1-2-3", -1 }, { "1-1:1:1:1", -1 }, { "1h", -1 }, { ":1", -1 }, { "UNLIMITED", -1 },
        { "99999999", -1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        assert_int_equal(conf_slurm_time(list[i].text), list[i].seconds);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(words_and_lists),
                                         cmocka_unit_test(lists_by_override),
                                         cmocka_unit_test(times) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
