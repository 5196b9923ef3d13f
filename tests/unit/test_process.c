/* SPDX-License-Identifier: Apache-2.0 */
/* A process is its number, its beginning, its user and what it was given: a signal reaches only one
 * that has all four. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/process.h"

#include <cmocka.h>

#define GIVEN "TTT_TEST=0123456789"

/* A program that waits, with `assignment` in its environment; as user `uid`, 0: as we are. */
static pid_t waiting(char *assignment, uid_t uid)
{
    char first[] = "FIRST=1", *const environment[] = { first, assignment, NULL };
    char path[64], text[7] = "";
    const pid_t pid = fork();

    if (pid == 0) {
        if (uid && (setgid(uid) != 0 || setuid(uid) != 0)) _exit(1);
        execle("/bin/sleep", "sleep", "60", NULL, environment);
        _exit(1);
    }
    snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
    for (int i = 0; i < 1000 && strcmp(text, "FIRST=") != 0; i++) {   /* until it is that program */
        usleep(10000);
        FILE *f = fopen(path, "r");
        if (f && fread(text, 1, 6, f) != 6) text[0] = '\0';
        if (f) fclose(f);
    }
    assert_string_equal(text, "FIRST=");
    return pid;
}

static int lives(pid_t pid) { return waitpid(pid, NULL, WNOHANG) == 0; }

static void end(pid_t pid)
{
    assert_true(lives(pid));   /* nothing that was refused has reached it */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void only_that_one(void **state)
{
    (void)state;
    char given[] = GIVEN, other[] = "TTT_TEST=0123456780", longer[] = GIVEN "0", inside[] = "X=" GIVEN;
    char *const wrong[] = { other, longer, inside };
    pid_t pid = waiting(given, 0);
    const int64_t born = process_born(pid);

    assert_true(born > 0 && strchr("SRD", process_state(pid, born)));
    assert_true(process_is_ours(pid, born, GIVEN));
    assert_false(process_state(pid, born + 1));
    assert_false(process_is_ours(pid, born - 1, GIVEN));
    assert_false(process_is_ours(pid, born, "TTT_TEST=012345678"));
    assert_false(process_is_ours(pid, born, "TTT_TEST="));
    assert_false(process_is_ours(pid, born, ""));
    assert_false(process_signal(pid, born + 1, GIVEN, SIGKILL));
    assert_false(process_signal(pid, born, "TTT_TEST=", SIGKILL));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const pid_t not = waiting(wrong[i], 0);
        assert_false(process_is_ours(not, process_born(not), GIVEN));
        assert_false(process_signal(not, process_born(not), GIVEN, SIGKILL));
        end(not);
    }

    int how;
    assert_true(lives(pid));
    assert_true(process_signal(pid, born, GIVEN, SIGABRT));
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
    assert_int_equal(process_born(pid), -1);
    assert_false(process_signal(pid, born, GIVEN, SIGKILL));
}

/* What has ended and was not waited for is no process; numbers that no process has are none. */
static void nobody(void **state)
{
    (void)state;
    static const int64_t none[] = { 0, -1, INT64_MIN, INT64_MAX, (int64_t)1 << 32 };
    const pid_t pid = fork();
    siginfo_t info;

    if (pid == 0) _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(process_born(pid), -1);
    waitpid(pid, NULL, 0);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(process_born(none[i]), -1);
        assert_false(process_is_ours(none[i], -1, GIVEN));
        assert_false(process_signal(none[i], -1, GIVEN, 0));
    }
}

/* More in the environment than is read at a time. */
static void long_environment(void **state)
{
    (void)state;
    char text[20000] = "TTT_TEST=", given[sizeof text];

    memset(text + 9, 'x', sizeof text - 10);
    memcpy(given, text, sizeof text);
    const pid_t pid = waiting(given, 0);
    assert_true(process_is_ours(pid, process_born(pid), text));
    text[sizeof text - 2] = 'y';
    assert_false(process_is_ours(pid, process_born(pid), text));
    end(pid);
}

static void of_another_user(void **state)
{
    (void)state;
    char given[] = GIVEN;

    if (geteuid() != 0) skip();
    const pid_t pid = waiting(given, 65534);
    assert_false(process_is_ours(pid, process_born(pid), GIVEN));
    assert_false(process_signal(pid, process_born(pid), GIVEN, SIGKILL));
    end(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_that_one), cmocka_unit_test(nobody),
        cmocka_unit_test(long_environment), cmocka_unit_test(of_another_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
