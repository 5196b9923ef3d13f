/* SPDX-License-Identifier: Apache-2.0 */
/* Who hangs, of processes that a watchdog has seen; and pages that another process reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/process.h"
#include "src/base/status.h"
#include "src/base/verdict.h"

#include <cmocka.h>

static const struct watch_limits limits = { .setup_s = 300, .data_s = 60, .step_s = 10,
                                            .save_s = 60 };

enum { N = 4 };

/* Four processes in step 17 that wait for each other in messages, all quiet for `quiet` seconds. */
static void waiting(struct watched w[N], double quiet)
{
    for (int i = 0; i < N; i++) {
        w[i] = (struct watched){ .state = 'S', .quiet_s = quiet };
        w[i].now.rank = i;
        w[i].now.step = 17;
        w[i].now.step_s = 0.01;
        w[i].now.phase = BEACON_STEP;
        w[i].now.lane[BEACON_MAIN].kind = BEACON_MESSAGE;
    }
}

static struct verdict judge(const struct watched w[N])
{
    struct verdict v;
    verdict_of(&v, w, N, &limits);
    return v;
}

static void nobody(void **state)
{
    (void)state;
    struct watched w[N];

    waiting(w, 9.9);
    assert_int_equal(judge(w).rank, VERDICT_NONE);
    w[2].now.lane[BEACON_MAIN].kind = BEACON_OUTSIDE;   /* computing; the others wait longer for it */
    w[2].quiet_s = 9;
    for (int i = 0; i < N; i++) if (i != 2) w[i].quiet_s = 100;
    assert_int_equal(judge(w).rank, VERDICT_NONE);
    waiting(w, 40);
    for (int i = 0; i < N; i++) w[i].now.step_s = 10;   /* steps take that long here */
    assert_int_equal(judge(w).rank, VERDICT_NONE);
    waiting(w, 299);
    for (int i = 0; i < N; i++) w[i].now.step_s = 0;    /* the first step */
    assert_int_equal(judge(w).rank, VERDICT_NONE);
}

static void culprits(void **state)
{
    (void)state;
    struct watched w[N];

    for (int k = 0; k < N; k++) {
        waiting(w, 11);
        w[k].now.lane[BEACON_MAIN].kind = BEACON_OUTSIDE;   /* it spins */
        w[k].state = 'R';
        assert_true(judge(w).rank == VERDICT_LATE && judge(w).culprit == k);

        waiting(w, 61);
        for (int i = 0; i < N; i++) w[i].now.phase = BEACON_DATA;
        w[k].now.lane[BEACON_MAIN].kind = BEACON_FILE;
        assert_true(judge(w).rank == VERDICT_LATE && judge(w).culprit == k);

        waiting(w, 11);
        w[k].state = 'T';                                   /* in a message, but stopped */
        w[k].beat_quiet_s = 10.5;
        w[(k + 1) % N].now.lane[BEACON_MAIN].kind = BEACON_OUTSIDE;
        w[(k + 1) % N].quiet_s = 12;
        assert_true(judge(w).rank == VERDICT_FROZEN && judge(w).culprit == k);

        waiting(w, 1);                                      /* training continues */
        w[k].saver_quiet_s = 61;
        assert_true(judge(w).rank == VERDICT_SAVER && judge(w).culprit == k);

        waiting(w, 11);                                     /* two are outside: the one behind */
        w[k].now.lane[BEACON_MAIN].kind = w[(k + 1) % N].now.lane[BEACON_MAIN].kind = BEACON_OUTSIDE;
        w[k].now.step = 16;
        w[(k + 1) % N].quiet_s = 20;
        assert_true(judge(w).rank == VERDICT_LATE && judge(w).culprit == k);

        waiting(w, 11);
        w[k].quiet_s = 12;
        assert_true(judge(w).rank == VERDICT_NETWORK && judge(w).culprit == k);
        w[k].state = 0;                                     /* gone: mpirun's matter */
        assert_true(judge(w).rank == VERDICT_NETWORK && judge(w).culprit != k);
    }
}

/* No processor for 25 s: not a hang.  Nothing of it runs and it is not even ready: a hang. */
static void starved(void **state)
{
    (void)state;
    struct watched w[N];

    waiting(w, 5);
    w[1].state = 'R';
    w[1].beat_quiet_s = 25;
    assert_int_equal(judge(w).rank, VERDICT_NONE);
    w[1].state = 'S';
    assert_int_equal(judge(w).rank, VERDICT_FROZEN);
}

/* What a process wrote, as another one reads it. */
static void pages(void **state)
{
    (void)state;
    char prefix[BEACON_PREFIX], *text;
    struct watched w = { .state = 'S', .quiet_s = 70 };
    int tell[2], done[2];
    char c;

    assert_int_equal(pipe(tell) | pipe(done), 0);
    char *job = mem_format("test%ld", (long)getpid());
    const pid_t pid = fork();
    if (pid == 0) {
        char why[BEACON_WHY];
        assert_int_equal(beacon_open(job, 3, why), OK);
        beacon_step(41, 0.5);
        beacon_phase(BEACON_DATA);
        beacon_enter(BEACON_FILE, "pread(...)", "/somewhere/shard.tts");
        if (write(tell[1], "x", 1) != 1 || read(done[0], &c, 1) != 1) _exit(1);
        beacon_close();
        _exit(0);
    }
    assert_int_equal(read(tell[0], &c, 1), 1);
    char *path = mem_format("%s3", beacon_prefix(prefix, job));
    assert_true(beacon_read(&w.now, job, 3));
    assert_true(w.now.pid == pid && w.now.born == process_born(pid));
    struct verdict v;
    verdict_of(&v, &w, 1, &limits);
    text = verdict_text(&v, &w);
    char *want = mem_format("rank 3 (process %ld on ", (long)pid);
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(text, "step 41, phase data, in pread(...) of /somewhere/shard.tts"));
    const int64_t beat = w.now.beat;
    for (int i = 0; i < 500 && w.now.beat == beat; i++) {
        usleep(20000);
        assert_true(beacon_read(&w.now, job, 3));
    }
    assert_true(w.now.beat > beat);
    assert_int_equal(write(done[1], "x", 1), 1);
    waitpid(pid, NULL, 0);
    assert_false(path_exists(path));
    assert_false(beacon_read(&w.now, job, 3));
    assert_string_equal(beacon_text(-5), "");
    assert_string_equal(beacon_text(INT64_MAX), "");
    mem_free(want);
    mem_free(text);
    mem_free(path);
    mem_free(job);
}

/* Put n bytes of a page at `path`. */
static void plant(const char *path, const struct beacon *b, size_t n, mode_t mode)
{
    static char bytes[2 * BEACON_BYTES];
    memcpy(bytes, b, sizeof *b);
    unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f) | chmod(path, mode), 0);
}

/* Anybody can put anything there. */
static void planted_pages(void **state)
{
    (void)state;
    char prefix[BEACON_PREFIX], why[BEACON_WHY];
    struct beacon b = { .magic = "ttt-bcn", .rank = 3 }, got;
    char *job = mem_format("test%ld", (long)getpid());
    char *path = mem_format("%s3", beacon_prefix(prefix, job)), *other = mem_format("%s-other", path);

    memset(b.host, 'h', sizeof b.host);
    memset(b.lane[1].path, 'p', sizeof b.lane[1].path);
    plant(path, &b, BEACON_BYTES, 0600);
    assert_true(beacon_read(&got, job, 3));
    assert_true(strlen(got.host) < sizeof got.host && strlen(got.lane[1].path) < BEACON_PATH);
    assert_false(beacon_read(&got, job, 2));
    plant(path, &b, BEACON_BYTES, 0620);
    assert_false(beacon_read(&got, job, 3));
    plant(path, &b, BEACON_BYTES, 0602);
    assert_false(beacon_read(&got, job, 3));
    plant(path, &b, BEACON_BYTES - 1, 0600);
    assert_false(beacon_read(&got, job, 3));
    plant(path, &b, BEACON_BYTES + 1, 0600);
    assert_false(beacon_read(&got, job, 3));
    b.rank = 4;
    plant(path, &b, BEACON_BYTES, 0600);
    assert_false(beacon_read(&got, job, 3));
    b.rank = 3;
    plant(other, &b, BEACON_BYTES, 0600);
    assert_int_equal(unlink(path) | symlink(other, path), 0);
    assert_false(beacon_read(&got, job, 3));
    assert_int_equal(unlink(path) | mkfifo(path, 0600), 0);
    assert_false(beacon_read(&got, job, 3));
    if (geteuid() == 0) {
        plant(path, &b, BEACON_BYTES, 0600);
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_false(beacon_read(&got, job, 3));
    } else print_message("not root: no page of another user\n");

    /* A process of ours takes what lies there for remains, and never writes into it. */
    assert_int_equal(unlink(path) | symlink(other, path), 0);
    b.step = 77;
    plant(other, &b, BEACON_BYTES, 0600);
    assert_int_equal(beacon_open(job, 3, why), OK);
    assert_true(beacon_read(&got, job, 3) && got.step == 0 && got.pid == getpid());
    struct stat st;
    assert_true(lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
    beacon_close();
    assert_false(path_exists(path));
    FILE *f = fopen(other, "r");
    assert_true(f && fread(&got, sizeof got, 1, f) == 1 && got.step == 77);
    fclose(f);
    unlink(other);

    /* What can't be removed is said, and is no page. */
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(beacon_open(job, 3, why), ERR_IO);
    assert_non_null(strstr(why, path));
    beacon_step(1, 1);
    beacon_close();
    assert_int_equal(rmdir(path), 0);
    mem_free(job);
    mem_free(path);
    mem_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody), cmocka_unit_test(culprits), cmocka_unit_test(starved),
        cmocka_unit_test(pages), cmocka_unit_test(planted_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
