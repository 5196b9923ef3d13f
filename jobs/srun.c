/* srun's command line, where launch.slurm.start wants it instead of mpirun's.
 *
 * --wait: processes of a job that ends together must all have their exit code; those whose
 * neighbour was killed wait for a message that never comes.
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
    /* TTT_LAUNCH is in our environment, and not here, where all can read it. */
    if (c->run.threads) word(w, "--export=ALL");
    else formatted(w, "--export=ALL,OMP_NUM_THREADS=%d", l->threads);
    launch_program(w, l);
}
