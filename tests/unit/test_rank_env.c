/* SPDX-License-Identifier: Apache-2.0 */
/* Which process this is, in environments that the manuals of launchers describe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/rank_env.h"

#include <cmocka.h>

/* What `env` prints in a process that was started so, what is not about processes left out. */
static const struct {
    const char     *how;
    const char     *variables[18];
    struct rank_env want;
} documented[] = {
    { "a shell", { "HOME=/root", "OMP_NUM_THREADS=2" }, { STARTED_ALONE, 0, 1, 0, 1, 1 } },
    { "mpirun of Open MPI 4.1.4, the third of four",
      { "OMPI_COMM_WORLD_SIZE=4", "OMPI_COMM_WORLD_LOCAL_SIZE=4", "OMPI_COMM_WORLD_RANK=2",
        "OMPI_COMM_WORLD_LOCAL_RANK=2", "OMPI_UNIVERSE_SIZE=2", "PMIX_NAMESPACE=2113011713",
        "PMIX_RANK=2" },
      { STARTED_OPENMPI, 2, 4, 2, 4, 1 } },
    { "mpirun of Open MPI 4.1.4 in a SLURM job, on its second node",
      { "SLURM_JOB_ID=7", "SLURM_NTASKS=4", "SLURM_PROCID=1", "SLURM_LOCALID=0", "SLURM_STEP_ID=0",
        "SLURM_STEP_NUM_TASKS=2", "SLURM_STEP_NUM_NODES=2", "OMPI_COMM_WORLD_SIZE=4",
        "OMPI_COMM_WORLD_LOCAL_SIZE=2", "OMPI_COMM_WORLD_RANK=3", "OMPI_COMM_WORLD_LOCAL_RANK=1",
        "PMIX_RANK=3" },
      { STARTED_OPENMPI, 3, 4, 1, 2, 0 } },
    { "mpiexec of MPICH 4.0.2, the second of two",
      { "GFORTRAN_UNBUFFERED_PRECONNECTED=y", "MPI_LOCALNRANKS=2", "MPI_LOCALRANKID=1", "PMI_RANK=1",
        "PMI_FD=9", "PMI_SIZE=2" },
      { STARTED_HYDRA, 1, 2, 1, 2, 1 } },
    { "mpiexec of MPICH 4.0.2 in a SLURM job, two nodes",
      { "SLURM_JOB_ID=7", "SLURM_NTASKS=4", "SLURM_PROCID=1", "SLURM_LOCALID=0", "SLURM_STEP_ID=0",
        "SLURM_STEP_NUM_TASKS=2", "SLURM_STEP_NUM_NODES=2", "MPI_LOCALNRANKS=2",
        "MPI_LOCALRANKID=0", "PMI_RANK=2", "PMI_FD=7", "PMI_SIZE=4" },
      { STARTED_HYDRA, 2, 4, 0, 2, 0 } },
    { "mpiexec of MPICH in a shell of srun --mpi=pmix --pty",
      { "SLURM_JOB_ID=7", "SLURM_NTASKS=1", "SLURM_PROCID=0", "SLURM_LOCALID=0", "SLURM_STEP_ID=0",
        "SLURM_STEP_NUM_TASKS=1", "PMIX_RANK=0", "MPI_LOCALNRANKS=2", "MPI_LOCALRANKID=1",
        "PMI_RANK=1", "PMI_FD=9", "PMI_SIZE=2" },
      { STARTED_HYDRA, 1, 2, 1, 2, 1 } },
    { "mpiexec of Intel MPI 2021",
      { "I_MPI_MPIRUN=mpirun", "MPI_LOCALNRANKS=4", "MPI_LOCALRANKID=3", "PMI_RANK=7", "PMI_FD=20",
        "PMI_SIZE=8" },
      { STARTED_HYDRA, 7, 8, 3, 4, 0 } },
    { "mpiexec of PALS",
      { "PALS_RANKID=5", "PALS_LOCAL_RANKID=1", "PALS_NODEID=1", "PALS_DEPTH=8", "PALS_APID=a-b",
        "PMI_RANK=5", "PMI_SIZE=8", "PMI_LOCAL_RANK=1", "PMI_LOCAL_SIZE=4", "PMI_UNIVERSE_SIZE=8" },
      { STARTED_PALS, 5, 8, 1, 4, 0 } },
    { "srun --mpi=pmix, two nodes",
      { "SLURM_JOB_ID=7", "SLURM_NTASKS=4", "SLURM_PROCID=3", "SLURM_LOCALID=1", "SLURM_STEP_ID=0",
        "SLURM_STEP_NUM_TASKS=4", "SLURM_STEP_NUM_NODES=2", "SLURM_NNODES=2",
        "PMIX_NAMESPACE=slurm.pmix.7.0", "PMIX_RANK=3" },
      { STARTED_SRUN, 3, 4, 1, -1, 0 } },
    { "srun --mpi=pmi2, one node",
      { "SLURM_JOB_ID=7", "SLURM_NTASKS=2", "SLURM_PROCID=1", "SLURM_LOCALID=1", "SLURM_STEP_ID=3",
        "SLURM_STEP_NUM_TASKS=2", "SLURM_STEP_NUM_NODES=1", "PMI_FD=11", "PMI_JOBID=7.3",
        "PMI_RANK=1", "PMI_SIZE=2" },
      { STARTED_SRUN, 1, 2, 1, -1, 1 } },
    /* The shell of a job describes the job, but runs alone. */
    { "a batch script of SLURM",
      { "SLURM_JOB_ID=7", "SLURM_NTASKS=4", "SLURM_NPROCS=4", "SLURM_NNODES=2",
        "SLURM_TASKS_PER_NODE=2(x2)", "SLURM_PROCID=0", "SLURM_LOCALID=0", "SLURM_NODEID=0",
        "SLURM_GTIDS=0" },
      { STARTED_ALONE, 0, 1, 0, 1, 1 } },
    { "a batch script, where SLURM numbers it as a step",
      { "SLURM_JOB_ID=7", "SLURM_NTASKS=4", "SLURM_PROCID=0", "SLURM_STEP_ID=4294967291",
        "SLURM_STEP_NUM_TASKS=4" },
      { STARTED_ALONE, 0, 1, 0, 1, 1 } },
    { "the shell of salloc, as an interactive step",
      { "SLURM_JOB_ID=7", "SLURM_NTASKS=4", "SLURM_PROCID=0", "SLURM_LOCALID=0",
        "SLURM_STEP_ID=4294967290", "SLURM_STEP_NUM_TASKS=1" },
      { STARTED_ALONE, 0, 1, 0, 1, 1 } },
    { "flux run",
      { "FLUX_TASK_RANK=2", "FLUX_JOB_SIZE=4", "FLUX_TASK_LOCAL_ID=0", "FLUX_JOB_ID=f23", "PMI_FD=6",
        "PMI_RANK=2", "PMI_SIZE=4" },
      { STARTED_FLUX, 2, 4, 0, -1, 0 } },
    { "flux run -n 1",
      { "FLUX_TASK_RANK=0", "FLUX_JOB_SIZE=1", "FLUX_TASK_LOCAL_ID=0", "FLUX_URI=local:///x" },
      { STARTED_FLUX, 0, 1, 0, -1, 1 } },
    { "a launcher that only knows PMIx", { "PMIX_NAMESPACE=x", "PMIX_RANK=1" },
      { STARTED_PMIX, 1, -1, -1, -1, 0 } },
    { "numbers that are none",
      { "OMPI_COMM_WORLD_RANK=", "PMI_RANK=-1", "PMIX_RANK=x", "PALS_RANKID=99999999999" },
      { STARTED_ALONE, 0, 1, 0, 1, 1 } },
};

static void as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof documented / sizeof *documented; i++) {
        const struct rank_env *want = &documented[i].want;
        struct rank_env e;
        assert_int_equal(clearenv(), 0);
        for (int k = 0; documented[i].variables[k]; k++)
            assert_int_equal(putenv((char *)documented[i].variables[k]), 0);
        rank_env_read(&e);
        if (memcmp(&e, want, sizeof e) != 0)
            fail_msg("%s: by %d, %d of %d, %d of %d here, one machine: %d", documented[i].how, (int)e.by,
                     e.rank, e.size, e.local_rank, e.local_size, e.one_machine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(as_documented) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
