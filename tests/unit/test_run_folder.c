/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a run: one owner at a time, and files that are whole. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "src/base/log.h"
#include "src/base/stop.h"
#include "src/store/run_folder.h"
#include "tests/unit/store_test.h"

static char *deep(const char *name) { return mem_format("%s/a/b/%s", work, name); }

/* What another process gets that opens the folder; it is killed when `die` is set. */
static int other_process(const char *dir, int die)
{
    int status = 0;
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct run_folder r;
        const int rc = run_open(&r, dir, 0);
        if (die) raise(SIGKILL);
        _exit(-rc);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? -WEXITSTATUS(status) : 1;
}

static void one_owner(void **state)
{
    (void)state;
    struct run_folder r;
    char *dir = deep("run");

    assert_int_equal(other_process(dir, 0), OK);       /* makes the folders, and leaves */
    assert_int_equal(run_open(&r, dir, 0), OK);
    assert_int_equal(other_process(dir, 0), ERR_OWNER);
    run_close(&r, OK);
    assert_int_equal(other_process(dir, 1), 1);        /* killed while it owns the run */
    assert_int_equal(run_open(&r, dir, 0), OK);
    run_close(&r, OK);
    run_close(&r, OK);                                     /* closing twice is harmless */
    mem_free(dir);
}

/* What a killed start was writing is removed by the next one; other files are nobody's business. */
static void half_written(void **state)
{
    static const struct { const char *name; int stays; } files[] = {
        { "config.yaml.tmp", 0 }, { "build.txt.tmp", 0 }, { "tokenizer.model.tmp", 0 },
        { "metrics.jsonl.tmp", 0 }, { "STOP.tmp", 1 }, { "notes.tmp", 1 }, { "config.yaml", 1 },
    };
    (void)state;
    struct run_folder r;
    char *dir = deep("half");

    assert_int_equal(other_process(dir, 1), 1);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = mem_format("%s/%s", dir, files[i].name);
        put_file(path, "x", 1);
        mem_free(path);
    }
    assert_int_equal(run_open(&r, dir, 0), OK);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = mem_format("%s/%s", dir, files[i].name);
        assert_int_equal(path_exists(path), files[i].stays);
        mem_free(path);
    }
    run_close(&r, OK);
    mem_free(dir);
}

static ino_t inode(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static void texts(void **state)
{
    (void)state;
    struct run_folder r;
    char *dir = deep("texts"), *path = deep("texts/config.yaml"), *text;
    size_t n;

    assert_int_equal(run_open(&r, dir, 0), OK);
    assert_int_equal(run_put(&r, "config.yaml", "one\n"), OK);
    const ino_t first = inode(path);
    assert_int_equal(run_put(&r, "config.yaml", "one\n"), OK);
    assert_int_equal(inode(path), first);              /* equal text is not written again */
    assert_int_equal(run_put(&r, "config.yaml", "two\n"), OK);
    assert_int_equal(file_slurp(&text, &n, path, 100), OK);
    assert_string_equal(text, "two\n");
    mem_free(text);

    assert_int_equal(run_copy(&r, "copy", path), OK);
    assert_int_equal(run_put(&r, "config.yaml", "three\n"), OK);
    assert_int_equal(run_copy(&r, "copy", path), OK);  /* the first copy stays */
    char *copy = deep("texts/copy");
    assert_int_equal(file_slurp(&text, &n, copy, 100), OK);
    assert_string_equal(text, "two\n");
    mem_free(text);
    assert_int_equal(run_copy(&r, "copy2", "/nowhere/x"), ERR_MISSING);
    run_close(&r, OK);
    mem_free(copy);
    mem_free(path);
    mem_free(dir);
}

static void no_folder(void **state)
{
    (void)state;
    struct run_folder r;
    char *file = deep("texts/copy"), *under = deep("texts/copy/run");
    assert_int_equal(run_open(&r, file, 0), ERR_IO);
    assert_int_equal(run_open(&r, under, 0), ERR_IO);
    mem_free(file);
    mem_free(under);
}

static void build_text(void **state)
{
    (void)state;
    char *text = run_build_text("more: 1\n");
    assert_non_null(strstr(text, "zstd "));
    assert_non_null(strstr(text, "\nmore: 1\n"));
    mem_free(text);
}

static void signals(void **state)
{
    (void)state;
    stop_catch();
    assert_int_equal(stop_signal(), 0);
    raise(SIGUSR1);
    raise(SIGTERM);
    raise(SIGINT);
    assert_int_equal(stop_signal(), SIGUSR1);          /* the first one stays */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_owner), cmocka_unit_test(half_written), cmocka_unit_test(texts), cmocka_unit_test(no_folder),
        cmocka_unit_test(build_text), cmocka_unit_test(signals),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
