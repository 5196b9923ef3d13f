/* SPDX-License-Identifier: Apache-2.0 */
/* mpicheck.h -- a preloaded library that checks how a program uses MPI.
 *
 *     mpirun -n 4 env LD_PRELOAD=build/tests/mpicheck.so PROGRAM ...
 *
 * It stands between the program and MPI (the profiling interface, PMPI) and reports
 *
 *   - collectives that do not fit: other function, root, bytes, type or operation on another
 *     rank, and ranks that do not come (ring.c, collective.c);
 *   - requests, communicators, datatypes, groups, operations and windows that live on at
 *     MPI_Finalize, and who made them (core.c, object.c);
 *   - messages that nobody received (message.c);
 *   - calls from another thread than the one that started MPI.
 *
 * A finding is one line "mpicheck: rank R: ..." on standard error.  What would hang or corrupt
 * ends the job with exit code 99; the others are collected, and the program ends with 99.
 * MPICHECK_TIMEOUT: seconds that a rank may wait in a call (default 120).
 *
 * Passed on unwatched: persistent requests, communicators made without blocking or between
 * groups, one-sided accesses, files.
 */
#ifndef MPICHECK_H
#define MPICHECK_H

#include <mpi.h>
#include <stdint.h>

enum { EXIT_FINDING = 99 };

/* Where a call was made: an offset in the program, 0 if it was not there.  The same number on
 * every rank, unlike the address. */
typedef uint64_t site;

/* "reducer_begin at reduce.c:192", in a buffer of the caller. */
#define SITE_TEXT 256
void site_text(char text[SITE_TEXT], site at);

/* First thing in every wrapper: from the right thread?  Notes what this rank is doing. */
#define ENTER(name) enter((name), __builtin_return_address(0))
void enter(const char *name, void *address);
const char *here_name(void);
site here(void);
int rank_of_world(void);

/* A finding: say it.  fatal() also ends the job; does not return. */
void finding(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Passes on what MPI returned: success.  An error is a finding, once the others had time to say
 * who is to blame. */
int must(int err);

/* What has to be released.  Handles are compared by value, and a library may give the same one
 * twice, so requests are also known by the variable that holds them. */
enum kind { REQUEST, COMMUNICATOR, DATATYPE, GROUP, OPERATION, WINDOW, KINDS };
#define HANDLE(h) ((uintptr_t)(h))
void live_add(enum kind kind, uintptr_t handle, const void *variable, uint64_t ring);
uint64_t live_remove(enum kind kind, uintptr_t handle, const void *variable);
uint64_t live_ring(uintptr_t handle, const void *variable);  /* of a request; 0: none */

/* A communicator that is watched: one that has a private twin for our own messages. */
struct comm {
    MPI_Comm     comm, twin;
    int          size, rank;
    int         *sent;      /* (size) messages to each rank so far */
    int          received;  /* receives begun so far               */
    const char  *made_by;
    site         made_at;
    struct comm *next;
};
struct comm *comm_add(MPI_Comm comm);  /* collective on it, right after it was made */
struct comm *comm_find(MPI_Comm comm); /* NULL: not watched */
struct comm *comm_first(void);
void comm_remove(struct comm *c);
void comm_text(char text[2 * SITE_TEXT], const struct comm *c);

/* Announce a collective to the neighbour on the right; the one on the left announces the same,
 * or it is a finding.  type: shown, and compared where both sides pass a predefined one.
 * returns a number that is not 0; ring_pending() says whether the left one is still missing. */
uint64_t ring_post(struct comm *c, MPI_Datatype type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int ring_pending(uint64_t number);
void ring_poll(void);
void ring_settle(struct comm *c);      /* wait for all that is missing on c; NULL: anywhere */

/* A loop that waits:  struct wait w = wait_begin();  while (!done) wait_more(&w);
 * After too long all ranks say where they are, and the job ends. */
struct wait { double since; int turns; };
struct wait wait_begin(void);
void wait_more(struct wait *w);
void ask_init(void);

/* Collective, before a communicator dies: was all that was sent on it received? */
void messages_check(struct comm *c);

/* Everything at MPI_Finalize. */
void messages_check_all(void);

#endif
