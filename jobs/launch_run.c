/* SPDX-License-Identifier: Apache-2.0 */
/* Start mpirun, forward signals, wait for its end, and restart it after a crash.  mpirun stands here
 * for every program of launcher.h.
 *
 * mpirun runs in a session of its own, so that Ctrl-C reaches only the launcher, and it gets a
 * signal if the launcher dies.  After SIGTERM Open MPI's would kill the processes within a second;
 * SIGUSR1 all of them forward, and the processes save and end.  Its output goes through a process of ours
 * (relay.h), so that it does not end when the reader of the output goes away.
 */
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "jobs/launcher.h"
#include "jobs/relay.h"
#include "jobs/slurm.h"
#include "src/base/beacon.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/stop.h"
#include "src/base/text.h"
#include "src/store/run_note.h"

#define ORPHANS_S 60       /* for processes to save after their mpirun is gone   */
#define AGAIN_S 5          /* between signals to a job that was asked to stop,   */
#define YOUNG_S 15         /* and half a second where it may not listen yet      */

/* The signals that wait for launch_run(), and the mask that was set before, which programs that are
 * started get. */
static sigset_t caught, usual;
static int held;

/* The first signal that asked for the end; 0: none. */
static int asked;

struct job {
    pid_t    mpirun;
    int      status;       /* of mpirun, as waitpid() has it    */
    int      stillborn;    /* in the last start, no process of the run began */
    int      began;        /* in an earlier one they did                     */
};

void launch_catch_signals(void)
{
    if (held) return;
    held = 1;
    stop_set(&caught);
    sigaddset(&caught, SIGCHLD);
    sigprocmask(SIG_BLOCK, &caught, &usual);
    /* The launcher that this process was before may have blocked them, too (program_resume()). */
    for (int i = 1; i < NSIG; i++)
        if (sigismember(&caught, i) == 1) sigdelset(&usual, i);
    /* Processes whose mpirun was killed become our children. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void child(char **words, const int output[2])
{
    dup2(output[0], STDOUT_FILENO);
    dup2(output[1], STDERR_FILENO);
    setsid();
    stop_with_parent();
    /* Until mpirun has installed its handler, the signal must not kill it. */
    signal(SIGUSR1, SIG_IGN);
    sigprocmask(SIG_SETMASK, &usual, NULL);
    execvp(words[0], words);
    dprintf(STDERR_FILENO, "ttt: error: %s: %s\n", text_visible(words[0]), strerror(errno));
    _exit(-ERR_MISSING);
}

static int start(struct job *j, const struct launch *l)
{
    int output[2];

    fflush(NULL);
    const int rc = relay_start(output, l->conf->run.dir, l->job[0] || l->scheduler);
    if (rc != OK) return rc;
    char **words = launch_command(l);
    j->mpirun = fork();
    if (j->mpirun == 0 && setenv(LAUNCH_VARIABLE, l->token, 1) == 0) child(words, output);
    if (j->mpirun == 0) _exit(-ERR_MEMORY);
    const int e = errno;
    mem_free(words);
    close(output[0]);
    close(output[1]);
    return j->mpirun > 0 ? OK : fail(ERR_IO, "can't start a process: %s", strerror(e));
}

/* Wait for a signal, at most that many seconds. */
static void nap(double seconds)
{
    const long ns = (long)(1e9 * (seconds - (double)(time_t)seconds));
    const struct timespec t = { (time_t)seconds, ns };
    const int sig = sigtimedwait(&caught, NULL, &t);

    if (sig < 0 || sig == SIGCHLD || asked) return;
    asked = sig;
    log_phase("signal %d (%s): the run is asked to save a checkpoint and end", sig, strsignal(sig));
}

int launch_signalled(void)
{
    sigset_t waiting;

    sigpending(&waiting);
    if (held)
        for (int i = 1; i < NSIG; i++)
            if (sigismember(&waiting, i) == 1 && sigismember(&caught, i) == 1) nap(0);
    return asked;
}

/* Collect children that have ended.  returns 1 if children are left, else 0 */
static int reap(struct job *j, int *mpirun_ended)
{
    for (;;) {
        int status;
        const pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == 0) return 1;
        if (pid < 0 && errno != EINTR) return 0;
        if (pid != j->mpirun) continue;
        j->status = status;
        *mpirun_ended = 1;
    }
}

static void kill_children(void)
{
    int pid;
    char *path = mem_format("/proc/self/task/%ld/children", (long)getpid());
    FILE *f = fopen(path, "re");

    while (f && fscanf(f, "%d", &pid) == 1) kill(pid, SIGKILL);
    if (f) fclose(f);
    mem_free(path);
}

/* Wait until mpirun and all processes that it started have ended. */
static void wait_for(struct job *j)
{
    const double begin = clock_s();
    double told = 0, ended = 0;
    int gone = 0;

    while (reap(j, &gone)) {
        const double now = clock_s();
        if (gone && !ended) ended = now;
        if (gone && now - ended > ORPHANS_S) kill_children();
        const double again = now - begin < YOUNG_S ? 0.5 : AGAIN_S;
        if (!gone && asked && now - told >= again) {
            kill(j->mpirun, SIGUSR1);
            told = now;
        }
        nap(0.5);
    }
}

/* The status that mpirun's end means: OK, an error status of ours, or 1 for a crash. */
static int meaning(int status)
{
    int code;

    if (!WIFEXITED(status)) return 1;
    for (int i = 0; status_row(i, &code); i++)
        if (WEXITSTATUS(status) == code) return -code;
    return 1;
}

static int is_final(int rc)
{
    return rc == OK || rc == ERR_SAVED || rc == ERR_USAGE || rc == ERR_DATA || rc == ERR_MISSING ||
           rc == ERR_OWNER || rc == ERR_CONFIG || rc == ERR_DIVERGED;
}

static void describe(char text[64], const struct launcher *by, int status)
{
    const int sig = WIFSIGNALED(status) ? 0 : launcher_signal(by, WEXITSTATUS(status));

    if (WIFSIGNALED(status))
        snprintf(text, 64, "mpirun ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (sig) snprintf(text, 64, "a process ended by signal %d (%s)", sig, strsignal(sig));
    else snprintf(text, 64, "exit code %d", WEXITSTATUS(status));
}

static void note_start(const struct launch *l)
{
    char grid[48], host[256] = "";

    gethostname(host, sizeof host - 1);
    snprintf(grid, sizeof grid, "%dx%dx%d", l->grid.D, l->grid.P, l->grid.S);
    json_t *hosts = json_array();
    for (int i = 0; i < l->n_hosts; i++)
        if (!l->hosts[i].lost) json_array_append_new(hosts, json_string(l->hosts[i].name));
    run_note(l->conf->run.dir, "start",
                json_pack("{s:i,s:s,s:i,s:i,s:s,s:o,s:i}", "restarts", l->starts, "grid", grid,
                          "ranks", l->ranks, "threads", l->threads, "launcher", host, "hosts",
                          hosts, "pid", (int)getpid()));
}

/* Wait before a restart.  returns 0 if a signal asked for the end meanwhile */
static int pause_for(double seconds)
{
    const double until = clock_s() + seconds;
    while (!asked && clock_s() < until) nap(until - clock_s() > 0 ? until - clock_s() : 0);
    return !asked;
}

/* Remove the shared pages of processes that were killed. */
static void remove_pages(const char *token)
{
    char prefix[BEACON_PREFIX], name[LAUNCH_NAME];
    glob_t g;

    launch_token_name(name, token);
    char *pattern = mem_format("%s*", beacon_prefix(prefix, name));
    if (glob(pattern, 0, NULL, &g) == 0) {
        for (size_t i = 0; i < g.gl_pathc; i++) unlink(g.gl_pathv[i]);
        globfree(&g);
    }
    mem_free(pattern);
}

/* Why it ended: in words, and as a status, which describes the end better than mpirun's exit code. */
static void find_cause(struct job *j, char why[80], int *rc, const struct launch *l,
                       const struct start_mark *mark)
{
    *rc = meaning(j->status);
    describe(why, l->by, j->status);
    if (*rc != OK && launch_log_has(l->conf->run.dir, mark->bytes, "hang")) {
        *rc = ERR_HANG;
        strcpy(why, "a process hung");
    } else if (*rc == 1 && launch_out_of_memory(l, mark)) {
        *rc = ERR_MEMORY;
        strcpy(why, "the kernel killed a process for lack of memory");
    }
    j->stillborn = *rc == 1 && !asked && !launch_has_begun(l, mark);
    j->began |= !j->stillborn;
}

/* A start in which MPI failed would fail again.  Only SLURM gets a second try, for its network. */
static int is_hopeless(const struct job *j, const struct launch *l)
{
    return j->stillborn && !j->began && (!l->job[0] || l->starts > 0);
}

static void tell_end(const struct job *j, const struct launch *l, const char *why, int unsaved,
                     int64_t step, double seconds)
{
    char time[HUMAN_TEXT];
    char *text = j->stillborn ? launch_not_begun(l, why)
               : step < 0 ? mem_string("there is no checkpoint")
               : mem_format("the newest checkpoint is of step %lld", (long long)step);

    if (is_hopeless(j, l)) fail(ERR_CONFIG, "%s", text);
    else if (j->stillborn) log_warn("%s", text);
    else log_warn("%s%s after %s; %s", why, unsaved ? " before it could save," : "",
                  human_duration(time, seconds), text);
    mem_free(text);
}

/* Start the command once and wait for its end.  rc [out] as meaning(); returns OK, or why it
 * could not be started */
static int once(struct job *j, const struct launch *l, int *rc)
{
    char why[80];
    const double begin = clock_s();
    struct start_mark mark;

    launch_mark(&mark, l);
    note_start(l);
    const int started = start(j, l);
    if (started != OK) return started;
    wait_for(j);
    remove_pages(l->token);
    find_cause(j, why, rc, l, &mark);
    if (!j->stillborn) launch_show_start(l);
    if (*rc == ERR_MEMORY) launch_tell_memory(l);
    /* It ended before it could save; it has to be started again. */
    const int unsaved = (*rc == 1 || *rc == ERR_HANG || *rc == ERR_MEMORY) && asked;
    if (unsaved) *rc = ERR_SAVED;
    const struct commit newest = launch_newest(l->conf->run.dir);
    run_note(l->conf->run.dir, "exit",
                json_pack("{s:i,s:s,s:I,s:f}", "status", *rc == 1 ? 1 : -*rc, "why", why,
                          "committed", newest.step, "seconds", clock_s() - begin));
    if (unsaved || (*rc != OK && *rc != ERR_SAVED))
        tell_end(j, l, why, unsaved, newest.step, clock_s() - begin);
    return OK;
}

static int is_newer(struct commit a, struct commit b)
{
    return a.step > b.step || (a.step == b.step && a.attempt > b.attempt);
}

int launch_run(struct launch *l)
{
    const char *dir = l->conf->run.dir;
    struct job j = { .mpirun = -1 };
    int rc = OK, end = OK, fruitless = 0;

    launch_catch_signals();
    TRY(launch_clear_stop(dir));
    program_keep(&l->program, dir, l->job);
    for (;; l->starts++) {
        const struct commit before = launch_newest(dir);
        TRY(once(&j, l, &end));
        rc = is_hopeless(&j, l) ? ERR_CONFIG : end;
        if (is_final(rc)) break;
        fruitless = is_newer(launch_newest(dir), before) ? 0 : fruitless + 1;
        if (fruitless > LAUNCH_FRUITLESS) {
            rc = rc == ERR_HANG || rc == ERR_MEMORY ? rc
               : fail(ERR_NO_PROGRESS, "%d restarts brought no new checkpoint: giving up",
                      LAUNCH_FRUITLESS);
            break;
        }
        if (l->n_hosts > 1 && !asked && launch_check_hosts(l)) {
            if (l->job[0]) TRY(slurm_nodes_suffice(l));
            TRY(launch_plan(l));
        }
        const double wait = fruitless > 0 ? (double)(1 << fruitless) : 1;
        log_phase("restarting in %.0f s", wait);
        if (!pause_for(wait) || launch_stop_requested(dir)) {
            rc = ERR_SAVED;
            break;
        }
        program_again(&l->program, !l->hosts);
    }
out:
    program_done(&l->program, !l->job[0] || rc != ERR_SAVED);  /* a requeued job takes it again */
    run_note(dir, "end", json_pack("{s:i}", "status", -rc));
    (void)FAILPOINT("launch.end");
    return rc;
}
