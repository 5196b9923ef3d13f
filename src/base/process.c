/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/base/mem.h"

#define PART 4096

/* Its folder of /proc.  As long as it is open it means this process: once that has ended nothing
 * can be read in it, even if another process has the number. */
static int open_folder(int64_t pid)
{
    char path[64];

    if (pid <= 0) return -1;
    snprintf(path, sizeof path, "/proc/%lld", (long long)pid);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* What the system says of it; 0 if it has ended. */
static int read_stat(int64_t *born, char *state, int folder)
{
    char line[1024];
    long long start = -1;
    const int fd = openat(folder, "stat", O_RDONLY | O_CLOEXEC);

    if (fd < 0) return 0;
    const ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    line[n > 0 ? n : 0] = '\0';
    const char *name_end = strrchr(line, ')');  /* the name may hold anything */
    if (!name_end ||
        sscanf(name_end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                             "%*d %*d %lld", state, &start) != 2)
        return 0;
    *born = start;
    return *state != 'Z' && *state != 'X';
}

/* Does one of the texts that end with a zero byte equal `text`? */
static int has_text(const char *all, size_t n, const char *text)
{
    const size_t length = strlen(text) + 1;

    for (const char *p = all, *end = all + n, *zero; p < end; p = zero + 1) {
        zero = memchr(p, '\0', (size_t)(end - p));
        if (!zero) return 0;
        if ((size_t)(zero - p) + 1 == length && !memcmp(p, text, length)) return 1;
    }
    return 0;
}

/* Only its user, and root, can read what it was started with. */
static int was_given(int folder, const char *assignment)
{
    const int fd = openat(folder, "environ", O_RDONLY | O_CLOEXEC);
    char *all = NULL;
    size_t n = 0;
    ssize_t got = 0;

    if (fd < 0) return 0;
    do {
        n += (size_t)got;
        all = mem_resize(all, (int64_t)(n + PART), 1, "environment of a process");
        got = read(fd, all + n, PART);
    } while (got > 0);
    close(fd);
    const int yes = got == 0 && has_text(all, n, assignment);
    mem_free(all);
    return yes;
}

static int is_ours(int folder, int64_t born, const char *assignment)
{
    struct stat st;
    int64_t since;
    char state;

    return folder >= 0 && fstat(folder, &st) == 0 && st.st_uid == geteuid() &&
           read_stat(&since, &state, folder) && since == born && was_given(folder, assignment);
}

int64_t process_born(int64_t pid)
{
    const int folder = open_folder(pid);
    int64_t born = -1;
    char state;

    if (folder >= 0 && !read_stat(&born, &state, folder)) born = -1;
    if (folder >= 0) close(folder);
    return born;
}

char process_state(int64_t pid, int64_t born)
{
    const int folder = open_folder(pid);
    int64_t since = -1;
    char state = 0;

    if (folder >= 0 && (!read_stat(&since, &state, folder) || since != born)) state = 0;
    if (folder >= 0) close(folder);
    return state;
}

int process_is_ours(int64_t pid, int64_t born, const char *assignment)
{
    const int folder = open_folder(pid);
    const int yes = is_ours(folder, born, assignment);

    if (folder >= 0) close(folder);
    return yes;
}

int process_signal(int64_t pid, int64_t born, const char *assignment, int sig)
{
    const int folder = open_folder(pid);
    int sent = 0;

    if (is_ours(folder, born, assignment)) {
        sent = syscall(SYS_pidfd_send_signal, folder, sig, NULL, 0) == 0;
        /* Before Linux 5.1 there is only the number; old containers forbid what is new. */
        if (!sent && (errno == ENOSYS || errno == EPERM)) sent = kill((pid_t)pid, sig) == 0;
    }
    if (folder >= 0) close(folder);
    return sent;
}

void process_close_files(const int keep[])
{
    enum { MOST_FILES = 1024 };

    for (int fd = STDERR_FILENO + 1; fd < MOST_FILES; fd++) {
        int kept = 0;
        for (int i = 0; keep[i] >= 0; i++) kept |= keep[i] == fd;
        if (!kept) close(fd);
    }
}
