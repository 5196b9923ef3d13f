/* SPDX-License-Identifier: Apache-2.0 */
/* One owner of a run: starts that race, owners that died, owners on other machines. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "src/base/log.h"
#include "src/store/fence.h"
#include "tests/unit/store_test.h"

static char *run_dir(const char *name) { return mem_format("%s/%s", work, name); }

/* A process that takes the fence, tells what it got, and waits to be killed. */
static pid_t owner(const char *dir, int takeover, int *rc)
{
    int tell[2];
    assert_int_equal(pipe(tell), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        struct fence f;
        int got = fence_take(&f, dir, takeover);
        if (write(tell[1], &got, sizeof got) != sizeof got) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(tell[0], rc, sizeof *rc), sizeof *rc);
    close(tell[0]);
    close(tell[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void alive_dead_ended(void **state)
{
    (void)state;
    char *dir = run_dir("a");
    struct fence f;
    struct fence_owner o;
    int rc;

    assert_int_equal(fence_read(&o, dir), OK);
    assert_int_equal(o.life, FENCE_NONE);
    const pid_t pid = owner(dir, 0, &rc);
    assert_int_equal(rc, OK);
    assert_int_equal(fence_read(&o, dir), OK);
    assert_true(o.life == FENCE_ALIVE && o.pid == pid && o.number == 1);
    assert_int_equal(fence_take(&f, dir, 0), ERR_OWNER);
    assert_non_null(strstr(log_last_error(), "--takeover"));
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
    assert_int_equal(fence_read(&o, dir), OK);      /* what is left of it does not count */
    assert_int_equal(o.life, FENCE_DEAD);
    waitpid(pid, NULL, 0);
    assert_int_equal(fence_take(&f, dir, 0), OK);
    assert_int_equal(f.number, 2);
    assert_int_equal(fence_check(&f), OK);
    assert_false(fence_lost(&f));
    fence_end(&f, 85);
    assert_int_equal(fence_read(&o, dir), OK);
    assert_true(o.life == FENCE_ENDED && o.status == 85);
    mem_free(dir);
}

/* A file in fence/ that a process was writing. */
static void half_written(const char *dir, const char *name)
{
    char *path = mem_format("%s/fence/%s", dir, name);
    put_file(path, "{\"pid\"", 6);
    mem_free(path);
}

static int there(const char *dir, const char *name)
{
    char *path = mem_format("%s/fence/%s", dir, name);
    const int yes = path_exists(path);
    mem_free(path);
    return yes;
}

/* What killed processes were writing goes with the next start; what a living one may be writing,
 * and what is none of ours, stays. */
static void left_behind(void **state)
{
    (void)state;
    char *dir = run_dir("left");
    struct fence f;
    int rc;

    const pid_t dead = owner(dir, 0, &rc);
    end(dead);
    const pid_t alive = owner(dir, 0, &rc);
    assert_int_equal(rc, OK);
    half_written(dir, "000001.tmp");    /* of the dead one                     */
    half_written(dir, "000002.tmp");    /* of the living one                   */
    half_written(dir, "000004.tmp");    /* somebody who starts right now       */
    half_written(dir, "notes.tmp");
    half_written(dir, "000001.tmp.tmp");
    half_written(dir, "1.tmp");
    assert_int_equal(fence_take(&f, dir, 1), OK);
    assert_int_equal(f.number, 3);
    assert_false(there(dir, "000001.tmp"));
    assert_true(there(dir, "000002.tmp"));
    assert_true(there(dir, "000004.tmp"));
    assert_true(there(dir, "notes.tmp"));
    assert_true(there(dir, "000001.tmp.tmp"));
    assert_true(there(dir, "1.tmp"));
    end(alive);
    fence_end(&f, 0);
    assert_int_equal(fence_take(&f, dir, 0), OK);
    assert_false(there(dir, "000002.tmp"));
    fence_end(&f, 0);

    /* Through a link nothing is removed. */
    char *fence = mem_format("%s/fence", dir), *other = run_dir("left-other");
    char *link = mem_format("%s/fence", other);
    half_written(dir, "000003.tmp");
    assert_int_equal(mkdir(other, 0777), 0);
    assert_int_equal(symlink(fence, link), 0);
    assert_int_equal(fence_take(&f, other, 0), OK);
    assert_true(there(dir, "000003.tmp") && there(dir, "000001"));
    fence_end(&f, 0);
    mem_free(fence);
    mem_free(other);
    mem_free(link);
    mem_free(dir);
}

static void taken_over(void **state)
{
    (void)state;
    char *dir = run_dir("b");
    struct fence f;
    int rc;

    assert_int_equal(fence_take(&f, dir, 0), OK);
    const pid_t pid = owner(dir, 1, &rc);
    assert_int_equal(rc, OK);
    assert_true(fence_lost(&f));
    assert_int_equal(fence_check(&f), ERR_OWNER);
    fence_end(&f, 75);                              /* and that changes nothing for the other */
    assert_int_equal(fence_take(&f, dir, 0), ERR_OWNER);
    end(pid);
    assert_int_equal(fence_take(&f, dir, 0), OK);
    fence_end(&f, 0);
    mem_free(dir);
}

/* Another machine's owner, as text: key replaced. */
static int take_after(const char *dir, const char *text, const char *variable, const char *value)
{
    char *path = mem_format("%s/fence", dir), *file = mem_format("%s/fence/000001", dir);
    struct fence f;

    assert_int_equal(dir_make(path), OK);
    assert_int_equal(file_replace(file, text, strlen(text)), OK);
    if (variable) setenv(variable, value, 1);
    const int rc = fence_take(&f, dir, 0);
    if (rc == OK) fence_end(&f, 0);
    if (variable) unsetenv(variable);
    mem_free(path);
    mem_free(file);
    return rc;
}

static void elsewhere(void **state)
{
    (void)state;
    char *dir[9];
    static const char there[] = "{\"pid\":1,\"host\":\"elsewhere\",\"boot\":\"b\",\"launch\":\"abc\","
                                "\"job\":\"17\",\"job_restarts\":0,\"seen\":1}";
    for (int i = 0; i < 9; i++) dir[i] = mem_format("%s/c%d", work, i);

    assert_int_equal(take_after(dir[0], there, NULL, NULL), ERR_OWNER);
    assert_non_null(strstr(log_last_error(), "nobody can tell"));
    assert_int_equal(take_after(dir[1], there, "TTT_LAUNCH", "abcd"), ERR_OWNER);
    assert_int_equal(take_after(dir[2], there, "TTT_LAUNCH", "abc"), OK);
    assert_int_equal(take_after(dir[3], there, "SLURM_JOB_ID", "17"), ERR_OWNER);
    setenv("SLURM_RESTART_COUNT", "1", 1);
    assert_int_equal(take_after(dir[4], there, "SLURM_JOB_ID", "18"), ERR_OWNER);
    assert_int_equal(take_after(dir[5], there, "SLURM_JOB_ID", "17"), OK);
    unsetenv("SLURM_RESTART_COUNT");
    assert_int_equal(take_after(dir[6], "{\"host\":\"elsewhere\",\"status\":0}", NULL, NULL), OK);
    /* A file that nobody finished is nobody's: after two seconds. */
    assert_int_equal(take_after(dir[7], "", NULL, NULL), OK);
    assert_int_equal(take_after(dir[8], "{\"pid\":", NULL, NULL), OK);
    for (int i = 0; i < 9; i++) mem_free(dir[i]);
}

/* Many starts at the same moment: one owner. */
static void race(void **state)
{
    (void)state;
    enum { N = 20 };

    for (int round = 0; round < 20; round++) {
        char *dir = mem_format("%s/r%d", work, round);
        pid_t pid[N];
        int go[2], tell[2], winners = 0, rc;

        assert_int_equal(pipe(go) | pipe(tell), 0);
        for (int i = 0; i < N; i++)
            if ((pid[i] = fork()) == 0) {
                struct fence f;
                char c;
                log_speaker(0);
                close(go[1]);
                if (read(go[0], &c, 1) != 0) _exit(1);
                rc = fence_take(&f, dir, 0);
                if (write(tell[1], &rc, sizeof rc) != sizeof rc) _exit(1);
                for (;;) pause();
            }
        close(go[0]);
        close(go[1]);
        for (int i = 0; i < N; i++) {
            assert_int_equal(read(tell[0], &rc, sizeof rc), sizeof rc);
            assert_true(rc == OK || rc == ERR_OWNER);
            winners += rc == OK;
        }
        assert_int_equal(winners, 1);
        for (int i = 0; i < N; i++) end(pid[i]);
        close(tell[0]);
        close(tell[1]);
        mem_free(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alive_dead_ended), cmocka_unit_test(left_behind), cmocka_unit_test(taken_over),
        cmocka_unit_test(elsewhere), cmocka_unit_test(race),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
