/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "src/base/beacon.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define MAX_CALL ((size_t)1 << 30)  /* some systems cut a call at 2 GiB */

static int io_error(const char *what, const char *path)
{
    const int e = errno;
    const int rc = e == ENOENT || e == ENOTDIR ? ERR_MISSING : ERR_IO;
    return fail(rc, "%s: %s: %s", path, what, strerror(e));
}

/* A call that a file system may never answer. */
#define WATCHED(result, call, path) do {                                \
        beacon_enter(BEACON_FILE, #call, path);                         \
        (result) = (call);                                              \
        beacon_leave();                                                 \
    } while (0)

int file_create(int *fd, const char *path)
{
    WATCHED(*fd, open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666), path);
    return *fd < 0 ? io_error("can't create", path) : OK;
}

static int open_it(int *fd, int64_t *size, const char *path, int quiet)
{
    struct stat st;
    WATCHED(*fd, open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), path);
    if (*fd < 0 && errno == ENOENT && quiet) return ERR_MISSING;
    if (*fd < 0) return io_error("can't open", path);
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        file_close(*fd);
        *fd = -1;
        return fail(ERR_MISSING, "%s: not a regular file", path);
    }
    if (size) *size = st.st_size;
    return OK;
}

int file_open(int *fd, int64_t *size, const char *path) { return open_it(fd, size, path, 0); }

int file_open_there(int *fd, int64_t *size, const char *path)
{
    return open_it(fd, size, path, 1);
}

int file_write(int fd, const void *data, size_t n, const char *path)
{
    const char *p = data;
    const int rc = FAILPOINT("file.write");
    if (rc != OK) return rc;
    while (n > 0) {
        ssize_t k;
        WATCHED(k, write(fd, p, n < MAX_CALL ? n : MAX_CALL), path);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return io_error("can't write", path);
        if (k == 0) return fail(ERR_IO, "%s: write accepted no byte", path);
        p += k;
        n -= (size_t)k;
    }
    return OK;
}

int file_read_at(int fd, void *data, size_t n, int64_t offset, const char *path)
{
    char *p = data;
    while (n > 0) {
        ssize_t k;
        WATCHED(k, pread(fd, p, n < MAX_CALL ? n : MAX_CALL, (off_t)offset), path);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return io_error("can't read", path);
        if (k == 0)
            return fail(ERR_DATA, "%s: ends at byte %lld, expected %zu more bytes", path,
                        (long long)offset, n);
        p += k;
        n -= (size_t)k;
        offset += k;
    }
    return OK;
}

int file_sync_close(int fd, const char *path)
{
    int rc = FAILPOINT("file.fsync"), synced = 0, closed;
    if (rc == OK) WATCHED(synced, fsync(fd), path);
    if (synced != 0) rc = io_error("fsync failed", path);
    WATCHED(closed, close(fd), path);
    if (closed != 0 && rc == OK) rc = io_error("close failed", path);
    return rc;
}

static int seen(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return 0;
    close(fd);
    return 1;
}

int file_await(const char *path, double seconds)
{
    const double end = clock_s() + seconds;
    long pause_ms = 1;

    while (!seen(path)) {
        if (errno != ENOENT && errno != ESTALE) return io_error("can't open", path);
        if (clock_s() > end)
            return fail(ERR_IO, "%s: another process made it, and it is not visible here after "
                        "%.0f s: it must be on a file system that all nodes share", path, seconds);
        nanosleep(&(struct timespec){ pause_ms / 1000, pause_ms % 1000 * 1000000 }, NULL);
        if (pause_ms < 1000) pause_ms *= 2;
    }
    return OK;
}

void file_close(int fd)
{
    if (fd >= 0) close(fd);
}

int file_slurp(char **data, size_t *n, const char *path, size_t cap)
{
    int fd = -1, rc = OK;
    int64_t size = 0;

    *data = NULL;
    *n = 0;
    TRY(file_open(&fd, &size, path));
    if ((uint64_t)size > cap)
        TRY(fail(ERR_DATA, "%s: has %lld bytes, at most %zu are allowed", path, (long long)size,
                 cap));
    *data = mem_new(size + 1, 1, path);
    TRY(file_read_at(fd, *data, (size_t)size, 0, path));
    *n = (size_t)size;
out:
    file_close(fd);
    if (rc != OK) {
        mem_free(*data);
        *data = NULL;
    }
    return rc;
}

/* The folder that holds `path`, as a counted string. */
static char *parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return mem_string(".");
    if (slash == path) return mem_string("/");
    return mem_format("%.*s", (int)(slash - path), path);
}

char *file_tmp(const char *path) { return mem_format("%s" FILE_TMP, path); }

void file_sweep(const char *path)
{
    char *tmp = file_tmp(path);
    struct stat st;
    if (lstat(tmp, &st) == 0 && S_ISREG(st.st_mode)) unlink(tmp);
    mem_free(tmp);
}

int file_temporary(int *fd, const char *tmp)
{
    unlink(tmp);
    return file_create(fd, tmp);
}

/* A server may rename and lose the reply: then the file is there, and is ours. */
static int is_file(const char *path, const struct stat *ours)
{
    struct stat st;
    const int why = errno;  /* of the rename: the message is about that */
    const int same = stat(path, &st) == 0 && st.st_dev == ours->st_dev && st.st_ino == ours->st_ino;
    errno = why;
    return same;
}

int file_target(const char *path)
{
    char *dir = parent(path), target[8];
    struct stat st;
    int rc = OK;

    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        TRY(fail(ERR_MISSING, "%s: cannot be written, because there is no folder %s", path, dir));
    const ssize_t n = readlink(path, target, sizeof target);
    const int open_file = n >= 6 && !memcmp(target, "/proc/", 6);  /* /dev/stdout */
    if (open_file || (stat(path, &st) == 0 && !S_ISREG(st.st_mode)))
        TRY(fail(ERR_IO, "%s: is not a regular file and would be replaced by one; move it away, or "
                 "name another file", path));
out:
    mem_free(dir);
    return rc;
}

int file_commit(int fd, int rc, const char *tmp, const char *path)
{
    char *dir = parent(path);
    struct stat ours = { 0 };

    if (rc == OK && fstat(fd, &ours) != 0) rc = io_error("can't stat", tmp);
    const int closed = file_sync_close(fd, tmp);
    if (rc == OK) rc = closed;
    if (rc == OK) rc = file_target(path);
    if (rc == OK) rc = FAILPOINT("file.before_rename");
    int renamed = 0;
    if (rc == OK) WATCHED(renamed, rename(tmp, path), path);
    if (renamed != 0 && !is_file(path, &ours))
        rc = io_error("can't rename to it", path);
    if (rc == OK) rc = FAILPOINT("file.after_rename");
    if (rc == OK) rc = dir_sync(dir);
    if (rc != OK) unlink(tmp);
    mem_free(dir);
    return rc;
}

int file_replace(const char *path, const void *data, size_t n)
{
    char *tmp = file_tmp(path);
    int fd = -1, rc = OK;

    TRY(file_temporary(&fd, tmp));
    rc = file_commit(fd, file_write(fd, data, n, tmp), tmp, path);
out:
    mem_free(tmp);
    return rc;
}

int dir_sync(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return io_error("can't open folder", path);
    int synced;
    WATCHED(synced, fsync(fd), path);
    /* EINVAL: a file system without fsync of folders */
    const int rc = synced != 0 && errno != EINVAL ? io_error("fsync of folder failed", path) : OK;
    close(fd);
    return rc;
}

/* A new folder is only there after a power cut if its parent was synced. */
static int make_one(const char *path)
{
    if (mkdir(path, 0777) != 0) return errno == EEXIST ? OK : io_error("can't make folder", path);
    char *dir = parent(path);
    const int rc = dir_sync(dir);
    mem_free(dir);
    return rc;
}

int dir_make(const char *path)
{
    int rc = OK;
    char *p = mem_string(path);

    for (char *s = p + 1; *s && rc == OK; s++) {
        if (*s != '/') continue;
        *s = '\0';
        rc = make_one(p);
        *s = '/';
    }
    if (rc == OK) rc = make_one(p);
    if (rc == OK && !path_is_dir(p)) rc = fail(ERR_IO, "%s: exists and is not a folder", p);
    mem_free(p);
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int dir_list(char ***names, int *count, const char *path)
{
    DIR *d = opendir(path);
    char **list = NULL;
    int n = 0, room = 0;
    size_t bytes = 0;

    *names = NULL;
    *count = 0;
    if (!d) return io_error("can't open folder", path);
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (n == room) {
            room = room ? 2 * room : 64;
            list = mem_resize(list, room, sizeof *list, path);
        }
        list[n++] = mem_string(e->d_name);
        bytes += strlen(e->d_name) + 1;
    }
    closedir(d);
    if (n > 1) qsort(list, (size_t)n, sizeof *list, by_bytes);

    /* Pointers first, then the strings, in one block. */
    *names = mem_new((int64_t)(((size_t)n + 1) * sizeof **names + bytes), 1, path);
    char *p = (char *)(*names + n + 1);
    for (int i = 0; i < n; i++) {
        (*names)[i] = strcpy(p, list[i]);
        p += strlen(p) + 1;
        mem_free(list[i]);
    }
    mem_free(list);
    *count = n;
    return OK;
}

int dir_remove(const char *path)
{
    char **names = NULL;
    int count = 0, rc = OK;

    TRY(dir_list(&names, &count, path));
    for (int i = 0; i < count; i++) {
        char *p = mem_format("%s/%s", path, names[i]);
        if (unlink(p) != 0) rc = io_error("can't remove", p);
        mem_free(p);
    }
    if (rc == OK && rmdir(path) != 0) rc = io_error("can't remove folder", path);
out:
    mem_free(names);
    return rc;
}

int path_exists(const char *path)
{
    struct stat st;
    int rc;
    WATCHED(rc, stat(path, &st), path);
    return rc == 0;
}

int path_is_absent(const char *path)
{
    struct stat st;
    int rc;
    WATCHED(rc, lstat(path, &st), path);
    return rc != 0 && (errno == ENOENT || errno == ENOTDIR);
}

int path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int path_is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}
