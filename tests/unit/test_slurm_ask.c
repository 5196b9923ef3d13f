/* SPDX-License-Identifier: Apache-2.0 */
/* What SLURM's tools answer, and what they do not: stand-ins in PATH that fail, hang and talk. */

#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "jobs/slurm_ask.h"
#include "jobs/tool.h"
#include "src/base/rng.h"
#include "tests/unit/store_test.h"

/* A stand-in for a program. */
static void fake(const char *name, const char *text)
{
    char *path = mem_format("%s/bin/%s", work, name), *script = mem_format("#!/bin/sh\n%s\n", text);
    put_file(path, script, strlen(script));
    assert_int_equal(chmod(path, 0755), 0);
    mem_free(script);
    mem_free(path);
}

static int set_up(void **state)
{
    if (work_make(state) != 0) return -1;
    char *bin = mem_format("%s/bin", work), *path = mem_format("%s:/usr/bin:/bin", bin);
    setenv("PATH", path, 1);
    setenv("TTT_SLURM_WAIT_S", "60", 1);
    const int rc = dir_make(bin);
    mem_free(bin);
    mem_free(path);
    return rc;
}

/* --- what a line says ------------------------------------------------------------ */

static enum slurm_state queue_state(const char *id, const char *lines, int *form)
{
    struct slurm_fact f = { .state = SLURM_GONE };
    char *text = mem_string(lines), odd[64];

    snprintf(f.id, sizeof f.id, "%s", id);
    *form = slurm_read_queue(&f, 1, text, odd);
    mem_free(text);
    return f.state;
}

static void words_of_states(void **state)
{
    (void)state;
    static const struct { const char *word; enum slurm_state is; } all[] = {
        { "PENDING", SLURM_PENDING }, { "REQUEUED", SLURM_PENDING }, { "CONFIGURING", SLURM_PENDING },
        { "REQUEUE_HOLD", SLURM_PENDING }, { "SPECIAL_EXIT", SLURM_PENDING },
        { "RUNNING", SLURM_RUNNING }, { "SUSPENDED", SLURM_SUSPENDED }, { "COMPLETING", SLURM_ENDING },
        { "COMPLETED", SLURM_COMPLETED }, { "FAILED", SLURM_FAILED }, { "NODE_FAIL", SLURM_NODE_FAIL },
        { "CANCELLED", SLURM_CANCELLED }, { "CANCELLED by 1000", SLURM_CANCELLED },
        { "CANCELLED+", SLURM_CANCELLED }, { "OUT_OF_ME+", SLURM_OUT_OF_MEMORY },
        { "OUT_OF_MEMORY", SLURM_OUT_OF_MEMORY }, { "TIMEOUT", SLURM_TIMEOUT },
        { "PREEMPTED", SLURM_PREEMPTED }, { "BOOT_FAIL", SLURM_BOOT_FAIL },
        { "DEADLINE", SLURM_DEADLINE }, { "WARTEND", SLURM_UNKNOWN }, { "COMPLETE", SLURM_UNKNOWN },
        { "pending", SLURM_UNKNOWN }, { "+", SLURM_UNKNOWN }, { "FAILEDX", SLURM_UNKNOWN },
    };
    int form;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *line = mem_format("7|7|%s|N/A|None\n", all[i].word);
        if (queue_state("7", line, &form) != all[i].is) fail_msg("%s", all[i].word);
        assert_int_equal(form, 1);
        mem_free(line);
    }
}

/* The number of an array is that of one of its tasks, and of all that wait. */
static void which_job(void **state)
{
    (void)state;
    static const char array[] = "101|100_0|RUNNING|2026-11-29T10:00:00|None\n"
                                "100|100_2|PENDING|N/A|JobArrayTaskLimit\n\n"
                                "100|100_3|PENDING|N/A|JobArrayTaskLimit\r\n"
                                "100|100_[5-7,9%2]|PENDING|N/A|Priority\n";
    static const struct { const char *id; enum slurm_state is; } all[] = {
        { "100_0", SLURM_RUNNING }, { "101", SLURM_RUNNING }, { "100_2", SLURM_PENDING },
        { "100_6", SLURM_PENDING }, { "100_9", SLURM_PENDING }, { "100_8", SLURM_GONE },
        { "100_1", SLURM_GONE }, { "10", SLURM_GONE }, { "1", SLURM_GONE }, { "100_22", SLURM_GONE },
        { "100", SLURM_GONE },  /* the task of that number: it has ended */
    };
    int form;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (queue_state(all[i].id, array, &form) != all[i].is) fail_msg("%s", all[i].id);
    assert_int_equal(queue_state("100", "100|100_4|RUNNING|N/A|None\n", &form), SLURM_RUNNING);
}

static void odd_lines(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "PENDING\n", "7|PENDING\n", "x|7|PENDING|N/A|None\n", "|7|PENDING|N/A|None\n",
        "7|x|PENDING|N/A|None\n", "7|7||N/A|None\n", "slurm: not today\n", "\xff\xfe\n",
        "7|7|PENDING|N/A\n", "JOBID|JOBID|STATE|START_TIME|REASON\n",
    };
    int form;

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        queue_state("7", odd[i], &form);
        if (form) fail_msg("%s", odd[i]);
    }
    queue_state("7", "", &form);
    assert_int_equal(form, 1);
}

static void reason_and_start(void **state)
{
    (void)state;
    char line[] = "7|7|PENDING|2026-11-29T22:30:05|ReqNodeNotAvail, UnavailableNodes:n[1-2]|x\n"
                  "8|8|RUNNING|N/A|None", odd[64];
    struct slurm_fact f[2] = { { .id = "7" }, { .id = "8" } };
    const time_t then = mktime(&(struct tm){ .tm_year = 126, .tm_mon = 10, .tm_mday = 29, .tm_hour = 22,
                                             .tm_min = 30, .tm_sec = 5, .tm_isdst = -1 });

    assert_int_equal(slurm_read_queue(f, 2, line, odd), 1);
    assert_string_equal(f[0].why, "ReqNodeNotAvail, UnavailableNodes:n[1-2]|x");
    assert_string_equal(f[0].word, "PENDING");
    assert_true(f[0].began == (double)then);
    assert_string_equal(f[1].why, "");
    assert_true(isnan(f[1].began));
}

static void history(void **state)
{
    (void)state;
    char text[] = "7|7|FAILED|78:0\n8|8|CANCELLED by 1000|0:0\n9|9|RUNNING|0:0\n"
                  "10|10|RUNNING|0:0\n11|11|OUT_OF_MEMORY|0:9\n12|12|COMPLETED|0:0\n", odd[64];
    struct slurm_fact f[] = {
        { .id = "7", .state = SLURM_GONE }, { .id = "8", .state = SLURM_GONE },
        { .id = "9", .state = SLURM_GONE }, { .id = "10", .state = SLURM_UNKNOWN },
        { .id = "11", .state = SLURM_GONE }, { .id = "12", .state = SLURM_PENDING },
    };

    assert_int_equal(slurm_read_history(f, 6, text, odd), 1);
    assert_true(f[0].state == SLURM_FAILED && !strcmp(f[0].why, "exit code 78"));
    assert_true(f[1].state == SLURM_CANCELLED && !strcmp(f[1].word, "CANCELLED by 1000"));
    assert_int_equal(f[2].state, SLURM_GONE);     /* the accounts are late                */
    assert_int_equal(f[3].state, SLURM_RUNNING);  /* squeue said nothing                  */
    assert_true(f[4].state == SLURM_OUT_OF_MEMORY && !strcmp(f[4].why, "signal 9"));
    assert_int_equal(f[5].state, SLURM_PENDING);  /* what squeue said stays, it is newer  */
}

/* Lines with bytes of chance: whatever is made of them, strings end and states are states. */
static void any_bytes(void **state)
{
    (void)state;
    static const char seed[] = "101|100_0|RUNNING|2026-11-29T10:00:00|None\n"
                               "100|100_[5-7,9%2]|PENDING|78:0|Priority\n7|7|CANCELLED by 1|0:9\n";
    char text[sizeof seed], odd[64];

    for (uint64_t i = 0; i < 20000; i++) {
        struct slurm_fact f[] = { { .id = "7" }, { .id = "100_6" }, { .id = "100_99" } };
        for (int k = 0; k < 2; k++) {
            memcpy(text, seed, sizeof seed);
            for (uint64_t n = rng_u64(1, i) % 8; n > 0; n--)
                text[rng_u64(2, 8 * i + n) % (sizeof seed - 1)] = (char)rng_u64(3, 8 * i + n);
            if (k) slurm_read_history(f, 3, text, odd);
            else slurm_read_queue(f, 3, text, odd);
            for (int j = 0; j < 3; j++) {
                assert_true((int)f[j].state >= 0 && f[j].state < SLURM_STATES);
                assert_true(memchr(f[j].word, 0, sizeof f[j].word) && memchr(f[j].why, 0, sizeof f[j].why));
            }
        }
    }
}

/* --- asking ---------------------------------------------------------------------- */

static enum slurm_state ask(const char *id, char why[256], int older)
{
    struct slurm_fact f[2] = { { .id = "" } };
    snprintf(f[0].id, sizeof f[0].id, "%s", id);
    slurm_ask(f, 2);
    if (older) slurm_ask_history(f, 2);
    assert_int_equal(f[1].state, SLURM_NONE);
    if (why) snprintf(why, 256, "%s", f[0].why);
    return f[0].state;
}

static void no_answer(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "exit 1", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1",
        "kill -SEGV $$", "sleep 1000", "sleep 1000 & sleep 1000", "trap '' TERM; while :; do sleep 1; done",
        "echo PENDING", "echo 'squeue: command moved to slurm-squeue'", "yes 7",
        "echo '7|7|WARTEND|N/A|None'",
    };
    char why[256];

    setenv("TTT_SLURM_WAIT_S", "1", 1);
    fake("sacct", "exit 1");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fake("squeue", bad[i]);
        if (ask("7", why, 0) != SLURM_UNKNOWN || !why[0]) fail_msg("%s", bad[i]);
    }
    fake("squeue", bad[1]);
    ask("7", why, 1);
    assert_string_equal(why, "squeue: slurm_load_jobs error: Unable to contact slurm controller");
    assert_int_equal(unlink(at("bin/squeue")), 0);
    setenv("PATH", at("bin"), 1);
    assert_int_equal(ask("7", why, 1), SLURM_UNKNOWN);
    assert_string_equal(why, "squeue: it is not installed here");
    set_up(state);
}

static void answers(void **state)
{
    (void)state;

    fake("sacct", "echo \"$@\" >&2; exit 1");
    fake("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1");
    assert_int_equal(ask("7", NULL, 1), SLURM_GONE);
    fake("squeue", "");
    assert_int_equal(ask("7", NULL, 1), SLURM_GONE);
    fake("sacct", "echo '7|7|TIMEOUT|0:0'");
    assert_int_equal(ask("7", NULL, 0), SLURM_GONE);
    assert_int_equal(ask("7", NULL, 1), SLURM_TIMEOUT);
    fake("squeue", "exit 1");
    assert_int_equal(ask("7", NULL, 1), SLURM_TIMEOUT);
    assert_int_equal(ask("", NULL, 1), SLURM_NONE);
    assert_int_equal(ask("7; reboot", NULL, 1), SLURM_NONE);
    assert_int_equal(ask("--help", NULL, 1), SLURM_NONE);
}

/* What users set for their own eyes does not change what we read. */
static void settings_of_users(void **state)
{
    (void)state;
    char why[256];

    setenv("SQUEUE_STATES", "RUNNING", 1);
    setenv("SLURM_TIME_FORMAT", "relative", 1);
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    setenv("SLURM_CONF", "/kept", 1);
    fake("squeue", "[ -z \"$SQUEUE_STATES$SLURM_TIME_FORMAT\" ] && [ $LC_ALL$SLURM_CONF = C/kept ] && "
                   "echo '7|7|PENDING|N/A|Priority'");
    assert_int_equal(ask("7", why, 0), SLURM_PENDING);
    assert_string_equal(why, "Priority");
    unsetenv("SLURM_CONF");
}

/* Two arrays of which each is asked for once, and one job twice. */
static void one_question(void **state)
{
    (void)state;
    struct slurm_fact f[] = { { .id = "100_0" }, { .id = "100_1" }, { .id = "7" }, { .id = "200_3" },
                              { .id = "7" }, { .id = "100_2" } };

    fake("sacct", "for w; do case $w in --jobs=*) [ $w = --jobs=100 ] || exit 1; esac; done\n"
                  "echo '103|100_2|FAILED|1:0'");
    fake("squeue", "for w; do case $w in --jobs=*) [ $w = --jobs=100,7,200 ] || exit 1; esac; done\n"
                   "echo '101|100_0|RUNNING|N/A|None'; echo '100|100_1|PENDING|N/A|Resources'\n"
                   "echo '7|7|COMPLETED|N/A|None'; echo '200|200_3|PENDING|N/A|Resources'");
    slurm_ask(f, 6);
    slurm_ask_history(f, 6);
    assert_int_equal(f[0].state, SLURM_RUNNING);
    assert_int_equal(f[1].state, SLURM_PENDING);
    assert_int_equal(f[2].state, SLURM_COMPLETED);
    assert_int_equal(f[3].state, SLURM_PENDING);
    assert_int_equal(f[4].state, SLURM_COMPLETED);
    assert_int_equal(f[5].state, SLURM_FAILED);
}

/* A parent that ignores SIGCHLD takes the exit codes of children away. */
static void exit_codes(void **state)
{
    (void)state;
    char out[16];

    fake("tool", "echo out; exit 3");
    signal(SIGCHLD, SIG_IGN);
    assert_int_equal(tool(out, sizeof out, 1, "tool"), 3);
    assert_string_equal(out, "out\n");
    fake("tool", "echo much too much to fit");
    assert_int_equal(tool(out, sizeof out, 1, "tool"), TOOL_LONG);
    assert_string_equal(out, "much too much t");
    fake("tool", "kill -KILL $$");
    assert_int_equal(tool(out, sizeof out, 1, "tool"), 128 + SIGKILL);
    assert_int_equal(tool(out, sizeof out, 1, "/nowhere/tool"), TOOL_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_states), cmocka_unit_test(which_job), cmocka_unit_test(odd_lines),
        cmocka_unit_test(reason_and_start), cmocka_unit_test(history), cmocka_unit_test(any_bytes),
        cmocka_unit_test(no_answer),
        cmocka_unit_test(answers), cmocka_unit_test(settings_of_users), cmocka_unit_test(one_question),
        cmocka_unit_test(exit_codes),
    };
    return cmocka_run_group_tests(tests, set_up, work_remove);
}
