#include "jobs/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "src/base/process.h"
#include "src/base/status.h"
#include "src/store/run_note.h"

enum { BYTES = 1 << 16 };

static const char *const names[] = { "standard output", "standard error" };

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

static void relay(const int from[2], const char *dir)
{
    static char text[BYTES];
    sigset_t all;
    struct pollfd p[2] = { { .fd = from[0], .events = POLLIN },
                           { .fd = from[1], .events = POLLIN } };
    int taken[2] = { 1, 1 };

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
            if (n <= 0 || !taken[i]) continue;
            taken[i] = pass_on(STDOUT_FILENO + i, text, n);
            if (!taken[i]) run_note(dir, "output", json_pack("{s:s}", "lost", names[i]));
        }
    }
}

int relay_start(int to[2], const char *dir)
{
    int out[2] = { -1, -1 }, err[2] = { -1, -1 };
    pid_t pid = -1;

    if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0) pid = fork();
    if (pid == 0) {
        const int from[2] = { out[0], err[0] };
        process_close_files((const int[]){ from[0], from[1], -1 });
        relay(from, dir);
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
