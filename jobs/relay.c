/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "src/base/launch_token.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/process.h"
#include "src/base/status.h"
#include "src/store/json_name.h"
#include "src/store/run_note.h"

enum { BYTES = 1 << 16, LINE = 1 << 12 };

static const char *const names[] = { "standard output", "standard error" };

/* What the relay knows.  Lines are those of standard error. */
static struct {
    const char *dir;
    int  times;
    int  taken[2];             /* somebody reads what we write                    */
    int  holding;              /* no process of the run has been heard yet        */
    char held[BYTES];
    char line[LINE];           /* that has not ended yet                          */
    size_t n_held, n_line;
    int  begun;                /* a part of the line was written already          */
} relay;

/* Write all bytes.  returns 0 if the reader is gone */
static int pass_on(int fd, const char *text, ssize_t n)
{
    while (n > 0) {
        const ssize_t k = write(fd, text, (size_t)n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 && errno == EAGAIN) {
            struct pollfd p = { .fd = fd, .events = POLLOUT };
            (void)poll(&p, 1, -1);
            continue;
        }
        if (k <= 0) return 0;
        text += k;
        n -= k;
    }
    return 1;
}

static void put(int which, const char *text, size_t n)
{
    if (!relay.taken[which] || !n) return;
    relay.taken[which] = pass_on(STDOUT_FILENO + which, text, (ssize_t)n);
    if (!relay.taken[which])
        run_note(relay.dir, "output", json_pack("{s:s}", "lost", names[which]));
}

static void release(void)
{
    relay.holding = 0;
    put(1, relay.held, relay.n_held);
    relay.n_held = 0;
}

static void keep(const char *text, size_t n)
{
    if (relay.holding && relay.n_held + n > sizeof relay.held) release();
    if (!relay.holding) {
        put(1, text, n);
        return;
    }
    memcpy(relay.held + relay.n_held, text, n);
    relay.n_held += n;
}

/* "srun: error: n1: task 0: Out Of Memory", "slurmstepd: error: Detected 1 oom_kill event in ..." */
static int is_out_of_memory(const char *line)
{
    return (strstr(line, "srun: error:") && strstr(line, "Out Of Memory")) ||
           (strstr(line, "slurmstepd: error:") &&
            (strstr(line, "oom_kill event") || strstr(line, "oom-kill event")));
}

/* The collected line, which may be the rest of a longer one. */
static void end_line(int complete)
{
    char time[LOG_TIME];

    relay.line[relay.n_line] = '\0';
    if (!relay.begun && is_out_of_memory(relay.line))
        run_note(relay.dir, "oom", json_pack("{s:o}", "text", json_name(relay.line)));
    if (!relay.begun && relay.times) keep(time, strlen(log_time(time)));
    keep(relay.line, relay.n_line);
    if (strstr(relay.line, LAUNCH_ALIVE) || strstr(relay.line, "ttt: ")) release();
    relay.begun = !complete;
    relay.n_line = 0;
}

static void take_error(const char *text, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++) {
        relay.line[relay.n_line++] = text[i] ? text[i] : ' ';
        if (text[i] == '\n' || relay.n_line == LINE - 1) end_line(text[i] == '\n');
    }
}

/* No process was heard: what was said goes into a file, or, where that can't be written, to the
 * reader after all. */
static void end_error(void)
{
    if (relay.n_line) end_line(0);
    if (!relay.holding || !relay.n_held) return;
    char *path = mem_format("%s/" RELAY_FILE, relay.dir);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0 || !pass_on(fd, relay.held, (ssize_t)relay.n_held)) release();
    if (fd >= 0) close(fd);
    mem_free(path);
}

static void forward(const int from[2])
{
    static char text[BYTES];
    sigset_t all;
    struct pollfd p[2] = { { .fd = from[0], .events = POLLIN },
                           { .fd = from[1], .events = POLLIN } };

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);   /* it ends when mpirun has */
    setsid();
    prctl(PR_SET_NAME, "ttt-output");
    while (p[0].fd >= 0 || p[1].fd >= 0) {
        if (poll(p, 2, -1) < 0 && errno != EINTR) return;
        for (int i = 0; i < 2; i++) {
            if (p[i].fd < 0 || !p[i].revents) continue;
            const ssize_t n = read(p[i].fd, text, sizeof text);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) p[i].fd = -1;
            else if (i == 0) put(0, text, (size_t)n);
            else take_error(text, n);
        }
    }
    end_error();
}

int relay_start(int to[2], const char *dir, int times)
{
    int out[2] = { -1, -1 }, err[2] = { -1, -1 };
    pid_t pid = -1;

    if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0) pid = fork();
    if (pid == 0) {
        const int from[2] = { out[0], err[0] };
        process_close_files((const int[]){ from[0], from[1], -1 });
        relay.dir = dir;
        relay.times = times;
        relay.holding = relay.taken[0] = relay.taken[1] = 1;
        forward(from);
        _exit(0);
    }
    const int e = errno;
    if (out[0] >= 0) close(out[0]);
    if (err[0] >= 0) close(err[0]);
    to[0] = out[1];
    to[1] = err[1];
    if (pid > 0) return OK;
    for (int i = 0; i < 2; i++)
        if (to[i] >= 0) close(to[i]);
    return fail(ERR_IO, "can't start the process that forwards the output: %s", strerror(e));
}
