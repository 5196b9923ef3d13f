/* SPDX-License-Identifier: Apache-2.0 */
/* The table of launchers.
 *
 * What differs from the defaults, and why:
 *   odls_base_sigkill_timeout  launch.kill_wait_s, not 1 s
 *   oob_tcp_keepalive_*        a node that is silently gone is noticed after 19 s, not 480 s
 *   -rmk user -launcher fork   "this machine" is this one, also inside of somebody's job
 *   OMP_NUM_THREADS            a launcher binds processes, but does not set their threads
 *   srun --wait=20             the other processes are killed 20 s after the first has ended.  By then
 *                              all processes of a run that ends in order have returned their exit
 *                              codes; one whose neighbour was killed would wait for ever
 *
 * Slots of this machine are its cores, whatever a process has of them, so Open MPI needs to be told
 * that more processes than cores are fine; those of hosts were counted.
 *
 * Open MPI 4, MPICH and srun were run for real. */
#include "jobs/launcher.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs/tool.h"
#include "src/base/mem.h"
#include "src/base/status.h"

/* In the order of enum mpirun_kind; srun is the last, and found otherwise. */
static const struct launcher launchers[] = {
    [MPIRUN_OPENMPI4] = {
        .name = "Open MPI 4",
        .says = { "(Open MPI) 2.", "(Open MPI) 3.", "(Open MPI) 4.", "(OpenRTE)",
                  "(IBM Spectrum MPI)" },
        .as_root = "--allow-run-as-root",
        .always = "--mca odls_base_sigkill_timeout %w --mca oob_tcp_keepalive_time 10 "
                  "--mca oob_tcp_keepalive_intvl 3 --mca oob_tcp_keepalive_probes 3",
        .hosts = "--host %H", .here = "--oversubscribe", .count = "-n %n",
        .bound = "--map-by slot:PE=%t --bind-to core", .unbound = "--bind-to none",
        .threads = "-x OMP_NUM_THREADS=%t", .own_threads = "", .pass = "-x",
    },
    [MPIRUN_OPENMPI5] = {
        .name = "Open MPI 5",
        .says = { "(Open MPI) ", "(PRRTE)" },
        .as_root = "--allow-run-as-root",
        .always = "--prtemca odls_base_sigkill_timeout %w",
        .hosts = "--host %H", .here = "", .count = "-n %n",
        .bound = "--map-by slot:PE=%t%o --bind-to core",
        .unbound = "--map-by slot%o --bind-to none",
        .threads = "-x OMP_NUM_THREADS=%t", .own_threads = "", .pass = "-x",
    },
    [MPIRUN_MPICH] = {
        .name = "MPICH",
        .says = { "HYDRA build details" },
        .as_root = "", .always = "",
        .hosts = "-hosts %H", .here = "-rmk user -launcher fork", .count = "-n %n",
        .bound = "-bind-to core:%t", .unbound = "-bind-to none",
        .threads = "-genv OMP_NUM_THREADS %t", .own_threads = "",
        .plain_signal = 1,
    },
    [MPIRUN_INTEL] = {
        .name = "Intel MPI",
        .says = { "Intel(R) MPI Library" },
        .program = "mpiexec.hydra",   /* its mpirun is a script, which passes no signal on */
        .as_root = "", .always = "-genvall",
        .hosts = "-hosts %h -ppn %p", .here = "-rmk user -launcher fork", .count = "-n %n",
        .bound = "-genv I_MPI_PIN_CELL core -genv I_MPI_PIN_DOMAIN %t:compact",
        .unbound = "-genv I_MPI_PIN off",
        .threads = "-genv OMP_NUM_THREADS %t", .own_threads = "",
        .plain_signal = 1,
    },
    [MPIRUN_PALS] = {
        .name = "Cray PALS",
        .says = { "mpiexec version ", "palsrun version ", "(PALS)" },
        .as_root = "", .always = "",
        .hosts = "--hosts %h --ppn %p", .here = "", .count = "-n %n",
        .bound = "--cpu-bind depth --depth %t", .unbound = "--cpu-bind none",
        .threads = "--env OMP_NUM_THREADS=%t", .own_threads = "",
    },
    {
        .name = "SLURM",
        .as_root = "", .always = "--mpi=%m",
        .hosts = "--nodes=%k --nodelist=%h", .here = "",
        .count = "--ntasks=%n --cpus-per-task=%c --distribution=block --wait=20",
        .bound = "--cpu-bind=cores", .unbound = "--cpu-bind=none",
        .threads = "--export=ALL,OMP_NUM_THREADS=%t", .own_threads = "--export=ALL",
        .probe = "--mpi=none --nodes=1 --ntasks=1 --ntasks-per-node=1 --cpus-per-task=1 "
                 "--nodelist=%h",
    },
};

enum { KINDS = sizeof launchers / sizeof *launchers, SRUN = KINDS - 1 };

/* --- which one it is -------------------------------------------------------------------- */

const struct launcher *launcher_of(const char *text)
{
    for (int k = MPIRUN_AUTO + 1; k < KINDS; k++)
        for (int i = 0; i < LAUNCHER_TEXTS && launchers[k].says[i]; i++)
            if (strstr(text, launchers[k].says[i])) return &launchers[k];
    return NULL;
}

/* The program that the row wants in place of a script called mpirun. */
static void take_program(struct launch *l)
{
    const char *base = strrchr(l->mpirun, '/') ? strrchr(l->mpirun, '/') + 1 : l->mpirun;

    if (!l->by->program || strcmp(base, "mpirun") != 0) return;
    char *other = mem_format("%.*s%s", (int)(base - l->mpirun), l->mpirun, l->by->program);
    mem_free(l->mpirun);
    l->mpirun = other;
}

static int ask_version(struct launch *l)
{
    char text[4096], why[TOOL_WHY];
    const int code = tool_ask(text, sizeof text, why, (char *[]){ l->mpirun, "--version", NULL });

    if (code == TOOL_MISSING)
        return fail(ERR_MISSING, "%s: it is not installed here, or not in PATH: load the module of the "
                    "MPI that ttt was built with, or name the program with launch.mpirun or the "
                    "variable MPIRUN", l->mpirun);
    l->by = launcher_of(text);
    if (l->by) return OK;
    text[strcspn(text, "\n")] = '\0';
    return fail(ERR_CONFIG, "%s --version says '%.200s', which is none of Open MPI, MPICH, Intel MPI "
                "and Cray PALS; launch.mpirun names another program, launch.mpirun_kind the one "
                "of these that it is used like", l->mpirun,
                code > 0 || code == TOOL_LATE ? why : text);
}

/* A launcher that takes one number for all hosts cannot serve different ones. */
static int check_slots(const struct launch *l)
{
    const struct host *first = NULL;

    if (!strstr(l->by->hosts, "%p")) return OK;
    for (int i = 0; i < l->n_hosts; i++) {
        const struct host *h = &l->hosts[i];
        if (h->lost) continue;
        if (!first) first = h;
        if (h->slots != first->slots)
            return fail(ERR_CONFIG, "%s starts as many processes on every host, but %s has %d slots "
                        "and %s has %d: give all the smaller number", l->by->name, first->name,
                        first->slots, h->name, h->slots);
    }
    return OK;
}

int launcher_find(struct launch *l)
{
    const char *set = getenv("MPIRUN"), *usual = l->o->mpirun ? l->o->mpirun : "mpirun";
    const struct conf *c = l->conf;
    int rc = OK;

    if (!l->by && l->job[0] && c->launch.slurm.start == START_SRUN) {
        l->by = &launchers[SRUN];
        l->mpirun = mem_string("srun");
    } else if (!l->by) {
        l->mpirun = mem_string(c->launch.mpirun[0] ? c->launch.mpirun : set && *set ? set : usual);
        if (c->launch.mpirun_kind != MPIRUN_AUTO) l->by = &launchers[c->launch.mpirun_kind];
        else TRY(ask_version(l));
        take_program(l);
    }
    TRY(check_slots(l));
out:
    return rc;
}

int launcher_signal(const struct launcher *by, int exit_code)
{
    static const int plain[] = { SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGTERM };

    if (exit_code > 128 && exit_code < 128 + NSIG) return exit_code - 128;
    for (size_t i = 0; by->plain_signal && i < sizeof plain / sizeof *plain; i++)
        if (exit_code == plain[i]) return exit_code;
    return 0;
}

/* --- its words ------------------------------------------------------------------------------ */

/* "a:4,b:4" or "a,b" of the hosts that are left, a counted string; how many they are. */
static char *host_list(const struct launch *l, int slots, int *count)
{
    char *list = mem_string("");

    *count = 0;
    for (int i = 0; i < l->n_hosts; i++) {
        const struct host *h = &l->hosts[i];
        if (h->lost) continue;
        const char *comma = (*count)++ ? "," : "";
        char *longer = slots ? mem_format("%s%s%s:%d", list, comma, h->name, h->slots)
                             : mem_format("%s%s%s", list, comma, h->name);
        mem_free(list);
        list = longer;
    }
    return list;
}

static int slots_of_one(const struct launch *l)
{
    for (int i = 0; i < l->n_hosts; i++)
        if (!l->hosts[i].lost) return l->hosts[i].slots;
    return l->ranks;
}

/* What a letter after % stands for, a counted string. */
static char *value_of(char letter, const struct launch *l)
{
    int count;
    char *list = host_list(l, letter == 'H', &count);
    if (letter == 'H' || letter == 'h') return list;
    mem_free(list);
    switch (letter) {
    case 'k': return mem_format("%d", count);
    case 'p': return mem_format("%d", slots_of_one(l));
    case 'n': return mem_format("%d", l->ranks);
    case 't': return mem_format("%d", l->threads);
    case 'w': return mem_format("%d", l->conf->launch.kill_wait_s);
    case 'm': return mem_string(l->conf->launch.slurm.mpi);
    case 'c': return mem_format("%d", l->conf->launch.slurm.cpus_per_task);
    case 'o': return mem_string(l->hosts ? "" : ":OVERSUBSCRIBE");
    default: die("a launcher's words contain %%%c", letter);
    }
}

/* Append the words of a text of the table. */
static void fill(struct words *w, const char *text, const struct launch *l)
{
    char *copy = mem_string(text), *rest = copy;

    for (char *s; (s = strsep(&rest, " ")) != NULL;) {
        if (!*s) continue;
        char *whole = mem_string("");
        while (*s) {
            const int plain = (int)strcspn(s, "%");
            char *value = s[plain] ? value_of(s[plain + 1], l) : mem_string("");
            char *longer = mem_format("%s%.*s%s", whole, plain, s, value);
            mem_free(value);
            mem_free(whole);
            whole = longer;
            s += plain + (s[plain] ? 2 : 0);
        }
        word(w, whole);
        mem_free(whole);
    }
    mem_free(copy);
}

static void variables(struct words *w, const struct launch *l)
{
    static const char *const passed[] = { "LD_LIBRARY_PATH", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT",
                                          "TTT_SHARE", "TTT_FAIL" };

    fill(w, l->conf->run.threads ? l->by->own_threads : l->by->threads, l);
    if (!l->by->pass) return;
    /* Without its value, because every user can read a command line. */
    if (l->token[0]) pair(w, l->by->pass, LAUNCH_VARIABLE);
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        if (getenv(passed[i])) pair(w, l->by->pass, passed[i]);
}

/* The program, and the words of all its uses. */
static void program(struct words *w, const struct launch *l)
{
    word(w, l->mpirun);
    if (geteuid() == 0) fill(w, l->by->as_root, l);
    fill(w, l->by->always, l);
    if (l->by != &launchers[SRUN]) word_each(w, l->conf->launch.mpirun_args);
}

void launcher_words(struct words *w, const struct launch *l)
{
    program(w, l);
    fill(w, l->hosts ? l->by->hosts : l->by->here, l);
    fill(w, l->by->count, l);
    fill(w, l->bound ? l->by->bound : l->by->unbound, l);
    variables(w, l);
    launch_program(w, l);
}

void launcher_probe(struct words *w, const struct launch *l)
{
    if (l->job[0]) {   /* whoever starts the run, srun reaches the nodes of a job */
        word(w, "srun");
        fill(w, launchers[SRUN].probe, l);
    } else {
        program(w, l);
        fill(w, l->by->hosts, l);
        fill(w, l->by->count, l);
    }
    word(w, "true");
}

char **launch_command(const struct launch *l) { return words_made(launcher_words, l); }
