/* After a crash in a job: which of its nodes are still there? */
#include <stdio.h>
#include <string.h>

#include "jobs/slurm.h"
#include "jobs/tool.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define PATIENCE "60"  /* seconds that a node may take to start a process */

/* Does every node of a list start a process? */
static int answer(const char *names, int n)
{
    char *nodes = mem_format("--nodes=%d", n), *tasks = mem_format("--ntasks=%d", n);
    char *list = mem_format("--nodelist=%s", names), out[64];
    const int code = tool(out, sizeof out, 1, "timeout", PATIENCE, "srun", nodes,
                          tasks, "--ntasks-per-node=1", "--cpus-per-task=1", "--mpi=none", list,
                          "true");
    mem_free(nodes);
    mem_free(tasks);
    mem_free(list);
    return code == 0;
}

int slurm_check_nodes(struct launch *l)
{
    char *names = mem_string("");
    int n = 0, left = 0;

    for (int i = 0; i < l->n_hosts; i++) {
        if (l->hosts[i].lost) continue;
        char *longer = mem_format("%s%s%s", names, n++ ? "," : "", l->hosts[i].name);
        mem_free(names);
        names = longer;
    }
    const int all = answer(names, n);
    mem_free(names);
    if (all) return OK;
    for (int i = 0; i < l->n_hosts; i++) {
        struct host *h = &l->hosts[i];
        if (h->lost) continue;
        h->lost = !answer(h->name, 1);
        left += !h->lost;
        if (h->lost) log_warn("node %s does not answer", h->name);
    }
    if (left == n) return OK;  /* it was not the nodes */
    if (left >= l->conf->launch.slurm.min_nodes) return launch_plan(l);
    log_warn("%d of %d nodes are left, launch.slurm.min_nodes is %d: this job is over", left,
             l->n_hosts, l->conf->launch.slurm.min_nodes);
    return ERR_SAVED;
}
