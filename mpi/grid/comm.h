/* comm.h -- start and stop MPI, call it, and fail together.
 *
 * The only file that knows MPI_COMM_WORLD.  A program started without mpirun
 * is a job of one process; nothing else in the tree cares.
 */
#ifndef COMM_H
#define COMM_H

#include <mpi.h>
#include <stdint.h>

#include "src/base/beacon.h"

/* One direction of the process grid. */
struct axis {
    MPI_Comm comm;  /* owned by whoever made it; never MPI_COMM_WORLD itself */
    int      size;  /* processes along this axis, >= 1                       */
    int      rank;  /* our place along it, 0 <= rank < size                  */
};

/* Start MPI, and stop it.
 *
 * Collective on the job; once each, around everything that communicates.
 *
 * world  [out]  all processes: a duplicate of MPI_COMM_WORLD.  Errors on it
 *               and on all its descendants come back to mpi_do().  Only rank 0
 *               speaks from now on, and in a job of several processes die()
 *               and leave() end all of them.
 */
void comm_start(struct axis *world);
void comm_stop(struct axis *world);

/* Before comm_start(), under mpirun: only the first process says what is wrong with
 * things that all of them read.  Local. */
void comm_hush(void);

/* Was this process started as one of several?  For commands that need no MPI when it was not.
 * Local, before comm_start(). */
int comm_several(void);

/* Was this process started by mpirun, srun with PMI, or ttt launch, even as the only one?  Local,
 * before comm_start(). */
int comm_started(void);

/* Call MPI; a failure is ours, so it ends the job.  A watchdog sees where we are. */
#define mpi_do(call) mpi_done((beacon_enter(BEACON_MESSAGE, CALL_SITE(#call, __LINE__), NULL), (call)), \
                              #call, __FILE__, __LINE__)
#define CALL_SITE(call, line) AT_LINE(call, line)
#define AT_LINE(call, line) call ", " __FILE__ ":" #line

/* The same for a question that is asked again and again. */
#define mpi_ask(call) mpi_check((call), #call, __FILE__, __LINE__)
void mpi_done(int err, const char *call, const char *file, int line);
void mpi_check(int err, const char *call, const char *file, int line);

/* A count of MPI: the only place where a size is narrowed to int.  Too large is ours (buckets and
 * messages are cut before), so it dies.  Local. */
int mpi_count(int64_t n);

/* Let one rank's failure become everybody's, and say it once.
 *
 * Collective on axis.
 *
 * rc       local outcome: OK or a negative status
 * returns  OK if every rank passed OK, else the smallest status passed; the
 *          same value on every rank.  The first rank that passed it tells its
 *          error, if it was held (log.h)
 * cost     one 4-byte allreduce: setup and checkpoint paths only, not steps
 */
int axis_agree(const struct axis *axis, int rc);

/* Does an argument that must agree do so?  Only in builds that ask (make CHECK=1): there it is
 *
 * Collective on axis; dies where the value is not that of all ranks, and names it: `what`.
 *
 * cost     one 16-byte allreduce; in other builds nothing, `value` is not even computed */
#ifdef CHECK_AGREE
void axis_check_agree(const struct axis *axis, int64_t value, const char *what);
#else
#define axis_check_agree(axis, value, what) ((void)(axis), (void)sizeof(value), (void)(what))
#endif

#endif
