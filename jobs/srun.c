/* srun's command line, for launch.slurm.start: srun.
 *
 * --wait=20: the other processes are killed 20 s after the first has ended.  By then all processes of
 * a run that ends in order have returned their exit codes; one whose neighbour was killed would wait
 * forever for its message.
 */
#include <string.h>

#include "jobs/launch.h"
#include "src/base/mem.h"

static void hosts(struct words *w, const struct launch *l)
{
    char *list = mem_string("");
    int n = 0;

    for (int i = 0; i < l->n_hosts; i++) {
        if (l->hosts[i].lost) continue;
        char *longer = mem_format("%s%s%s", list, n++ ? "," : "", l->hosts[i].name);
        mem_free(list);
        list = longer;
    }
    formatted(w, "--nodes=%d", n);
    char *option = mem_format("--nodelist=%s", list);  /* may be long */
    word(w, option);
    mem_free(option);
    mem_free(list);
}

void launch_srun(struct words *w, const struct launch *l)
{
    const struct conf *c = l->conf;

    word(w, "srun");
    formatted(w, "--mpi=%s", c->launch.slurm.mpi);
    hosts(w, l);
    formatted(w, "--ntasks=%d", l->ranks);
    formatted(w, "--cpus-per-task=%d", c->launch.slurm.cpus_per_task);
    pair(w, "--distribution=block", "--wait=20");
    word(w, l->bound ? "--cpu-bind=cores" : "--cpu-bind=none");
    /* TTT_LAUNCH is passed in the environment, because every user can read a command line. */
    if (c->run.threads) word(w, "--export=ALL");
    else formatted(w, "--export=ALL,OMP_NUM_THREADS=%d", l->threads);
    launch_program(w, l);
}
