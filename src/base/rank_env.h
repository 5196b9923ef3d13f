/* SPDX-License-Identifier: Apache-2.0 */
/* rank_env.h -- which process of how many this one is, as the environment tells before MPI has started.
 *
 * MPI knows better, so whoever has started it asks MPI.  But some decisions come before: whether a
 * command needs MPI at all, who reports errors, and the watchdog, which must not know MPI.  Every
 * launcher sets variables of its own; rank_env.c holds them in one table. */
#ifndef RANK_ENV_H
#define RANK_ENV_H

enum rank_starter { STARTED_ALONE, STARTED_OPENMPI, STARTED_PALS, STARTED_FLUX, STARTED_MVAPICH,
                    STARTED_HYDRA, STARTED_SRUN, STARTED_PMI, STARTED_PMIX };

/* Numbers are -1 where nothing tells them. */
struct rank_env {
    enum rank_starter by;
    int rank, size;               /* of all processes that were started together   */
    int local_rank, local_size;   /* of those on this machine                      */
    int one_machine;              /* all of them are on this one; 0: not, or unknown */
};

/* Read the environment.  A process that nothing tells of is alone: rank 0 of 1.  Local. */
void rank_env_read(struct rank_env *e);

/* What started it, for people: "mpirun of Open MPI", "srun".  Local. */
const char *rank_env_name(enum rank_starter by);

#endif
