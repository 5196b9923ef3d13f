/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/rank_env.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "src/base/text.h"

/* SLURM numbers the steps that are not started by a user's srun from here on: the batch script, the
 * shell of salloc. */
#define SLURM_NO_STEP INT64_C(0xfffffff0)

/* The first row whose rank is set counts.  A launcher may run below another one, for example mpirun in
 * a shell that srun has started: then the variables of both are there, so the rows of launchers
 * that users call come before those of what systems call. */
static const struct {
    const char *name, *rank, *size, *local_rank, *local_size;
} rows[] = {
    [STARTED_ALONE] = { .name = "nothing" },
    [STARTED_OPENMPI] = { "mpirun of Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                          "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE" },
    [STARTED_PALS] = { "mpiexec of PALS", "PALS_RANKID", "PMI_SIZE", "PALS_LOCAL_RANKID",
                       "PMI_LOCAL_SIZE" },
    [STARTED_FLUX] = { "flux run", "FLUX_TASK_RANK", "FLUX_JOB_SIZE", "FLUX_TASK_LOCAL_ID", NULL },
    [STARTED_MVAPICH] = { "mpirun_rsh", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE",
                          "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE" },
    /* With a local rank, which hydra sets and srun does not: its PMI is the next row. */
    [STARTED_HYDRA] = { "mpiexec of MPICH or Intel MPI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID",
                        "MPI_LOCALNRANKS" },
    [STARTED_SRUN] = { "srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", NULL },
    [STARTED_PMI] = { "mpiexec", "PMI_RANK", "PMI_SIZE", "PMI_LOCAL_RANK", "PMI_LOCAL_SIZE" },
    [STARTED_PMIX] = { "a launcher with PMIx", "PMIX_RANK", NULL, NULL, NULL },
};

/* The variable's number; -1: it is not set, or not a number. */
static int number(const char *name)
{
    const char *text = name ? getenv(name) : NULL;
    int64_t n;
    return text && text_int(&n, text) && n >= 0 && n <= INT_MAX ? (int)n : -1;
}

/* In a batch script SLURM_PROCID is set, too, but no step has started it. */
static int in_step(void)
{
    const char *text = getenv("SLURM_STEP_ID");
    int64_t n;
    return text && text_int(&n, text) && n >= 0 && n < SLURM_NO_STEP;
}

static int counts(int by)
{
    if (number(rows[by].rank) < 0) return 0;
    if (by == STARTED_HYDRA) return number(rows[by].local_rank) >= 0;
    return by != STARTED_SRUN || in_step();
}

void rank_env_read(struct rank_env *e)
{
    int by = STARTED_ALONE + 1;

    while (by <= STARTED_PMIX && !counts(by)) by++;
    *e = (struct rank_env){ STARTED_ALONE, 0, 1, 0, 1, 1 };
    if (by > STARTED_PMIX) return;
    *e = (struct rank_env){ .by = (enum rank_starter)by, .rank = number(rows[by].rank),
                            .size = number(rows[by].size),
                            .local_rank = number(rows[by].local_rank),
                            .local_size = number(rows[by].local_size) };
    e->one_machine = e->size == 1 || (e->size > 0 && e->local_size == e->size) ||
                     (by == STARTED_SRUN && number("SLURM_STEP_NUM_NODES") == 1);
}

const char *rank_env_name(enum rank_starter by) { return rows[by].name; }
