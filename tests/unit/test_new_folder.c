/* SPDX-License-Identifier: Apache-2.0 */
/* A folder appears whole or not at all, whatever ends the process that writes it, and nothing of
 * anybody else is touched. */
#include "tests/unit/store_test.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "src/base/failpoint.h"
#include "src/base/new_folder.h"

/* Files in a folder; -1: it is not there. */
static int files_in(const char *path)
{
    char **names = NULL;
    int n = -1;

    if (path_is_dir(path)) assert_int_equal(dir_list(&names, &n, path), OK);
    mem_free(names);
    return n;
}

static void put_in(const char *folder, const char *name)
{
    char *path = mem_format("%s/%s", folder, name);
    put_file(path, name, strlen(name));
    mem_free(path);
}

/* Write a folder of two files. */
static int write_two(const char *path)
{
    struct new_folder f;
    const int rc = new_folder_begin(&f, path);

    if (rc != OK) return rc;
    put_in(f.dir, "a");
    put_in(f.dir, "b");
    return new_folder_end(&f, OK);
}

/* The same in a process that has `rules`; its exit code, -1 if it was killed. */
static int child(const char *path, const char *rules)
{
    int status = 0;
    fflush(NULL);
    const pid_t pid = fork();

    if (pid == 0) {
        failpoint_set(rules);
        _exit(-write_two(path));
    }
    assert_true(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? -1 : WEXITSTATUS(status);
}

static void whole(void **state)
{
    (void)state;
    struct new_folder f;
    struct stat st;

    assert_int_equal(write_two(at("x/y/whole/")), OK);       /* parents, a slash at the end */
    assert_int_equal(files_in(at("x/y/whole")), 2);
    assert_int_equal(files_in(at("x/y")), 1);
    assert_int_equal(mkdir(at("empty"), 0770), 0);
    assert_int_equal(chmod(at("empty"), 02750), 0);
    assert_int_equal(write_two(at("empty")), OK);
    assert_int_equal(files_in(at("empty")), 2);
    assert_int_equal(stat(at("empty"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 02750);
    assert_int_equal(mkdir(at("far"), 0777), 0);
    assert_int_equal(symlink(at("far"), at("link")), 0);
    assert_int_equal(write_two(at("link")), OK);             /* where the link leads to */
    assert_int_equal(files_in(at("far")), 2);

    assert_int_equal(new_folder_begin(&f, at("failed")), OK);
    put_in(f.dir, "a");
    assert_int_equal(new_folder_end(&f, ERR_DATA), ERR_DATA);
    assert_int_equal(files_in(at("failed")), -1);
    assert_int_equal(files_in(at("failed.part")), -1);
}

static void what_is_there_stays(void **state)
{
    (void)state;
    char here[4096];

    quiet(1);
    assert_int_equal(mkdir(at("mine"), 0777), 0);
    put_in(at("mine"), "a");
    assert_int_equal(write_two(at("mine")), ERR_USAGE);
    assert_int_equal(files_in(at("mine")), 1);
    assert_int_equal(write_two("."), ERR_USAGE);
    assert_int_equal(write_two(""), ERR_USAGE);
    assert_int_equal(write_two(at("nowhere/..")), ERR_USAGE);
    assert_int_equal(mkdir(at("current"), 0777), 0);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(at("current")), 0);
    assert_int_equal(write_two("../current"), ERR_USAGE);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(files_in(at("current")), 0);
    put_in(work, "file");
    assert_int_equal(write_two(at("file")), ERR_USAGE);

    /* A folder of somebody who likes the name. */
    assert_int_equal(mkdir(at("new.part"), 0777), 0);
    put_in(at("new.part"), "a");
    assert_int_equal(write_two(at("new")), ERR_USAGE);
    assert_int_equal(files_in(at("new.part")), 1);
    put_in(at("new.part"), "ttt-unfinished");                /* ours, and something else */
    assert_int_equal(write_two(at("new")), ERR_USAGE);
    assert_int_equal(files_in(at("new.part")), 2);
    assert_int_equal(files_in(at("new")), -1);
    assert_int_equal(mkdir(at("odd.part"), 0777), 0);
    assert_int_equal(mkdir(at("odd.part/new"), 0777), 0);     /* our names, without our mark */
    put_in(at("odd.part/new"), "a");
    assert_int_equal(write_two(at("odd")), ERR_USAGE);
    assert_int_equal(files_in(at("odd.part/new")), 1);
    quiet(0);
}

static void killed_anywhere(void **state)
{
    (void)state;
    static const char *const before[] = { "file.write", "folder.begin", "folder.before_rename" };

    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        char *path = mem_format("%s/killed%zu", work, i), *rules = mem_format("%s=kill", before[i]);
        char *part = mem_format("%s.part", path);
        assert_int_equal(child(path, rules), -1);
        assert_int_equal(files_in(path), -1);
        assert_int_equal(files_in(part), i < 2 ? 1 : 2);     /* the mark, and what was written */
        assert_int_equal(write_two(path), OK);
        assert_int_equal(files_in(path), 2);
        assert_int_equal(files_in(part), -1);
        mem_free(part);
        mem_free(rules);
        mem_free(path);
    }

    /* After the rename everything is there; the next process reports that and removes the rest. */
    assert_int_equal(child(at("late"), "folder.after_rename=kill"), -1);
    assert_int_equal(files_in(at("late")), 2);
    assert_int_equal(files_in(at("late.part")), 1);
    quiet(1);
    assert_int_equal(write_two(at("late")), ERR_USAGE);
    assert_int_equal(files_in(at("late")), 2);
    assert_int_equal(files_in(at("late.part")), -1);
    assert_int_equal(child(at("error"), "folder.before_rename=err"), -ERR_IO);
    quiet(0);
    assert_int_equal(files_in(at("error")), -1);
    assert_int_equal(files_in(at("error.part")), -1);
}

static void one_at_a_time(void **state)
{
    (void)state;
    struct new_folder f;

    assert_int_equal(new_folder_begin(&f, at("one")), OK);
    put_in(f.dir, "a");
    quiet(1);
    assert_int_equal(child(at("one"), ""), -ERR_OWNER);
    quiet(0);
    assert_int_equal(new_folder_end(&f, OK), OK);
    assert_int_equal(files_in(at("one")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole), cmocka_unit_test(what_is_there_stays),
        cmocka_unit_test(killed_anywhere), cmocka_unit_test(one_at_a_time),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
