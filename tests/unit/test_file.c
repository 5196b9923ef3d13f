/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are whole or not there, folders, messages and exit codes. */
#include "tests/unit/store_test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "src/base/log.h"

/* Run f() in a child; its exit code, or 128 + signal. */
static int code_of(void (*f)(void))
{
    int status = 0;
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fclose(stderr);
        f();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void assert_holds(const char *path, const char *text)
{
    char *data;
    size_t n;
    assert_int_equal(file_slurp(&data, &n, path, 1 << 20), OK);
    assert_int_equal(n, strlen(text));
    assert_string_equal(data, text);  /* the zero behind it is there */
    mem_free(data);
}

static void what_is_written_is_read(void **state)
{
    char back[4] = "...";
    int64_t size = -1;
    int fd;
    (void)state;

    assert_int_equal(file_create(&fd, at("a")), OK);
    assert_int_equal(file_write(fd, "hello world", 11, at("a")), OK);
    assert_int_equal(file_sync_close(fd, at("a")), OK);
    assert_holds(at("a"), "hello world");
    assert_int_equal(file_open(&fd, &size, at("a")), OK);
    assert_int_equal(size, 11);
    assert_int_equal(file_read_at(fd, back, 3, 6, at("a")), OK);
    assert_string_equal(back, "wor");
    assert_int_equal(file_read_at(fd, back, 0, 500, at("a")), OK);
    quiet(1);
    assert_int_equal(file_read_at(fd, back, 3, 9, at("a")), ERR_DATA);
    assert_non_null(strstr(log_last_error(), "/a: ends at byte 11, expected 1 more bytes"));
    assert_int_equal(file_create(&fd, at("a")), ERR_IO);  /* never over an old one */
    quiet(0);
    file_close(-1);
    assert_holds(at("a"), "hello world");
}

static void what_is_no_file(void **state)
{
    char *data;
    size_t n;
    int fd;
    (void)state;

    assert_int_equal(symlink("a-target", at("link")), 0);
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    put_file(at("ten"), "0123456789", 10);
    quiet(1);
    assert_int_equal(file_open(&fd, NULL, at("none")), ERR_MISSING);
    assert_non_null(strstr(log_last_error(), "/none: can't open: No such file"));
    assert_int_equal(file_open(&fd, NULL, at("ten/x")), ERR_MISSING);
    assert_int_equal(file_open(&fd, NULL, work), ERR_MISSING);
    assert_int_equal(file_open(&fd, NULL, at("pipe")), ERR_MISSING);  /* and does not wait */
    assert_int_equal(file_create(&fd, at("link")), ERR_IO);           /* does not follow   */
    assert_int_equal(file_create(&fd, at("no/where")), ERR_MISSING);
    assert_int_equal(file_slurp(&data, &n, at("ten"), 9), ERR_DATA);
    assert_null(data);
    quiet(0);
    assert_int_equal(file_slurp(&data, &n, at("ten"), 10), OK);
    mem_free(data);
    assert_false(path_exists(at("a-target")));
}

static void replacing(void **state)
{
    (void)state;
    assert_int_equal(file_replace(at("r"), "one", 3), OK);
    put_file(at("r.tmp"), "left by a crash", 15);
    assert_int_equal(file_replace(at("r"), "two!", 4), OK);
    assert_holds(at("r"), "two!");
    assert_false(path_exists(at("r.tmp")));
    quiet(1);
    assert_int_equal(file_replace(at("no/r"), "x", 1), ERR_MISSING);
    assert_int_equal(mkdir(at("folder"), 0777), 0);
    assert_int_equal(file_replace(at("folder"), "x", 1), ERR_IO);
    quiet(0);
    assert_false(path_exists(at("folder.tmp")));
}

/* A rename would put a file in the place of anything that is no folder. */
static void what_is_not_replaced(void **state)
{
    (void)state;
    char folder[256];
    struct stat st;

    snprintf(folder, sizeof folder, "%s", at("folder"));
    assert_int_equal(mkfifo(at("a-queue"), 0666), 0);
    assert_int_equal(symlink("a-queue", at("to-queue")), 0);
    assert_int_equal(symlink("/proc/self/fd/1", at("stdout")), 0);  /* as /dev/stdout */
    quiet(1);
    static const char *const names[] = { "a-queue", "to-queue", "stdout" };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(file_target(at(names[i])), ERR_IO);
        assert_int_equal(file_replace(at(names[i]), "x", 1), ERR_IO);
    }
    assert_int_equal(file_target(folder), ERR_IO);
    assert_int_equal(file_target(at("no/file")), ERR_MISSING);
    quiet(0);
    assert_int_equal(lstat(at("a-queue"), &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    for (int i = 1; i < 3; i++) {
        assert_int_equal(lstat(at(names[i]), &st), 0);
        assert_true(S_ISLNK(st.st_mode));
    }
    assert_int_equal(file_target(at("r")), OK);
    assert_int_equal(file_target(at("new")), OK);
}

/* A file may not grow beyond 4096 bytes: like a full disk, in the middle of a write. */
static void *make_late(void *path)
{
    int fd;
    usleep(300000);
    if (file_create(&fd, path) == OK) file_close(fd);
    return NULL;
}

/* A file that appears while we wait for it, a folder that is there, and one that never comes. */
static void waiting_for_others(void **state)
{
    (void)state;
    char *path = mem_string(at("late"));
    pthread_t t;

    assert_int_equal(pthread_create(&t, NULL, make_late, path), 0);
    assert_int_equal(file_await(path, FILE_PATIENCE_S), OK);
    pthread_join(t, NULL);
    assert_int_equal(file_await(work, 0), OK);
    quiet(1);
    assert_int_equal(file_await(at("never"), 0.05), ERR_IO);
    assert_int_equal(file_await(at("late/never"), FILE_PATIENCE_S), ERR_MISSING);  /* at once */
    quiet(0);
    mem_free(path);
}

static void write_beyond_limit(void)
{
    const struct rlimit limit = { 4096, 4096 };
    static char big[10000];
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    _exit(-file_replace(at("full"), big, sizeof big));
}

static void a_full_disk_keeps_the_old_file(void **state)
{
    (void)state;
    put_file(at("full"), "old", 3);
    assert_int_equal(code_of(write_beyond_limit), 74);
    assert_holds(at("full"), "old");
    assert_false(path_exists(at("full.tmp")));
}

static void folders(void **state)
{
    char **names;
    int count;
    (void)state;

    assert_int_equal(dir_make(at("x/y//z/")), OK);
    assert_int_equal(dir_make(at("x/y/z")), OK);
    assert_true(path_is_dir(at("x/y/z")));
    put_file(at("x/y/z/b"), "", 0);
    put_file(at("x/y/z/a"), "", 0);
    put_file(at("x/y/z/.hidden"), "", 0);
    assert_int_equal(dir_list(&names, &count, at("x/y/z")), OK);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], ".hidden");
    assert_string_equal(names[1], "a");
    assert_string_equal(names[2], "b");
    mem_free(names);
    assert_int_equal(dir_sync(at("x/y/z")), OK);

    quiet(1);
    assert_int_equal(dir_make(at("x/y/z/a/c")), ERR_MISSING);  /* a is a file */
    assert_int_equal(dir_make(at("x/y/z/a")), ERR_IO);
    assert_int_equal(dir_list(&names, &count, at("x/none")), ERR_MISSING);
    assert_int_equal(dir_sync(at("x/none")), ERR_MISSING);
    assert_int_equal(dir_remove(at("x/y")), ERR_IO);           /* holds a folder */
    quiet(0);
    assert_true(path_is_dir(at("x/y/z")));
    assert_int_equal(dir_remove(at("x/y/z")), OK);
    assert_false(path_exists(at("x/y/z")));
    assert_false(path_is_dir(at("r")));
}

static void leave_config(void) { leave(ERR_CONFIG); }
static void give_up(void) { die("on purpose"); }
static void check_fails(void) { check(1 + 1 == 3); }
static void hook(int code) { _exit(code == 70 ? 3 : code == 78 ? 4 : 5); }
static void hooked_die(void) { status_hook(hook); give_up(); }
static void hooked_leave(void) { status_hook(hook); leave_config(); }

static void ends_of_the_program(void **state)
{
    (void)state;
    assert_int_equal(code_of(leave_config), 78);
    assert_int_equal(code_of(give_up), 128 + SIGABRT);
    assert_int_equal(code_of(check_fails), 128 + SIGABRT);
    assert_int_equal(code_of(hooked_die), 3);
    assert_int_equal(code_of(hooked_leave), 4);
}

/* Every status has one row with its exit code: the table people read is whole. */
static void exit_codes(void **state)
{
    static const int codes[] = { 0, 64, 65, 66, 71, 74, 75, 78, 85, 86, 87, 93 };
    int code, i = 0;
    (void)state;

    for (; status_row(i, &code); i++) assert_int_equal(code, codes[i]);
    assert_int_equal(i, 12);
    assert_null(status_row(-1, &code));
    quiet(1);
    assert_int_equal((fail)(ERR_DATA, "%s is %d", "x", 7), ERR_DATA);
    quiet(0);
    assert_string_equal(log_last_error(), "x is 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_no_file),
        cmocka_unit_test(replacing),
        cmocka_unit_test(waiting_for_others),
        cmocka_unit_test(what_is_not_replaced),
        cmocka_unit_test(a_full_disk_keeps_the_old_file),
        cmocka_unit_test(folders),
        cmocka_unit_test(ends_of_the_program),
        cmocka_unit_test(exit_codes),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
