/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a command line: every form gives the same values, what is wrong is refused and
 * named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/status.h"
#include "src/cli/args.h"

#include <cmocka.h>  /* last: its macro fail() is not ours */

struct values { int json; int64_t n, j; double t; const char *out; struct arg_list set; };

/* Parse a line of words divided by blanks. */
static int parse(struct values *v, struct arg_rest *rest, const char *line)
{
    static char text[4096];
    static char *argv[256];
    const struct arg args[] = {
        { "json", ARG_FLAG, &v->json, NULL, "print JSON" },
        { "count", ARG_INT, &v->n, "N", "how many" },
        { "j", ARG_INT, &v->j, "N", "threads" },
        { "temperature", ARG_DOUBLE, &v->t, "X", "softmax temperature" },
        { "out", ARG_TEXT, &v->out, "FILE", "where to" },
        { "set", ARG_LIST, &v->set, "KEY=VALUE", "override" },
    };
    int argc = 0;

    snprintf(text, sizeof text, "%s", line);
    for (char *w = strtok(text, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    memset(v, 0, sizeof *v);
    return args_parse(rest, argc, argv, args, 6, "ttt x FILE", "About x.");
}

static void every_form(void **state)
{
    static const char *lines[] = {
        "x a --count 7 b --json -j 2 --temperature 0.5 --out f",
        "x --count=7 --json -j2 --temperature=5e-1 --out=f a b",
        "x --out f --json a --temperature .5 -j 2 -- b --count", /* the last: without count */
    };
    struct values v;
    struct arg_rest rest;
    (void)state;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(parse(&v, &rest, lines[i]), OK);
        assert_int_equal(rest.n, i == 2 ? 3 : 2);
        assert_string_equal(rest.v[0], "a");
        assert_string_equal(rest.v[1], "b");
        assert_int_equal(v.n, i == 2 ? 0 : 7);
        assert_int_equal(v.json, 1);
        assert_int_equal(v.j, 2);
        assert_true(v.t == 0.5);
        assert_string_equal(v.out, "f");
    }
    assert_string_equal(rest.v[2], "--count");
}

static void lists_and_dashes(void **state)
{
    struct values v;
    struct arg_rest rest;
    (void)state;

    assert_int_equal(parse(&v, &rest, "x --set a=1 - --set=b=2 --out - --count -3"), OK);
    assert_int_equal(rest.n, 1);
    assert_string_equal(rest.v[0], "-");
    assert_int_equal(v.set.n, 2);
    assert_string_equal(v.set.v[0], "a=1");
    assert_string_equal(v.set.v[1], "b=2");
    assert_string_equal(v.out, "-");
    assert_int_equal(v.n, -3);

    assert_int_equal(parse(&v, &rest, "x"), OK);
    assert_int_equal(rest.n, 0);
}

static void refused(void **state)
{
    static const struct { const char *line, *says; } bad[] = {
        { "x --jsn", "did you mean --json?" },
        { "x --tempreature 1", "did you mean --temperature?" },
        { "x --zzzz", "--help lists the options" },
        { "x -z", "-z is not an option" },
        { "x -json", "-j: expected a whole number" },
        { "x --j 2", "--j is not an option (did you mean -j?)" },
        { "x --json=1", "--json takes no value" },
        { "x --json --json", "--json is given twice" },
        { "x --count 1 --count=2", "--count is given twice" },
        { "x --count", "--count: N is missing" },
        { "x --out", "--out: FILE is missing" },
        { "x --count=", "expected a whole number, found ''" },
        { "x --count 1.5", "found '1.5'" },
        { "x --count 1e3", "found '1e3'" },
        { "x --count 0x10", "found '0x10'" },
        { "x --count 010", "found '010'" },
        { "x --temperature 010", "found '010'" },
        { "x --count 9223372036854775808", "found '9223372036854775808'" },
        { "x --count 12abc", "found '12abc'" },
        { "x --temperature nan", "expected a number, found 'nan'" },
        { "x --temperature inf", "found 'inf'" },
        { "x --temperature 1e999", "found '1e999'" },
        { "x --temperature 1e-999", "found '1e-999'" },
        { "x --temperature 0x1p3", "found '0x1p3'" },
        { "x --temperature 1e", "found '1e'" },
        { "x --temperature .", "found '.'" },
        { "x --temperature 1,5", "found '1,5'" },
    };
    struct values v;
    struct arg_rest rest;
    char many[2048] = "x";
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(&v, &rest, bad[i].line), ERR_USAGE);
        if (!strstr(log_last_error(), bad[i].says))
            fail_msg("'%s' says '%s'", bad[i].line, log_last_error());
    }
    for (int i = 0; i < 65; i++) strcat(many, " --set a=1");
    assert_int_equal(parse(&v, &rest, many), ERR_USAGE);
}

/* A command of several uses refuses what the one at hand does not read. */
static void what_is_not_read(void **state)
{
    struct values v = { 0 };
    struct arg_rest rest;
    const struct arg args[] = {
        { "json", ARG_FLAG, &v.json, NULL, "print JSON" },
        { "count", ARG_INT, &v.n, "N", "how many" },
        { "count-all", ARG_INT, &v.n, "N", "how many of all" },
        { "j", ARG_INT, &v.j, "N", "threads" },
    };
    char *argv[] = { "x", "--count", "0", "a", "-j1", NULL };
    (void)state;

    assert_int_equal(args_parse(&rest, 5, argv, args, 4, "ttt x", NULL), OK);
    assert_int_equal(rest.n, 1);
    assert_true(args_given(&rest, "count"));
    assert_true(args_given(&rest, "j"));
    assert_false(args_given(&rest, "json"));
    assert_int_equal(args_only(&rest, "a", "j count"), OK);
    assert_int_equal(args_only(&rest, "a", "count-all count json j"), OK);
    assert_int_equal(args_only(&rest, "a", "count-all json j"), ERR_USAGE);
    assert_non_null(strstr(log_last_error(), "a does not read --count"));
    assert_int_equal(args_only(&rest, "b", "json count"), ERR_USAGE);
    assert_non_null(strstr(log_last_error(), "b does not read -j"));
    assert_int_equal(args_only(&rest, "a", ""), ERR_USAGE);
}

static void help_ends_it(void **state)
{
    struct values v;
    struct arg_rest rest;
    (void)state;

    assert_int_equal(parse(&v, &rest, "x a --help --nonsense"), OK);
    assert_int_equal(rest.n, -1);
    assert_int_equal(parse(&v, &rest, "x -h"), OK);
    assert_int_equal(rest.n, -1);
    assert_int_equal(parse(&v, &rest, "x -- --help"), OK);
    assert_int_equal(rest.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form),
        cmocka_unit_test(lists_and_dashes),
        cmocka_unit_test(refused),
        cmocka_unit_test(what_is_not_read),
        cmocka_unit_test(help_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
