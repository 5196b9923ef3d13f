/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/grid/comm.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/launch_token.h"
#include "src/base/log.h"
#include "src/base/rank_env.h"
#include "src/base/status.h"

MPI_Status *const mpi_ignored = MPI_STATUSES_IGNORE;

static int our_rank;

static void end_job(int exit_code)
{
    log_tell_error(our_rank);
    MPI_Abort(MPI_COMM_WORLD, exit_code);
}

/* What the environment told before MPI started, which may set variables, too. */
static const struct rank_env *told(void)
{
    static struct rank_env env;
    static int known;

    if (!known) rank_env_read(&env);
    known = 1;
    return &env;
}

void comm_first_reports(void) { log_speaker(told()->rank == 0); }

int comm_several(void) { return told()->size != 1; }

int comm_started(void) { return told()->by != STARTED_ALONE || launch_token(); }

/* "Open MPI v4.1.4" or "MPICH Version: 4.0.2". */
static void name_library(char text[MPI_MAX_LIBRARY_VERSION_STRING])
{
    int n;

    MPI_Get_library_version(text, &n);
    text[strcspn(text, ",\n")] = '\0';
    for (char *p = text; *p; p++)
        if (*p == '\t') *p = ' ';
}

/* Processes that were started together but that MPI does not connect would each train alone, all into
 * one folder. */
static void keep_promise(int size)
{
    const struct rank_env *e = told();
    char library[MPI_MAX_LIBRARY_VERSION_STRING];

    if (e->size <= size) return;
    if (e->rank != 0) leave(ERR_CONFIG);  /* the first one reports it */
    log_speaker(1);
    name_library(library);
    if (e->by == STARTED_SRUN)
        leave(fail(ERR_CONFIG, "srun started %d processes, but MPI connects only %d of them. This ttt "
                   "is built with %s; Open MPI needs srun --mpi=pmix, MPICH --mpi=pmi2 (srun "
                   "--mpi=list shows what SLURM has), or their own mpirun", e->size, size, library));
    leave(fail(ERR_CONFIG, "%s started %d processes, but MPI connects only %d of them: this ttt is "
               "built with %s, and needs the mpirun or mpiexec of that MPI",
               rank_env_name(e->by), e->size, size, library));
}

void comm_start(struct axis *world)
{
    const struct rank_env *e = told();
    int level;

    /* Without mpirun, Open MPI would start a daemon that is only needed to spawn processes. */
    if (e->by != STARTED_OPENMPI && !getenv("PMIX_NAMESPACE"))
        setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    /* Send the carries of small models eagerly, without a rendezvous, between ranks of a node: in
     * Open MPI 4, and 5. */
    setenv("OMPI_MCA_btl_vader_eager_limit", "262144", 0);
    setenv("OMPI_MCA_btl_sm_eager_limit", "262144", 0);
    mpi_do(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level));
    check(level >= MPI_THREAD_FUNNELED);
    mpi_do(MPI_Comm_dup(MPI_COMM_WORLD, &world->comm));
    mpi_do(MPI_Comm_set_errhandler(world->comm, MPI_ERRORS_RETURN));
    mpi_do(MPI_Comm_size(world->comm, &world->size));
    mpi_do(MPI_Comm_rank(world->comm, &world->rank));
    our_rank = world->rank;
    keep_promise(world->size);
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
