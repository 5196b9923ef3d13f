/* mpirun's command line.
 *
 * What differs from mpirun's defaults, and why (Open MPI 4.1):
 *   odls_base_sigkill_timeout  launch.kill_wait_s, not 1 s
 *   oob_tcp_keepalive_*        a node that is silently gone is noticed after 19 s, not 480 s
 *   OMP_NUM_THREADS            mpirun binds processes, but does not set their threads
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs/launch.h"
#include "src/base/mem.h"

static void settings(struct words *w, const struct conf *c)
{
    static const char *const mca[][2] = {
        { "oob_tcp_keepalive_time", "10" }, { "oob_tcp_keepalive_intvl", "3" },
        { "oob_tcp_keepalive_probes", "3" },
    };
    word(w, "--mca");
    word(w, "odls_base_sigkill_timeout");
    formatted(w, "%d", c->launch.kill_wait_s);
    for (size_t i = 0; i < sizeof mca / sizeof *mca; i++) {
        word(w, "--mca");
        pair(w, mca[i][0], mca[i][1]);
    }
}

static void hosts(struct words *w, const struct launch *l)
{
    char *list = mem_string("");

    if (!l->hosts) {
        mem_free(list);
        return;
    }
    for (int i = 0; i < l->n_hosts; i++) {
        if (l->hosts[i].lost) continue;
        char *longer = mem_format("%s%s%s:%d", list, *list ? "," : "", l->hosts[i].name,
                                  l->hosts[i].slots);
        mem_free(list);
        list = longer;
    }
    pair(w, "--host", list);
    mem_free(list);
}

static void placement(struct words *w, const struct launch *l)
{
    if (l->bound) {
        word(w, "--map-by");
        formatted(w, "slot:PE=%d", l->threads);
        pair(w, "--bind-to", "core");
    } else pair(w, "--bind-to", "none");
    /* Slots of this machine are its cores, whatever a process has of them; those of hosts were
     * counted. */
    if (!l->hosts) word(w, "--oversubscribe");
}

static void variables(struct words *w, const struct launch *l)
{
    static const char *const passed[] = { "LD_LIBRARY_PATH", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT",
                                          "TTT_FAIL" };

    if (!l->conf->run.threads) {
        word(w, "-x");
        formatted(w, "OMP_NUM_THREADS=%d", l->threads);
    }
    /* Without its value, because every user can read a command line. */
    if (l->token[0]) pair(w, "-x", LAUNCH_VARIABLE);
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        if (getenv(passed[i])) pair(w, "-x", passed[i]);
}

void launch_mpirun(struct words *w, const struct launch *l)
{
    const struct conf *c = l->conf;
    const char *given = getenv("MPIRUN");

    word(w, c->launch.mpirun[0] ? c->launch.mpirun : given && *given ? given : "mpirun");
    if (geteuid() == 0) word(w, "--allow-run-as-root");
    settings(w, c);
    word_each(w, c->launch.mpirun_args);
}

static void mpirun(struct words *w, const struct launch *l)
{
    launch_mpirun(w, l);
    hosts(w, l);
    word(w, "-n");
    formatted(w, "%d", l->ranks);
    placement(w, l);
    variables(w, l);
    launch_program(w, l);
}

char **launch_command(const struct launch *l)
{
    const int by_srun = l->job[0] && l->conf->launch.slurm.start == START_SRUN;
    return words_made(by_srun ? launch_srun : mpirun, l);
}
