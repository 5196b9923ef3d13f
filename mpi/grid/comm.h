/* SPDX-License-Identifier: Apache-2.0 */
/* comm.h -- start and stop MPI, call it, and fail on all ranks together.
 *
 * Only this module uses MPI_COMM_WORLD.  A program that was started without mpirun is a job of one
 * process; no other file needs to distinguish the two.
 */
#ifndef COMM_H
#define COMM_H

#include <mpi.h>
#include <stddef.h>
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
 * Collective on all processes of the job; once each, before and after all communication.
 *
 * world    [out] all processes: a duplicate of MPI_COMM_WORLD.  MPI returns errors on it, and on
 *          all communicators made from it, to mpi_do().  From now on only rank 0 writes messages,
 *          and die() and leave() end all processes of the job.
 */
void comm_start(struct axis *world);
void comm_stop(struct axis *world);

/* Let only the first process under mpirun report errors in what all processes read.  Local, before
 * comm_start(). */
void comm_first_reports(void);

/* Was this process started as one of several, or may it be?  For commands that need no MPI when it was
 * not.  Local, before comm_start(). */
int comm_several(void);

/* Was this process started by mpirun, srun (rank_env.h) or ttt launch, even as the only one?  Local,
 * before comm_start(). */
int comm_started(void);

/* Call MPI; a failure ends the job with the call, its file and line.  The call is also written to
 * the beacon, so that a watchdog can report it if it never returns.  As collective as `call`. */
#define mpi_do(call) mpi_done((beacon_enter(BEACON_MESSAGE, CALL_SITE(#call, __LINE__), NULL), (call)), \
                              #call, __FILE__, __LINE__)
#define CALL_SITE(call, line) AT_LINE(call, line)
#define AT_LINE(call, line) call ", " __FILE__ ":" #line

/* The same for MPI_Test and others that return at once and are called often: no beacon. */
#define mpi_poll(call) mpi_check((call), #call, __FILE__, __LINE__)

/* What the two macros do after the call.  Local; they do not return if err is an error. */
void mpi_done(int err, const char *call, const char *file, int line);
void mpi_check(int err, const char *call, const char *file, int line);

/* MPI_STATUSES_IGNORE as a variable: gcc takes that of MPICH for an array without elements.  Local. */
extern MPI_Status *const mpi_ignored;

/* n as a count for MPI: the only place where a size is narrowed to int.  Messages are cut into
 * smaller ones before, so an n that is too large is a bug and ends the job.  Local. */
int mpi_count(int64_t n);

/* Make a failure of one rank a failure of all, and report it once.
 *
 * Collective on axis.
 *
 * rc       local outcome: OK or a negative status
 * returns  OK if every rank passed OK, else the smallest status passed; the
 *          same value on every rank.  The first rank that passed it prints its
 *          error, if that was held back (log.h)
 * cost     one 4-byte allreduce: setup and checkpoint paths only, not steps
 */
int axis_agree(const struct axis *axis, int rc);

/* Check that an argument which must agree has the same value on all ranks.  Only in debug builds
 * (make CHECK=1).
 *
 * Collective on axis; a rank whose value differs ends the job with the message `what`.
 *
 * cost     one 16-byte allreduce; in other builds nothing, and `value` is not evaluated */
#ifdef CHECK_AGREE
void axis_check_agree(const struct axis *axis, int64_t value, const char *what);
#else
#define axis_check_agree(axis, value, what) ((void)(axis), (void)sizeof(value), (void)(what))
#endif

#endif
