/* SPDX-License-Identifier: Apache-2.0 */
/* Which hosts still answer?  The launcher, or in a SLURM job srun, starts a program that does nothing
 * on each of them. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "jobs/launcher.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/run_note.h"

#define ANSWER_S 30

static pid_t ask(const struct launch *l, int host)
{
    struct launch one = *l;
    struct host it = l->hosts[host];
    sigset_t none;

    it.slots = 1;
    one.hosts = &it;
    one.n_hosts = one.ranks = 1;
    char **v = words_made(launcher_probe, &one);
    const pid_t pid = fork();
    if (pid == 0) {
        const int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; fd++) dup2(null, fd);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        execvp(v[0], v);
        _exit(1);
    }
    mem_free(v);
    return pid;
}

/* The number of hosts that have not answered yet; exit code 0 is an answer. */
static int count_silent(pid_t *pid, int *answered, int n)
{
    int silent = 0, status;

    for (int i = 0; i < n; i++) {
        if (pid[i] <= 0) continue;
        if (waitpid(pid[i], &status, WNOHANG) == pid[i]) {
            answered[i] = status == 0;
            pid[i] = 0;
        } else silent++;
    }
    return silent;
}

int launch_check_hosts(struct launch *l)
{
    pid_t *pid = mem_new(l->n_hosts, sizeof *pid, "probes");
    int *answered = mem_new(l->n_hosts, sizeof *answered, "probes"), lost = 0, good = 0;
    const double until = clock_s() + ANSWER_S;

    for (int i = 0; i < l->n_hosts; i++)
        if (!l->hosts[i].lost) pid[i] = ask(l, i);
    while (count_silent(pid, answered, l->n_hosts) && clock_s() < until)
        nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
    for (int i = 0; i < l->n_hosts; i++) {
        if (pid[i] > 0) {
            kill(pid[i], SIGKILL);
            waitpid(pid[i], NULL, 0);
        }
        good += answered[i];
    }
    /* If no host answers, our own network is more likely at fault than all hosts. */
    if (good)
        for (int i = 0; i < l->n_hosts; i++) {
            if (l->hosts[i].lost || answered[i]) continue;
            l->hosts[i].lost = 1;
            lost++;
            log_warn("host %s does not answer: the run continues without it", l->hosts[i].name);
            run_note(l->conf->run.dir, "lost", json_pack("{s:s}", "host", l->hosts[i].name));
        }
    mem_free(pid);
    mem_free(answered);
    return lost;
}
