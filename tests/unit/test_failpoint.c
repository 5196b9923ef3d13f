/* SPDX-License-Identifier: Apache-2.0 */
/* Failpoints act at the hit they were told, and nowhere else; a rule that can't be read
 * ends the program. */
#include "tests/unit/store_test.h"

#include <signal.h>
#include <sys/wait.h>

#include "src/base/failpoint.h"

static void acts_at_its_hit(void **state)
{
    (void)state;
    failpoint_set("a#3=err,b=err,c#*=err,d=sleep:1");
    quiet(1);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(FAILPOINT("a"), i == 3 ? ERR_IO : OK);
        assert_int_equal(FAILPOINT("b"), i == 1 ? ERR_IO : OK);
        assert_int_equal(FAILPOINT("c"), ERR_IO);
        assert_int_equal(FAILPOINT("e"), OK);
    }
    quiet(0);
    assert_int_equal(failpoint_acted(), 3);
    assert_int_equal(FAILPOINT("d"), OK);
    assert_int_equal(failpoint_acted(), 4);
    failpoint_set(NULL);
    assert_int_equal(FAILPOINT("c"), OK);
    assert_int_equal(failpoint_acted(), 0);
}

/* Wait status of a child that passes point "x" under these rules. */
static int child_status(const char *rules)
{
    int status = 0;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        quiet(1);
        failpoint_set(rules);
        _exit(FAILPOINT("x") == OK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (WIFSTOPPED(status)) {
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    return status;
}

static void signals_and_bad_rules(void **state)
{
    (void)state;
    static const char *const bad[] = { "x", "x=", "=err", "x#0=err", "x#-1=err", "x#1k=err",
                                       "x=errr", "x=sleep", "x=sleep:", "x=sleep:1s", "x=err,,y" };
    assert_int_equal(WTERMSIG(child_status("x=kill")), SIGKILL);
    assert_true(WIFSTOPPED(child_status("x=stop")));
    assert_int_equal(WEXITSTATUS(child_status("x=err")), 1);
    assert_int_equal(WEXITSTATUS(child_status("y=kill")), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (WEXITSTATUS(child_status(bad[i])) != -ERR_USAGE) fail_msg("accepted: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acts_at_its_hit), cmocka_unit_test(signals_and_bad_rules),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
