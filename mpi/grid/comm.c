#include "mpi/grid/comm.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/launch_token.h"
#include "src/base/log.h"
#include "src/base/status.h"

static int our_rank;

static void end_job(int exit_code)
{
    log_tell_error(our_rank);
    MPI_Abort(MPI_COMM_WORLD, exit_code);
}

void comm_first_reports(void)
{
    const char *rank = getenv("PMIX_RANK") ? getenv("PMIX_RANK") : getenv("SLURM_PROCID");
    log_speaker(!rank || !strcmp(rank, "0"));
}

int comm_several(void)
{
    const char *size = getenv("OMPI_COMM_WORLD_SIZE");
    return size ? strcmp(size, "1") != 0 : getenv("PMIX_RANK") != NULL;
}

int comm_started(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK") || launch_token();
}

/* Processes that srun started but MPI does not connect would each train alone, all into one folder.
 * by_mpirun: mpirun started this process, so that the variables of srun describe another
 * command. */
static void keep_promise(int size, int by_mpirun)
{
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS"), *rank = getenv("SLURM_PROCID");

    if (by_mpirun || !getenv("SLURM_STEP_ID") || !tasks || atoi(tasks) == size) return;
    if (rank && strcmp(rank, "0") != 0) leave(ERR_CONFIG);  /* the first one reports it */
    log_speaker(1);
    leave(fail(ERR_CONFIG, "srun started %s processes, but MPI connects only %d of them. Open MPI "
               "needs srun --mpi=pmix (srun --mpi=list shows what SLURM has), or mpirun",
               tasks, size));
}

void comm_start(struct axis *world)
{
    const int by_mpirun = getenv("OMPI_COMM_WORLD_SIZE") != NULL;
    int level;

    /* Without mpirun, Open MPI would start a daemon that is only needed to spawn processes. */
    if (!getenv("PMIX_RANK") && !getenv("OMPI_COMM_WORLD_SIZE"))
        setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    /* Send the carries of small models eagerly, without a rendezvous, between ranks of a node. */
    setenv("OMPI_MCA_btl_vader_eager_limit", "262144", 0);
    mpi_do(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level));
    check(level >= MPI_THREAD_FUNNELED);
    mpi_do(MPI_Comm_dup(MPI_COMM_WORLD, &world->comm));
    mpi_do(MPI_Comm_set_errhandler(world->comm, MPI_ERRORS_RETURN));
    mpi_do(MPI_Comm_size(world->comm, &world->size));
    mpi_do(MPI_Comm_rank(world->comm, &world->rank));
    our_rank = world->rank;
    keep_promise(world->size, by_mpirun);
    log_speaker(world->rank == 0);
    if (world->size > 1) status_hook(end_job);
}

void comm_stop(struct axis *world)
{
    mpi_do(MPI_Comm_free(&world->comm));
    status_hook(NULL);
    log_speaker(1);
    MPI_Finalize();
}

void mpi_done(int err, const char *call, const char *file, int line)
{
    beacon_leave();
    mpi_check(err, call, file, line);
}

void mpi_check(int err, const char *call, const char *file, int line)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int n = 0;

    if (err == MPI_SUCCESS) return;
    MPI_Error_string(err, text, &n);
    die_at(file, line, "%s: %s", call, text);
}

int mpi_count(int64_t n)
{
    check(n >= 0 && n <= INT_MAX);
    return (int)n;
}

int axis_agree(const struct axis *axis, int rc)
{
    int all = rc;
    mpi_do(MPI_Allreduce(&rc, &all, 1, MPI_INT, MPI_MIN, axis->comm));
    if (all == OK) return OK;
    int first = rc == all ? axis->rank : INT_MAX, mine = first;
    mpi_do(MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, axis->comm));
    if (first == axis->rank) log_tell_error(our_rank);
    return all;
}

#ifdef CHECK_AGREE
void axis_check_agree(const struct axis *axis, int64_t value, const char *what)
{
    /* ~x reverses the order as -x does, without overflow. */
    const int64_t mine[2] = { value, ~value };
    int64_t most[2];
    mpi_do(MPI_Allreduce(mine, most, 2, MPI_INT64_T, MPI_MAX, axis->comm));
    if (most[0] == ~most[1]) return;
    die("%s must agree on all %d ranks: it is %" PRId64 " on rank %d, and others have %" PRId64
        " to %" PRId64, what, axis->size, value, axis->rank, ~most[1], most[0]);
}
#endif
