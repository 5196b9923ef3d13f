/* SPDX-License-Identifier: Apache-2.0 */
/* iofault.c -- a preloaded library that makes the n-th file operation fail.
 *
 *     LD_PRELOAD=iofault.so IOFAULT_ROOT=/run/ckpt IOFAULT="op=any n=17 do=ENOSPC" ttt train ...
 *
 * Counted are operations on paths that begin with IOFAULT_ROOT, and on
 * descriptors opened there: open, read, write, fsync, close, rename, unlink,
 * mkdir, rmdir, truncate.  IOFAULT holds
 *
 *     op=NAME   one of these, or any
 *     n=N       which one of them, from 1
 *     times=N   how many from there on (default 1; 0: all that follow)
 *     do=WHAT   an errno (ENOSPC EDQUOT EIO EINTR EROFS EMFILE ESTALE ENOENT EACCES), short
 *               (a read or write moves one byte), kill (SIGKILL before the
 *               operation), tear (SIGKILL in the middle of a write, else after)
 *
 * IOFAULT_ONCE=FILE: the first fault makes FILE, and processes that find it at their start have
 * none: a launcher's next try meets no fault again.
 *
 * IOFAULT_LOG=FILE gets a line "number operation path" for every one: the
 * number of lines is what a test loops over.  stdio's own calls don't pass here.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum op { OP_OPEN, OP_READ, OP_WRITE, OP_FSYNC, OP_CLOSE, OP_RENAME, OP_UNLINK, OP_MKDIR,
          OP_RMDIR, OP_TRUNCATE, OP_ANY };
static const char *const op_names[] = { "open", "read", "write", "fsync", "close", "rename",
                                        "unlink", "mkdir", "rmdir", "truncate", "any" };

enum effect { PASS, FAIL, SHORT, KILL, TEAR };
static const struct { const char *name; enum effect effect; int error; } effects[] = {
    { "ENOSPC", FAIL, ENOSPC }, { "EDQUOT", FAIL, EDQUOT }, { "EIO", FAIL, EIO },
    { "EINTR", FAIL, EINTR },   { "EROFS", FAIL, EROFS },   { "EMFILE", FAIL, EMFILE },
    { "ESTALE", FAIL, ESTALE }, { "ENOENT", FAIL, ENOENT }, { "EACCES", FAIL, EACCES },
    { "short", SHORT, 0 },      { "kill", KILL, 0 },
    { "tear", TEAR, 0 },
};

#define MAX_FD 4096
static char root[PATH_MAX];
static const char *once;
static enum op rule_op;
static long rule_n, rule_times = 1;
static int rule = -1;              /* row of effects, -1: only count */
static long counted, matched;      /* operations so far              */
static int log_fd = -1;
static unsigned char watched[MAX_FD];

/* The next definition of a function after ours. */
static void *next(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);
    if (!f) abort();
    return f;
}
#define REAL(type, name, ...)                                 \
    static type (*real)(__VA_ARGS__);                         \
    if (!real) *(void **)&real = next(name)

static int real_open(const char *path, int flags, mode_t mode)
{
    REAL(int, "open", const char *, int, ...);
    return real(path, flags, mode);
}

static int real_close(int fd)
{
    REAL(int, "close", int);
    return real(fd);
}

static ssize_t real_write(int fd, const void *p, size_t n)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    return real(fd, p, n);
}

__attribute__((constructor)) static void start(void)
{
    const char *r = getenv("IOFAULT_ROOT"), *text = getenv("IOFAULT");
    const char *log = getenv("IOFAULT_LOG");
    char op[32] = "any", what[32] = "";

    if (r) snprintf(root, sizeof root, "%s", r);
    if (log) log_fd = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    once = getenv("IOFAULT_ONCE");
    if (!text || !*text || (once && !access(once, F_OK))) return;
    for (const char *p = text; p && *p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL)
        if (!(sscanf(p, "op=%31[^ ]", op) == 1 || sscanf(p, "do=%31[^ ]", what) == 1 ||
              sscanf(p, "n=%ld", &rule_n) == 1 || sscanf(p, "times=%ld", &rule_times) == 1)) {
            fprintf(stderr, "iofault: can't read '%s'\n", p);
            _exit(99);
        }
    for (rule_op = OP_OPEN; rule_op < OP_ANY && strcmp(op, op_names[rule_op]);) rule_op++;
    for (size_t i = 0; i < sizeof effects / sizeof *effects; i++)
        if (!strcmp(what, effects[i].name)) rule = (int)i;
    if (rule < 0 || strcmp(op, op_names[rule_op])) {
        fprintf(stderr, "iofault: unknown op or do in '%s'\n", text);
        _exit(99);
    }
}

static int under_root(const char *path)
{
    char whole[2 * PATH_MAX];
    if (!root[0] || !path) return 0;
    if (path[0] != '/') {
        char cwd[PATH_MAX];
        if (!getcwd(cwd, sizeof cwd)) return 0;
        snprintf(whole, sizeof whole, "%s/%s", cwd, path);
        path = whole;
    }
    return !strncmp(path, root, strlen(root));
}

static int is_watched(int fd) { return fd >= 0 && fd < MAX_FD && watched[fd]; }

/* Count an operation and say what shall happen to it.  errno is set for FAIL. */
static enum effect count(enum op op, const char *path, int fd)
{
    const long n = __atomic_add_fetch(&counted, 1, __ATOMIC_RELAXED);
    if (log_fd >= 0) {
        char line[PATH_MAX + 64];
        const int k = path ? snprintf(line, sizeof line, "%ld %s %s\n", n, op_names[op], path)
                           : snprintf(line, sizeof line, "%ld %s fd %d\n", n, op_names[op], fd);
        if (real_write(log_fd, line, (size_t)k) < 0) abort();
    }
    if (rule < 0 || (rule_op != OP_ANY && rule_op != op)) return PASS;
    const long m = __atomic_add_fetch(&matched, 1, __ATOMIC_RELAXED);
    if (m < rule_n || (rule_times > 0 && m >= rule_n + rule_times)) return PASS;
    if (once) real_close(real_open(once, O_WRONLY | O_CREAT, 0666));
    if (effects[rule].effect == KILL) kill(getpid(), SIGKILL);
    errno = effects[rule].error;
    return effects[rule].effect;
}

static void tear(enum effect e)
{
    if (e == TEAR) kill(getpid(), SIGKILL);
}

static int do_open(int dir, const char *path, int flags, mode_t mode)
{
    REAL(int, "openat", int, const char *, int, ...);
    const int mine = dir == AT_FDCWD || path[0] == '/' ? under_root(path) : is_watched(dir);
    const enum effect e = mine ? count(OP_OPEN, path, -1) : PASS;
    if (e == FAIL) return -1;
    const int fd = real(dir, path, flags, mode);
    if (fd >= 0 && fd < MAX_FD) watched[fd] = (unsigned char)mine;
    tear(e);
    return fd;
}

#define MODE_OF(flags, mode)                                  \
    mode_t mode = 0;                                          \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                    \
        va_list ap;                                           \
        va_start(ap, flags);                                  \
        mode = va_arg(ap, mode_t);                            \
        va_end(ap);                                           \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return do_open(dir, path, flags, mode);
}

ssize_t write(int fd, const void *p, size_t n)
{
    const enum effect e = is_watched(fd) ? count(OP_WRITE, NULL, fd) : PASS;
    if (e == FAIL) return -1;
    const ssize_t k = real_write(fd, p, e == SHORT && n > 1 ? 1 : e == TEAR ? n / 2 : n);
    tear(e);
    return k;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    const enum effect e = is_watched(fd) ? count(OP_WRITE, NULL, fd) : PASS;
    if (e == FAIL) return -1;
    const ssize_t k = real(fd, p, e == SHORT && n > 1 ? 1 : e == TEAR ? n / 2 : n, at);
    tear(e);
    return k;
}

ssize_t read(int fd, void *p, size_t n)
{
    REAL(ssize_t, "read", int, void *, size_t);
    const enum effect e = is_watched(fd) ? count(OP_READ, NULL, fd) : PASS;
    if (e == FAIL) return -1;
    tear(e);
    return real(fd, p, e == SHORT && n > 1 ? 1 : n);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    REAL(ssize_t, "pread", int, void *, size_t, off_t);
    const enum effect e = is_watched(fd) ? count(OP_READ, NULL, fd) : PASS;
    if (e == FAIL) return -1;
    tear(e);
    return real(fd, p, e == SHORT && n > 1 ? 1 : n, at);
}

/* Operations that either happen or fail. */
#define SIMPLE(op, mine, path, fd, call)                      \
    do {                                                      \
        const enum effect e = (mine) ? count(op, path, fd) : PASS; \
        if (e == FAIL) return -1;                             \
        const int rc = (call);                                \
        tear(e);                                              \
        return rc;                                            \
    } while (0)

int fsync(int fd)
{
    REAL(int, "fsync", int);
    SIMPLE(OP_FSYNC, is_watched(fd), NULL, fd, real(fd));
}

int fdatasync(int fd)
{
    REAL(int, "fdatasync", int);
    SIMPLE(OP_FSYNC, is_watched(fd), NULL, fd, real(fd));
}

int close(int fd)
{
    const int mine = is_watched(fd);
    const enum effect e = mine ? count(OP_CLOSE, NULL, fd) : PASS;
    const int saved = errno;
    if (mine) watched[fd] = 0;
    const int rc = real_close(fd);  /* Linux frees the descriptor whatever close() returns */
    tear(e);
    if (e != FAIL) return rc;
    errno = saved;
    return -1;
}

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *);
    SIMPLE(OP_RENAME, under_root(from) || under_root(to), to, -1, real(from, to));
}

int unlink(const char *path)
{
    REAL(int, "unlink", const char *);
    SIMPLE(OP_UNLINK, under_root(path), path, -1, real(path));
}

int mkdir(const char *path, mode_t mode)
{
    REAL(int, "mkdir", const char *, mode_t);
    SIMPLE(OP_MKDIR, under_root(path), path, -1, real(path, mode));
}

int rmdir(const char *path)
{
    REAL(int, "rmdir", const char *);
    SIMPLE(OP_RMDIR, under_root(path), path, -1, real(path));
}

int ftruncate(int fd, off_t n)
{
    REAL(int, "ftruncate", int, off_t);
    SIMPLE(OP_TRUNCATE, is_watched(fd), NULL, fd, real(fd, n));
}
