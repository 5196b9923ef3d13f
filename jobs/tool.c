/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"

extern char **environ;

enum { WAIT_S = 15, MOST_S = 3600, REAP_S = 2 };

/* The text that is read from a pipe. */
struct pipe_text { int fd, cut; char *text; size_t room, used; };

int tool_wait_s(void)
{
    const char *text = getenv("TTT_SLURM_WAIT_S");
    int64_t n;
    return text && text_int(&n, text) && n >= 1 && n <= MOST_S ? (int)n : WAIT_S;
}

int tool_is_there(const char *name, int mode)
{
    const char *path = getenv("PATH");
    char *copy = mem_string(path ? path : ""), *rest = copy;
    int there = 0;

    for (char *dir; !there && (dir = strsep(&rest, ":")) != NULL;) {
        char *file = mem_format("%s/%s", dir[0] ? dir : ".", name);
        there = access(file, mode) == 0;
        mem_free(file);
    }
    mem_free(copy);
    return there;
}

/* The environment of a program whose output is parsed, a counted block. */
static char **plain_environment(void)
{
    static const char *const dropped[] = { "SQUEUE_", "SACCT_", "SINFO_", "SLURM_TIME_FORMAT=", "LC_",
                                           "LANG=", "LANGUAGE=" };
    static char locale[] = "LC_ALL=C";
    int n = 0, kept = 0;

    while (environ[n]) n++;
    char **all = mem_new(n + 2, sizeof *all, "environment");
    for (int i = 0; i < n; i++) {
        int drop = 0;
        for (size_t k = 0; k < sizeof dropped / sizeof *dropped; k++)
            drop |= !strncmp(environ[i], dropped[k], strlen(dropped[k]));
        if (!drop) all[kept++] = environ[i];
    }
    all[kept] = locale;
    return all;
}

/* A group of its own, so that all of it can be killed.  No signal is blocked in it, whatever we
 * block.  err: where its messages go; -1: to the user; -2: nowhere. */
static int spawn(pid_t *pid, int out, int err, char *const words[], char *const env[])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;

    sigemptyset(&none);
    check(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    if (err >= 0) posix_spawn_file_actions_adddup2(&files, err, 2);
    if (err == -2) posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    const int rc = posix_spawnp(pid, words[0], &files, &attr, words, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc;
}

/* Read what is available; what does not fit is dropped. */
static void take(struct pipe_text *s)
{
    char rest[4096];
    const int fits = s->used + 1 < s->room;
    const ssize_t n = read(s->fd, fits ? s->text + s->used : rest,
                           fits ? s->room - s->used - 1 : sizeof rest);

    if (n < 0 && errno == EINTR) return;
    if (n <= 0) {
        close(s->fd);
        s->fd = -1;
    } else if (fits) {
        /* Replace zero bytes: an answer that begins with one is not empty. */
        for (char *p = s->text + s->used, *end = p + n; p < end; p++)
            if (!*p) *p = '?';
        s->used += (size_t)n;
    } else s->cut = 1;
}

/* Read both pipes to their ends, or until the time limit. */
static void read_both(struct pipe_text s[2], double until)
{
    while (s[0].fd >= 0 || s[1].fd >= 0) {
        struct pollfd p[2] = { { .fd = s[0].fd, .events = POLLIN },
                               { .fd = s[1].fd, .events = POLLIN } };
        const double left = until - clock_s();
        if (left <= 0) break;
        if (poll(p, 2, (int)(1000 * left) + 1) <= 0) continue;
        for (int i = 0; i < 2; i++)
            if (p[i].revents) take(&s[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (s[i].fd >= 0) close(s[i].fd);
        if (s[i].room) s[i].text[s[i].used] = '\0';
    }
}

/* returns 1 and its status, or 0 if it has not ended by then */
static int ended(pid_t pid, int *status, double until)
{
    for (;;) {
        const pid_t got = waitpid(pid, status, WNOHANG);
        if (got == pid) return 1;
        if ((got < 0 && errno != EINTR) || clock_s() >= until) return 0;
        nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
    }
}

static int run(struct pipe_text *out, struct pipe_text *err, int quiet, double limit_s,
               char *const words[], char *const env[])
{
    int ends[2][2] = { { -1, -1 }, { -1, -1 } }, status = 0;
    const double until = clock_s() + limit_s;
    struct sigaction ignored;
    pid_t pid;

    out->text[0] = '\0';
    /* Where a parent made us ignore it, no child has an exit code. */
    if (sigaction(SIGCHLD, NULL, &ignored) == 0 && ignored.sa_handler == SIG_IGN)
        signal(SIGCHLD, SIG_DFL);
    if (pipe2(ends[0], O_CLOEXEC) != 0) return TOOL_MISSING;
    if (err && pipe2(ends[1], O_CLOEXEC) != 0) {
        close(ends[0][0]);
        close(ends[0][1]);
        return TOOL_MISSING;
    }
    const int rc = spawn(&pid, ends[0][1], err ? ends[1][1] : quiet ? -2 : -1, words, env);
    close(ends[0][1]);
    if (err) close(ends[1][1]);
    struct pipe_text s[2] = { *out, err ? *err : (struct pipe_text){ .fd = -1 } };
    s[0].fd = ends[0][0];
    s[1].fd = ends[1][0];
    read_both(s, rc == 0 ? until : 0);
    *out = s[0];
    if (err) *err = s[1];
    if (rc != 0) return TOOL_MISSING;
    if (!ended(pid, &status, until)) {
        kill(-pid, SIGKILL);
        ended(pid, &status, clock_s() + REAP_S);
        return TOOL_LATE;
    }
    if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
    return WEXITSTATUS(status) ? WEXITSTATUS(status) : out->cut ? TOOL_LONG : 0;
}

int tool_run(char *out, size_t room, int quiet, char *const words[])
{
    struct pipe_text s = { .text = out, .room = room };
    return run(&s, NULL, quiet, TOOL_CHANGES * tool_wait_s(), words, environ);
}

/* The last line that is not empty. */
static const char *last_line(char *text)
{
    size_t n = strlen(text);
    while (n && strchr(" \t\r\n", text[n - 1])) text[--n] = '\0';
    const char *start = strrchr(text, '\n');
    return start ? start + 1 : text;
}

int tool_ask(char *out, size_t room, char why[TOOL_WHY], char *const words[])
{
    char messages[4096] = "", **env = plain_environment();
    struct pipe_text s = { .text = out, .room = room };
    struct pipe_text err = { .text = messages, .room = sizeof messages };
    const int code = run(&s, &err, 0, tool_wait_s(), words, env);
    const char *line = last_line(messages);

    why[0] = '\0';
    if (code == TOOL_MISSING) snprintf(why, TOOL_WHY, "it is not installed here");
    else if (code == TOOL_LATE) snprintf(why, TOOL_WHY, "no answer in %d s", tool_wait_s());
    else if (code == TOOL_LONG) snprintf(why, TOOL_WHY, "an answer of more than %zu bytes", room);
    else if (code > 0 && line[0]) snprintf(why, TOOL_WHY, "%s", line);
    else if (code > 0) snprintf(why, TOOL_WHY, "exit code %d", code);
    mem_free(env);
    return code;
}
