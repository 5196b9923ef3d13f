/* SPDX-License-Identifier: Apache-2.0 */
/* Words of command lines: a shell reads each as what it was, no program takes a path for an option,
 * and nothing secret is among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/launcher.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"

#include <cmocka.h>

/* What a shell makes of a line of words: each in < and >. */
static void said_by(char *out, size_t room, const char *shell, const char *line)
{
    char *text = mem_format("printf '<%%s>' %s", line);

    assert_int_equal(setenv("SCRIPT", text, 1), 0);
    char *command = mem_format("%s -c 'eval \"$SCRIPT\"' sh", shell);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    out[fread(out, 1, room - 1, f)] = '\0';
    assert_int_equal(pclose(f), 0);
    mem_free(command);
    mem_free(text);
}

static void as_they_were(const char *const words[])
{
    static const char *const shells[] = { "sh", "bash" };
    char *line = shell_line((char *const *)words), *want = mem_string("");
    static char got[1 << 16];

    for (int i = 0; words[i]; i++) {
        char *longer = mem_format("%s<%s>", want, words[i]);
        mem_free(want);
        want = longer;
    }
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        said_by(got, sizeof got, shells[i], line);
        assert_string_equal(got, want);
    }
    mem_free(line);
    mem_free(want);
}

static void a_shell_reads_them(void **state)
{
    (void)state;
    static char every[256];
    const char *const all[] = { every, NULL };
    static const char *const some[] = {
        "plain", "", "two  blanks ", "$(exit 9)", "`exit 9`", "it's", "''", "\"", "*?[a]", "~",
        "~root", "#x", "a=b", "-r", "--", "\\", "a\nb", "a\\\nb", "$HOME", "{a,b}", "!!",
        ";&|<>()", "\t", "h\xc3\xa4\xc3\x9f", "\xff", "if", "x'", "'", NULL,
    };

    for (int i = 1; i < 256; i++) every[i - 1] = (char)i;
    as_they_were(all);
    as_they_were(some);
    for (int trial = 0; trial < 20; trial++) {
        static char word[8][12];
        const char *words[9] = { NULL };
        for (int i = 0; i < 8; i++) {
            for (int k = 0; k < 11; k++) {
                const uint64_t x = rng_u64(7, (uint64_t)(trial * 100 + i * 12 + k));
                word[i][k] = x % 3 ? "'\"\\$`=~ a"[x / 3 % 9] : (char)(1 + x / 3 % 255);
            }
            words[i] = word[i];
        }
        as_they_were(words);
    }
}

/* What needs no quotes has none; what could be an assignment before a program needs them. */
static void for_people(void **state)
{
    (void)state;
    static const struct { const char *text, *word; } rows[] = {
        { "train.steps=3", "train.steps=3" }, { "--host", "--host" }, { "a:1,b:2", "a:1,b:2" },
        { "/opt/x-1.2/bin", "/opt/x-1.2/bin" }, { "A=b", "'A=b'" }, { "", "''" },
        { "a b", "'a b'" }, { "it's", "'it'\\''s'" }, { "50%", "50%" }, { "a\\b", "'a\\b'" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *word = shell_word(rows[i].text);
        assert_string_equal(word, rows[i].word);
        mem_free(word);
    }
}

static void paths(void **state)
{
    (void)state;
    static const char *const rows[][2] = { { "-r", "./-r" }, { ":", "./:" }, { "a-r", "a-r" },
                                           { "/-r", "/-r" }, { "./-r", "./-r" }, { "", "" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *path = word_path(rows[i][0]);
        assert_string_equal(path, rows[i][1]);
        mem_free(path);
    }
}

/* All users can read command lines. */
static void no_secrets(void **state)
{
    (void)state;
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct host hosts[2] = { { .name = "a", .slots = 1 }, { .name = "b", .slots = 1 } };
    const struct launch_opts o = { .file = "-r.yaml" };
    struct launch l = { .o = &o, .conf = c, .hosts = hosts, .n_hosts = 2, .ranks = 2,
                        .threads = 1 };
    const char *secret = l.token + LAUNCH_NAME - 1;

    unsetenv("MPIRUN");
    c->launch.mpirun_kind = MPIRUN_OPENMPI4;
    launch_token_make(l.token);
    for (int way = 0; way < 4; way++) {
        snprintf(l.job, sizeof l.job, "%s", way & 1 ? "7" : "");
        c->launch.slurm.start = START_SRUN;
        c->run.threads = way & 2 ? 1 : 0;
        l.by = NULL;
        assert_int_equal(launcher_find(&l), OK);
        char **words = launch_command(&l);
        int passed = way & 1, named = 0;
        for (int i = 0; words[i]; i++) {
            assert_null(strstr(words[i], secret));
            passed |= !strcmp(words[i], LAUNCH_VARIABLE) && !strcmp(words[i - 1], "-x");
            named |= !strcmp(words[i], "./-r.yaml");
        }
        assert_true(passed && named);
        assert_string_equal(words[0], way & 1 ? "srun" : "mpirun");
        mem_free(words);
        mem_free(l.mpirun);
    }
    mem_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shell_reads_them), cmocka_unit_test(for_people), cmocka_unit_test(paths),
        cmocka_unit_test(no_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
