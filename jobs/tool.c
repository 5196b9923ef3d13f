#include "jobs/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/status.h"

extern char **environ;

/* No signal is blocked in it, whatever we block. */
static int spawn(pid_t *pid, int to, int quiet, char *const words[])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;

    sigemptyset(&none);
    check(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, to, 1);
    if (quiet) posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    const int err = posix_spawnp(pid, words[0], &files, &attr, words, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return err;
}

/* To the end of the file; what does not fit is dropped. */
static void read_all(char *out, size_t room, int from)
{
    char rest[4096];
    size_t used = 0;

    for (;;) {
        const int fits = used + 1 < room;
        const ssize_t n = read(from, fits ? out + used : rest, fits ? room - used - 1 : sizeof rest);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        if (fits) used += (size_t)n;
    }
    out[used] = '\0';
}

int tool_run(char *out, size_t room, int quiet, char *const words[])
{
    int ends[2], status = 0;
    pid_t pid;

    out[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    const int err = spawn(&pid, ends[1], quiet, words);
    close(ends[1]);
    if (err == 0) {
        read_all(out, room, ends[0]);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) { }
    }
    close(ends[0]);
    if (err != 0) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
