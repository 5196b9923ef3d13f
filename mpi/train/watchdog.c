/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/watchdog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/launch_token.h"
#include "src/base/limit.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/process.h"
#include "src/base/rank_env.h"
#include "src/base/status.h"
#include "src/base/verdict.h"
#include "src/store/run_note.h"

/* The idea: a hang is found from outside, by a process that calls no MPI and shares no lock with
 * those it observes, as hardware watchdogs do.  Every POLL_S it reads the counters of all pages of
 * its machine and adds up how long each process made no progress (look); verdict.h names the
 * suspect.
 *
 *     one machine      suspect -> look once more -> act
 *     several          suspect -> write it to RUN/watch/HOST -> wait COMPARE_S -> look once more
 *                      -> act, unless the file of another machine names a worse one
 *
 * To act is to report, then SIGABRT if watchdog.core asks for a core file, then SIGKILL; mpirun then
 * ends the others.  The second look is needed since a process may continue at any moment. */
#define POLL_S 0.5
#define COMPARE_S 3.0    /* watchdogs wait so long for the suspects of the others */
#define ABORT_S 2.0      /* between SIGABRT and SIGKILL                           */
#define CLEAN_POLLS 20
#define LET_S 60.0       /* for mpirun to end a job one process of which is dead  */

struct monitor {
    const char         *run;         /* its folder                                */
    char                job[LAUNCH_NAME], proof[LAUNCH_ASSIGNMENT];
    struct watch_limits limits;
    int                 ranks;       /* of the job, on all machines               */
    char                host[64];
    pid_t               parent;
    int                 core;        /* a core file is wanted                     */
    int64_t             kills;       /* for lack of memory, when the job began    */
    int                 alone;       /* all processes are on this machine         */
    struct watched     *w;
    int                 n;
    double              last_s;
};

/* --- observing ---------------------------------------------------------------------- */

/* Progress of the main thread; in a save it waits for the other thread, whose calls count then. */
static int64_t progress(const struct beacon *b)
{
    return b->progress + b->lane[BEACON_MAIN].calls +
           (b->phase == BEACON_SAVE ? b->lane[BEACON_SAVER].calls : 0);
}

static int is_same(const struct beacon *a, const struct beacon *b)
{
    return a->pid == b->pid && a->born == b->born;
}

static void update(struct watched *w, const struct beacon *b, double dt)
{
    const struct beacon_lane *was = &w->now.lane[BEACON_SAVER], *is = &b->lane[BEACON_SAVER];

    w->state = process_state(b->pid, b->born);
    const int other = !is_same(&w->now, b);
    w->quiet_s = other || progress(b) != progress(&w->now) ? 0 : w->quiet_s + dt;
    w->beat_quiet_s = other || b->beat != w->now.beat ? 0 : w->beat_quiet_s + dt;
    w->saver_quiet_s = other || is->kind == BEACON_OUTSIDE || is->calls != was->calls
                           ? 0 : w->saver_quiet_s + dt;
    w->now = *b;
}

/* The process of a page; NULL: it does not belong to this job. */
static struct watched *known(struct monitor *m, const struct beacon *b)
{
    int i = 0;

    while (i < m->n && m->w[i].now.rank != b->rank) i++;
    if (i < m->n && is_same(&m->w[i].now, b)) return &m->w[i];
    if (!process_is_ours(b->pid, b->born, m->proof)) return NULL;
    if (i < m->n) return &m->w[i];
    m->w = mem_resize(m->w, m->n + 1, sizeof *m->w, "watched processes");
    m->w[m->n] = (struct watched){ .now.rank = b->rank };
    return &m->w[m->n++];
}

/* The rank in the name of a page; -1: the job has no such rank. */
static int rank_of(const struct monitor *m, const char *text)
{
    char is[16];
    const int rank = strlen(text) < sizeof is ? atoi(text) : -1;

    snprintf(is, sizeof is, "%d", rank);
    return rank < m->ranks && !strcmp(is, text) ? rank : -1;
}

/* Read all pages of this job and machine.  If the watchdog itself did not run for a while, for
 * example on a suspended machine, that time does not count as time without progress. */
static void look(struct monitor *m)
{
    char prefix[BEACON_PREFIX];
    const char *name = strrchr(beacon_prefix(prefix, m->job), '/') + 1;
    const size_t length = strlen(name);
    const double now = clock_s(), gone = now - m->last_s;
    const double dt = gone < 2 * POLL_S ? gone : 2 * POLL_S;
    DIR *d = opendir("/dev/shm");
    struct beacon b;

    m->last_s = now;
    if (d)
        for (struct dirent *e; (e = readdir(d)) != NULL;) {
            const int rank = strncmp(e->d_name, name, length) ? -1 : rank_of(m, e->d_name + length);
            if (rank < 0 || !beacon_read(&b, m->job, rank)) continue;
            if (strcmp(b.host, m->host) != 0) continue;
            struct watched *w = known(m, &b);
            if (w) update(w, &b, dt);
        }
    if (d) closedir(d);
}

/* Sleep; 0 when the job has ended. */
static int nap(const struct monitor *m, double seconds)
{
    sigset_t term;
    const long ns = (long)(1e9 * (seconds - (double)(time_t)seconds));
    const struct timespec t = { (time_t)seconds, ns };

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    (void)sigtimedwait(&term, NULL, &t);
    return getppid() == m->parent;
}

/* --- several machines ------------------------------------------------------------------- */

static char *suspect_path(const struct monitor *m, const char *host)
{
    return mem_format("%s/watch/%s", m->run, host);
}

static void write_suspect(const struct monitor *m, const struct verdict *v)
{
    char *dir = mem_format("%s/watch", m->run), *path = suspect_path(m, m->host);
    char *text = mem_format("%s %d %" PRId64 "\n", m->job, (int)v->rank,
                            m->w[v->culprit].now.step);

    if (dir_make(dir) == OK) (void)file_replace(path, text, strlen(text));
    mem_free(text);
    mem_free(path);
    mem_free(dir);
}

/* Smaller is worse: kind of suspicion, then step, then the host's name. */
static int is_worse(const struct monitor *m, const char *host, int rank, int64_t step,
                    const struct verdict *v)
{
    const int64_t ours = m->w[v->culprit].now.step;
    if (rank != (int)v->rank) return rank < (int)v->rank;
    if (step != ours) return step < ours;
    return strcmp(host, m->host) < 0;
}

/* Does another machine have a worse suspect?  Then its watchdog acts. */
static int other_is_worse(const struct monitor *m, const struct verdict *v)
{
    char *dir = mem_format("%s/watch", m->run), **names = NULL, job[40];
    int count = 0, worse = 0, rank;
    int64_t step;

    if (dir_list(&names, &count, dir) == OK)
        for (int i = 0; i < count; i++) {
            char *path = suspect_path(m, names[i]);
            FILE *f = strcmp(names[i], m->host) ? fopen(path, "re") : NULL;
            if (f && fscanf(f, "%39s %d %" SCNd64, job, &rank, &step) == 3 &&
                !strcmp(job, m->job) && is_worse(m, names[i], rank, step, v))
                worse = 1;
            if (f) fclose(f);
            mem_free(path);
        }
    mem_free(names);
    mem_free(dir);
    return worse;
}

/* --- acting ------------------------------------------------------------------------- */

static void report(const struct monitor *m, const struct verdict *v)
{
    const struct beacon *b = &m->w[v->culprit].now;
    char *text = verdict_text(v, m->w), *path = mem_format("/proc/%d/wchan", b->pid);
    char kernel[128] = "";

    FILE *f = fopen(path, "re");
    if (f && !fgets(kernel, sizeof kernel, f)) kernel[0] = '\0';
    if (f) fclose(f);
    fail(ERR_HANG, "%s%s%s", text, kernel[0] && kernel[0] != '0' ? "; in the kernel: " : "",
         kernel[0] != '0' ? kernel : "");
    run_note(m->run, "hang", json_pack("{s:i,s:i,s:s,s:I,s:s}", "rank", b->rank, "pid", b->pid,
                                       "host", b->host, "step", b->step, "text", text));
    mem_free(path);
    mem_free(text);
}

/* Signal process i, if it still belongs to this job now. */
static void send(const struct monitor *m, int i, int sig)
{
    const struct beacon *b = &m->w[i].now;
    if (m->w[i].state) (void)process_signal(b->pid, b->born, m->proof, sig);
}

/* End the job by killing its culprit.  Returns only after the job has ended. */
static void act(struct monitor *m, const struct verdict *v)
{
    report(m, v);
    if (m->core) {
        send(m, v->culprit, SIGABRT);
        if (!nap(m, ABORT_S)) return;
    }
    send(m, v->culprit, SIGKILL);
    const double until = clock_s() + LET_S;
    while (clock_s() < until)
        if (!nap(m, POLL_S)) return;
    look(m);
    for (int i = 0; i < m->n; i++) send(m, i, SIGKILL);
}

/* Only this machine knows that its kernel has killed a process for lack of memory. */
static void note_kills(struct monitor *m)
{
    const int64_t kills = limit_kills();

    if (kills > m->kills)
        run_note(m->run, "oom", json_pack("{s:s,s:I}", "host", m->host, "kills", kills - m->kills));
    m->kills = kills;
}

static void watch(struct monitor *m)
{
    struct verdict v;

    m->last_s = clock_s();
    while (nap(m, POLL_S)) {
        look(m);
        note_kills(m);
        verdict_of(&v, m->w, m->n, &m->limits);
        if (!v.rank) continue;
        if (!m->alone) write_suspect(m, &v);
        if (!nap(m, m->alone ? POLL_S : COMPARE_S)) return;
        look(m);
        verdict_of(&v, m->w, m->n, &m->limits);   /* it may have continued */
        if (v.rank && (m->alone || !other_is_worse(m, &v))) {
            act(m, &v);
            return;
        }
    }
}

/* After the job: remove the pages of processes that were killed.  A process that does not end with
 * its job is noted in launch.jsonl. */
static void clean(struct monitor *m)
{
    char prefix[BEACON_PREFIX];
    int alive = 1;

    for (int i = 0; i < CLEAN_POLLS && alive; i++) {
        look(m);
        alive = 0;
        for (int k = 0; k < m->n; k++) {
            char *path = mem_format("%s%d", beacon_prefix(prefix, m->job), m->w[k].now.rank);
            /* Its page may be gone already. */
            m->w[k].state = process_state(m->w[k].now.pid, m->w[k].now.born);
            if (m->w[k].state) alive = 1;
            else unlink(path);
            mem_free(path);
        }
        if (alive) (void)nap(m, POLL_S);
    }
    for (int k = 0; k < m->n; k++)
        if (m->w[k].state)
            run_note(m->run, "left", json_pack("{s:i,s:i,s:s}", "rank", m->w[k].now.rank, "pid",
                                               m->w[k].now.pid, "host", m->host));
}

/* --- starting ---------------------------------------------------------------------- */

/* 1: this process has no page that a watchdog could read; and the reason. */
static int blind;
static char why[BEACON_WHY];

/* The new process: observe until the job has ended.  Does not return. */
static void run(const struct conf *c, const char *token, const struct rank_env *e, pid_t parent)
{
    sigset_t all;
    struct monitor m = { .run = c->run.dir, .parent = parent, .core = c->watchdog.core,
                         .kills = limit_kills(), .limits = {
        c->watchdog.setup_s, c->watchdog.data_s, c->watchdog.step_s, c->watchdog.save_s } };

    launch_token_name(m.job, token);
    launch_token_assignment(m.proof, token);
    m.ranks = e->size > 0 ? e->size : INT_MAX;
    m.alone = e->one_machine;
    setpgid(0, 0);   /* mpirun kills groups */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_NAME, "ttt-watchdog");
    gethostname(m.host, sizeof m.host - 1);
    /* Hydra takes a process for alive as long as anybody holds the other end of its PMI_FD. */
    process_close_files((const int[]){ -1 });
    const int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    log_speaker(1);
    watch(&m);
    if (null >= 0) dup2(null, STDERR_FILENO);   /* mpirun waits for its end */
    note_kills(&m);
    clean(&m);
    char *mine = suspect_path(&m, m.host);
    unlink(mine);
    mem_free(mine);
    _exit(0);
}

void watchdog_start(const struct conf *c)
{
    const char *token = launch_token();
    const pid_t parent = getpid();
    struct rank_env e;
    char job[LAUNCH_NAME];

    if (!token) return;
    if (!c->watchdog.enabled) return;
    rank_env_read(&e);
    if (e.local_rank <= 0) {
        fflush(NULL);
        const pid_t pid = fork();
        if (pid == 0) run(c, token, &e, parent);
        if (pid < 0) log_warn("the watchdog cannot be started: %s", strerror(errno));
    }
    launch_token_name(job, token);
    blind = beacon_open(job, e.rank, why) != OK;
}

void watchdog_agree(const struct axis *world)
{
    int first = blind ? world->rank : world->size;

    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, world->comm));
    if (first == world->size) return;
    beacon_close();
    mpi_do(MPI_Bcast(why, sizeof why, MPI_CHAR, first, world->comm));
    log_warn("rank %d: %s: training continues without a watchdog", first, why);
}

void watchdog_stop(void) { beacon_close(); }
