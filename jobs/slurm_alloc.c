/* SPDX-License-Identifier: Apache-2.0 */
/* `ttt launch` in a shell that SLURM gave nodes to: salloc, srun --pty, or the user's own batch
 * script; and on a login node outside of any. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs/slurm.h"
#include "jobs/tool.h"
#include "src/base/log.h"
#include "src/base/status.h"
#include "src/base/text.h"

static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text ? text : "";
}

/* A shell may outlive its allocation. */
static int check_alive(void)
{
    struct slurm_fact f = { .id = "" };

    snprintf(f.id, sizeof f.id, "%.20s", variable("SLURM_JOB_ID"));
    slurm_ask(&f, 1);
    if (slurm_is_alive(f.state) || f.state == SLURM_UNKNOWN) return OK;
    return fail(ERR_USAGE, "this shell belongs to job %s of SLURM (SLURM_JOB_ID), which has ended: "
                "leave the shell, or name the machines with --hosts", variable("SLURM_JOB_ID"));
}

/* CPUs for each of the tasks of a node: as the user asked for, else an equal share. */
static int cpus_per_task(const struct launch *l)
{
    int64_t cpus = 0;

    if (text_int(&cpus, variable("SLURM_CPUS_PER_TASK")) && cpus > 0 && cpus <= 4096)
        return (int)cpus;
    /* "16(x2),8": the first number is that of the first node. */
    if (!text_whole(&cpus, variable("SLURM_JOB_CPUS_PER_NODE")) || cpus <= l->hosts->slots) return 1;
    return (int)(cpus / l->hosts->slots);
}

/* Is this machine one of the nodes?  Their names may be short or whole. */
static int on_a_node(const struct launch *l)
{
    char here[256] = "";

    if (variable("SLURMD_NODENAME")[0]) return 1;
    gethostname(here, sizeof here - 1);
    const size_t n = strcspn(here, ".");
    for (int i = 0; i < l->n_hosts; i++)
        if (strcspn(l->hosts[i].name, ".") == n && !strncmp(l->hosts[i].name, here, n)) return 1;
    return 0;
}

int slurm_allocation(struct launch *l)
{
    int rc = OK;

    TRY(check_alive());
    TRY(slurm_hosts(l));
    snprintf(l->limit, sizeof l->limit, " for this allocation (--mem)");
    l->conf->launch.slurm.cpus_per_task = cpus_per_task(l);
    if (!on_a_node(l)) {
        /* salloc's shell on a login node, whose cores and NUMA nodes tell nothing. */
        l->machine.cores = l->hosts->slots * l->conf->launch.slurm.cpus_per_task;
        l->machine.numa = 1;
    }
    log_run("the run starts on the nodes of this allocation; --hosts names other machines");
out:
    return rc;
}

void slurm_hint(void)
{
    if (tool_is_there("sbatch", X_OK))
        log_run("sbatch is installed here: --slurm submits the run as a SLURM job; without it the "
                "run starts on this machine");
}
