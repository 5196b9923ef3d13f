/* SPDX-License-Identifier: Apache-2.0 */
/* Saving under every fault that can be injected: killed anywhere, failing anywhere; what
 * retention keeps; what is taken when the newest is damaged. */
#include "tests/unit/store_test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "src/base/failpoint.h"
#include "src/base/log.h"
#include "src/store/ckpt.h"

static const char *self;  /* this program, which is its own victim */

static const char *const points[] = {
    "ckpt.begin", "ckpt.after_mkdir", "ckpt.tile", "ckpt.before_data_fsync",
    "ckpt.after_data_fsync", "ckpt.before_manifest", "file.write", "file.fsync",
    "file.before_rename", "file.after_rename", "ckpt.after_manifest", "ckpt.after_verify",
    "ckpt.before_retain", "ckpt.headless",
};
#define POINTS (sizeof points / sizeof *points)

/* State number k of a run, into the folder of checkpoints. */
static int save(const char *dir, int64_t k, int keep, int64_t keep_every, struct hash *root)
{
    float x[67], y[5] = { 0 };
    const struct tensor t[] = { { "x", DT_F32, 1, { 67 }, x }, { "y", DT_F32, 1, { 5 }, y } };
    const struct ckpt_meta meta = { .step = k };
    const struct ckpt_opts opts = { .level = 1, .keep = keep, .keep_every = keep_every };
    for (int i = 0; i < 67; i++) x[i] = (float)(k * 100 + i);
    return ckpt_save(dir, t, 2, &meta, &opts, root);
}

/* Step of the newest valid one, or the status. */
static int64_t newest(const char *dir, const char *quarantine)
{
    struct ckpt *c = NULL;
    const int rc = ckpt_newest(&c, dir, quarantine);
    const int64_t step = rc == OK ? ckpt_step(c) : rc;
    if (rc == OK) {
        float x[67];
        assert_int_equal(ckpt_read(c, ckpt_find(c, "x"), x), OK);
        assert_true(x[3] == (float)(step * 100 + 3));
    }
    ckpt_close(c);
    return step;
}

static int count_of(const char *dir)
{
    struct ckpt_entry *list = NULL;
    int n = 0;
    assert_int_equal(ckpt_list(&list, &n, dir), OK);
    mem_free(list);
    return n;
}

/* "name#hit=action" */
static const char *rule(const char *name, int hit, const char *action)
{
    static char text[128];
    snprintf(text, sizeof text, "%s#%d=%s", name, hit, action);
    return text;
}

/* A failing call anywhere costs this checkpoint and nothing else, and the next save works. */
static void errors_harm_nothing(void **state)
{
    (void)state;
    int cases = 0;

    for (size_t p = 0; p < POINTS; p++) {
        for (int hit = 1; hit < 50; hit++) {
            const char *dir = at("errors");
            struct hash root;
            quiet(1);
            failpoint_set(NULL);
            assert_int_equal(save(dir, 1, 1, 0, &root), OK);
            failpoint_set(rule(points[p], hit, "err"));
            const int rc = save(dir, 2, 1, 0, &root);
            const int acted = failpoint_acted();
            failpoint_set(NULL);
            quiet(0);
            /* Once it is committed, trouble with older ones is a warning. */
            const int late = !strcmp(points[p], "ckpt.before_retain") ||
                             !strcmp(points[p], "ckpt.headless");
            assert_int_equal(rc, acted && !late ? ERR_IO : OK);
            assert_int_equal(newest(dir, NULL), rc == OK ? 2 : 1);
            if (rc != OK) assert_int_equal(count_of(dir), 1);
            assert_int_equal(ckpt_clean(dir), OK);
            quiet(1);
            assert_int_equal(save(dir, 3, 1, 0, &root), OK);
            quiet(0);
            assert_int_equal(newest(dir, NULL), 3);
            assert_int_equal(count_of(dir), 1);
            char *command = mem_format("rm -rf '%s'", dir);
            assert_int_equal(system(command), 0);
            mem_free(command);
            if (!acted) {
                if (hit == 1) fail_msg("%s is never reached", points[p]);
                break;
            }
            cases++;
        }
    }
    printf("  %d failing calls\n", cases);
}

/* Killed anywhere, the folder holds the old state or the new one, and the new one whenever
 * the save had returned. */
static void kills_lose_nothing(void **state)
{
    (void)state;
    int cases = 0, lived = 0;

    for (size_t p = 0; p < POINTS; p++) {
        for (int hit = 1; hit < 50; hit++) {
            const char *dir = at("kills");
            struct hash root;
            int status = 0;
            assert_int_equal(save(dir, 1, 1, 0, &root), OK);
            const pid_t child = fork();
            if (child == 0) {
                setenv("TTT_FAIL", rule(points[p], hit, "kill"), 1);
                execl(self, self, "save", dir, (char *)NULL);
                _exit(99);
            }
            assert_int_equal(waitpid(child, &status, 0), child);
            const int killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
            assert_true(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
            const int64_t step = newest(dir, NULL);
            assert_true(step == 2 || (step == 1 && killed));
            /* What is left over goes, and what is valid stays. */
            quiet(1);
            assert_int_equal(ckpt_clean(dir), OK);
            quiet(0);
            assert_int_equal(newest(dir, NULL), step);
            assert_int_equal(save(dir, 2, 1, 0, &root), OK);
            assert_int_equal(newest(dir, NULL), 2);
            assert_int_equal(count_of(dir), 1);
            char *command = mem_format("rm -rf '%s'", dir);
            assert_int_equal(system(command), 0);
            mem_free(command);
            if (!killed) {
                if (hit == 1) fail_msg("%s is never reached", points[p]);
                lived++;
                break;
            }
            cases++;
        }
    }
    assert_int_equal(lived, POINTS);
    printf("  %d kills\n", cases);
}

/* Files may not grow beyond a limit: the system itself cuts writes short, then refuses them,
 * at every place of the data and of the MANIFEST. */
static void no_room(void **state)
{
    (void)state;
    struct rlimit old, limit;
    struct hash root;
    int failed = 0, rc = ERR_IO;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    quiet(1);
    assert_int_equal(save(at("full"), 1, 1, 0, &root), OK);
    for (rlim_t bytes = 0; rc != OK && bytes < 10000; bytes += 23) {
        limit = (struct rlimit){ .rlim_cur = bytes, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        rc = save(at("full"), 2, 1, 0, &root);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(newest(at("full"), NULL), rc == OK ? 2 : 1);
        assert_int_equal(count_of(at("full")), 1);
        if (rc != OK) assert_int_equal(rc, ERR_IO);
        failed += rc != OK;
    }
    quiet(0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(rc, OK);
    assert_true(failed > 20);
}

static void retention(void **state)
{
    (void)state;
    static const int64_t want[] = { 25, 24, 23, 20, 10 };
    const char *dir = at("keep");
    struct ckpt_entry *list = NULL;
    struct hash root;
    int n = 0;

    for (int64_t k = 1; k <= 25; k++) assert_int_equal(save(dir, k, 3, 10, &root), OK);
    assert_int_equal(ckpt_list(&list, &n, dir), OK);
    assert_int_equal(n, 5);
    for (int i = 0; i < n; i++) assert_true(list[i].step == want[i] && list[i].committed);
    mem_free(list);

    /* The same step again is a new attempt, and newer than the first. */
    assert_int_equal(save(dir, 25, 0, 0, &root), OK);
    assert_int_equal(ckpt_list(&list, &n, dir), OK);
    assert_int_equal(n, 6);
    assert_int_equal(list[0].attempt, 2);
    mem_free(list);

    /* An older step, saved last, is not what retention removes. */
    assert_int_equal(save(dir, 7, 1, 0, &root), OK);
    assert_int_equal(ckpt_list(&list, &n, dir), OK);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].step, 7);
    mem_free(list);

    /* A stranger's file is not removed, nor the folder around it. */
    char *stranger = mem_format("%s/step-%012d.a0001/notes", dir, 7);
    put_file(stranger, "x", 1);
    quiet(1);
    assert_int_equal(save(dir, 8, 1, 0, &root), OK);
    quiet(0);
    assert_true(path_exists(stranger));
    assert_int_equal(newest(dir, NULL), 8);
    mem_free(stranger);
}

/* Flip a bit in the middle of a file of a checkpoint. */
static void damage(const char *dir, int step, const char *file)
{
    char *path = mem_format("%s/step-%012d.a0001/%s", dir, step, file), byte;
    const int fd = open(path, O_RDWR);
    const off_t half = lseek(fd, 0, SEEK_END) / 2;
    assert_int_equal(pread(fd, &byte, 1, half), 1);
    byte ^= 16;
    assert_int_equal(pwrite(fd, &byte, 1, half), 1);
    close(fd);
    mem_free(path);
}

static void fallback_and_quarantine(void **state)
{
    (void)state;
    const char *dir = at("bad"), *away = at("quarantine");
    struct hash root;

    assert_int_equal(newest(dir, away), ERR_MISSING);  /* no folder at all */
    for (int k = 1; k <= 3; k++) assert_int_equal(save(dir, k, 0, 0, &root), OK);
    char *orphan = mem_format("%s/step-%012d.a0001", dir, 9);
    assert_int_equal(mkdir(orphan, 0777), 0);
    assert_int_equal(newest(dir, away), 3);
    assert_false(path_exists(away));

    damage(dir, 3, "w000.ttc");
    quiet(1);
    assert_int_equal(newest(dir, NULL), 2);
    assert_int_equal(count_of(dir), 4);          /* nobody asked to move it */
    assert_int_equal(newest(dir, away), 2);
    assert_int_equal(count_of(dir), 3);
    assert_int_equal(count_of(away), 1);

    /* The name is free again; the next damaged one of it finds its place taken. */
    assert_int_equal(save(dir, 3, 0, 0, &root), OK);
    damage(dir, 3, "MANIFEST");
    assert_int_equal(newest(dir, away), 2);
    char *second = mem_format("%s/step-%012d.a0001.1", away, 3);
    assert_true(path_is_dir(second));

    /* A whole checkpoint under the name of another step is not that step. */
    char *two = mem_format("%s/step-%012d.a0001", dir, 2);
    char *eight = mem_format("%s/step-%012d.a0001", dir, 8);
    assert_int_equal(rename(two, eight), 0);
    assert_int_equal(newest(dir, away), 1);

    damage(dir, 1, "w000.ttc");
    assert_int_equal(newest(dir, NULL), ERR_DATA);
    assert_non_null(strstr(log_last_error(), "step-000000000001.a0001"));
    quiet(0);
    assert_int_equal(newest(at("nothing"), away), ERR_MISSING);
    mem_free(orphan);
    mem_free(second);
    mem_free(two);
    mem_free(eight);
}

/* --- what is not ours ---------------------------------------------------------------- */

/* Another process saves steps [from, to) into a folder. */
static void others(const char *dir, int from, int to)
{
    char *command = mem_format("'%s' others '%s' %d %d", self, dir, from, to);
    assert_int_equal(system(command), 0);
    mem_free(command);
}

static int save_several(char **arg)
{
    struct hash root;
    int rc = OK;
    for (int k = atoi(arg[1]); k < atoi(arg[2]) && rc == OK; k++) rc = save(arg[0], k, 0, 0, &root);
    return -rc;
}

static int is_whole(const char *dir, int64_t step)
{
    char *path = mem_format("%s/step-%012lld.a0001", dir, (long long)step);
    struct ckpt *c = NULL;
    int rc = ckpt_open(&c, path);
    if (rc == OK) rc = ckpt_verify(c);
    ckpt_close(c);
    mem_free(path);
    return rc == OK;
}

/* A checkpoint that is a link to an archive stays, and so does the archive. */
static void a_linked_checkpoint(void **state)
{
    (void)state;
    char *dir = mem_string(at("linked")), *archive = mem_string(at("linked-archive"));
    char *link = mem_format("%s/step-%012d.a0001", dir, 1);
    char *target = mem_format("%s/step-%012d.a0001", archive, 1);
    struct hash root;

    others(archive, 1, 2);
    assert_int_equal(mkdir(dir, 0777), 0);
    assert_int_equal(symlink(target, link), 0);
    assert_int_equal(newest(dir, NULL), 1);           /* it is read */
    for (int64_t k = 2; k < 6; k++) assert_int_equal(save(dir, k, 1, 0, &root), OK);
    assert_int_equal(count_of(dir), 2);               /* the link, and the one that is kept */
    assert_true(is_whole(archive, 1) && is_whole(dir, 1) && is_whole(dir, 5));
    assert_int_equal(ckpt_clean(dir), OK);

    /* Without a MANIFEST it looks like what a crash left. */
    char *manifest = mem_format("%s/MANIFEST", target), *data = mem_format("%s/w000.ttc", target);
    assert_int_equal(unlink(manifest), 0);
    assert_int_equal(ckpt_clean(dir), OK);
    assert_true(path_exists(data) && path_is_link(link));
    mem_free(data);
    mem_free(manifest);
    mem_free(dir);
    mem_free(archive);
    mem_free(link);
    mem_free(target);
}

/* The folder of checkpoints is a link: of what lies there only our own goes. */
static void a_linked_folder(void **state)
{
    (void)state;
    char *run = mem_string(at("linked-run")), *archive = mem_string(at("whole-archive"));
    char *dir = mem_format("%s/ckpt", run), *quarantine = mem_format("%s/quarantine", run);
    char *started = mem_format("%s/step-%012d.a0001", archive, 9);
    struct hash root;

    others(archive, 1, 4);
    assert_int_equal(mkdir(started, 0777), 0);        /* another process's save that continues */
    assert_int_equal(mkdir(run, 0777), 0);
    assert_int_equal(symlink(archive, dir), 0);
    for (int64_t k = 4; k < 8; k++) assert_int_equal(save(dir, k, 1, 0, &root), OK);
    for (int64_t k = 1; k < 4; k++) assert_true(is_whole(archive, k));
    assert_true(is_whole(archive, 7));
    assert_int_equal(count_of(archive), 5);           /* 1, 2, 3, 7, and the one that continues */
    assert_int_equal(ckpt_clean(dir), OK);
    assert_true(path_is_dir(started));

    char *bad = mem_format("%s/step-%012d.a0001/w000.ttc", archive, 3);
    quiet(1);
    others(archive, 8, 9);
    char *newer = mem_format("%s/step-%012d.a0001/w000.ttc", archive, 8);
    put_file(newer, "x", 1);
    assert_int_equal(newest(dir, quarantine), 7);     /* the damaged one is left where it is */
    quiet(0);
    assert_true(path_exists(newer) && !path_exists(quarantine) && path_exists(bad));
    mem_free(newer);
    mem_free(bad);
    mem_free(started);
    mem_free(run);
    mem_free(archive);
    mem_free(dir);
    mem_free(quarantine);
}

/* --- what goes away while it is read --------------------------------------------------- */

struct removal { const char *dir; int64_t step; };

/* Lets a checkpoint go, as retention does, as soon as somebody is opening one. */
static void *let_go(void *arg)
{
    const struct removal *r = arg;
    char *command = mem_format("cd '%s'/step-%012lld.a0001 && rm MANIFEST && rm w000.ttc && rmdir "
                               "\"$PWD\"", r->dir, (long long)r->step);
    while (!failpoint_acted()) usleep(1000);
    if (system(command) != 0) abort();
    mem_free(command);
    return NULL;
}

static void removed_meanwhile(void **state)
{
    (void)state;
    char *dir = mem_string(at("live")), *path = mem_format("%s/step-%012d.a0001", dir, 2);
    struct removal r = { dir, 2 };
    struct hash root;
    struct ckpt *c;
    pthread_t t;

    assert_int_equal(save(dir, 1, 0, 0, &root), OK);
    assert_int_equal(save(dir, 2, 0, 0, &root), OK);
    quiet(1);
    failpoint_set("ckpt.opening=sleep:1000");
    assert_int_equal(pthread_create(&t, NULL, let_go, &r), 0);
    assert_int_equal(ckpt_open(&c, path), ERR_MISSING);
    pthread_join(t, NULL);
    assert_true(ckpt_is_gone(path));

    /* Who wants the newest looks again: here at the one that came meanwhile. */
    assert_int_equal(save(dir, 2, 0, 0, &root), OK);
    failpoint_set("ckpt.opening=sleep:1000");
    assert_int_equal(pthread_create(&t, NULL, let_go, &r), 0);
    assert_int_equal(newest(dir, NULL), 1);
    pthread_join(t, NULL);
    failpoint_set(NULL);
    quiet(0);
    mem_free(path);
    mem_free(dir);
}

static void what_a_user_names(void **state)
{
    (void)state;
    struct ckpt *c = NULL;
    struct hash root;
    const char *run = at("run"), *dir = at("run/ckpt");

    for (int k = 1; k <= 2; k++) assert_int_equal(save(dir, k, 0, 0, &root), OK);
    char *first = mem_format("%s/step-%012d.a0001", dir, 1);
    const struct { const char *path; int64_t step; } names[] = {
        { run, 2 }, { dir, 2 }, { first, 1 },
    };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ckpt_locate(&c, names[i].path), OK);
        assert_int_equal(ckpt_step(c), names[i].step);
        ckpt_close(c);
    }
    quiet(1);
    assert_int_equal(ckpt_locate(&c, at("nowhere")), ERR_MISSING);
    assert_int_equal(ckpt_locate(&c, work), ERR_MISSING);
    quiet(0);
    mem_free(first);
}

int main(int argc, char **argv)
{
    struct hash root;
    char path[4096] = "";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_harm_nothing),     cmocka_unit_test(kills_lose_nothing),
        cmocka_unit_test(no_room),                 cmocka_unit_test(retention),
        cmocka_unit_test(fallback_and_quarantine), cmocka_unit_test(what_a_user_names),
        cmocka_unit_test(a_linked_checkpoint),     cmocka_unit_test(a_linked_folder),
        cmocka_unit_test(removed_meanwhile),
    };

    if (argc == 3 && !strcmp(argv[1], "save")) return -save(argv[2], 2, 1, 0, &root);
    if (argc == 5 && !strcmp(argv[1], "others")) return save_several(argv + 2);
    if (!realpath(argv[0], path)) return 1;
    self = path;
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
