/* SPDX-License-Identifier: Apache-2.0 */
/* beacon.h -- what this process is doing now, on a page of shared memory that a watchdog reads.
 *
 *     process  stores   phase, step, operation, "in this call"      a few stores, never a lock
 *     watchdog reads    every half second, from the same file in /dev/shm
 *
 * A page has two lanes: one for the main thread, one for the thread that writes a checkpoint.
 * Other threads, and processes without a page, pay one branch.  A text is stored as its distance
 * from the start of the program, so that another process of the same program finds it at its own
 * address.
 *
 * All users of a machine share /dev/shm.  So a page is a new file that only its user can write, and
 * beacon_read() refuses any other.  What a page says of its process is still only a claim:
 * process.h verifies it.
 */
#ifndef BEACON_H
#define BEACON_H

#include <stdint.h>

enum beacon_phase { BEACON_SETUP, BEACON_DATA, BEACON_STEP, BEACON_SAVE, BEACON_EVAL, BEACON_END };
enum beacon_kind { BEACON_OUTSIDE, BEACON_MESSAGE, BEACON_FILE };
enum { BEACON_MAIN, BEACON_SAVER, BEACON_LANES };

#define BEACON_BYTES 4096
#define BEACON_PATH 1024

struct beacon_lane {
    int64_t calls;                /* entered and left so far: changes with both      */
    int64_t site;                 /* text of the call; beacon_text()                 */
    int32_t kind;                 /* enum beacon_kind                                */
    char    path[BEACON_PATH];    /* of a file                                       */
};

struct beacon {
    char    magic[8];
    int32_t pid, rank;
    int64_t born;                 /* process_born(): the number alone may mean another one */
    char    host[64];
    int64_t beat;                 /* counts up while any thread of the process runs  */
    int64_t progress;             /* counts operations, phases, steps                */
    int64_t step;                 /* finished                                        */
    int32_t phase;                /* enum beacon_phase                               */
    int32_t layer, unit, peer;    /* of the operation; -1: none                      */
    int64_t op;                   /* its name; beacon_text()                         */
    double  step_s, save_s;       /* slow recent ones (99th percentile); 0: none yet */
    struct beacon_lane lane[BEACON_LANES];
};

/* Create the page of process `rank` of the job called `job`, and start the thread of the beat.
 * This thread writes the page from now on.  A page that an earlier process left is replaced.
 * Local.
 *
 * why      [out] after ERR_IO: the reason.  A run can continue without a page
 * returns  OK or ERR_IO, not reported */
#define BEACON_WHY 160
int beacon_open(const char *job, int rank, char why[BEACON_WHY]);
void beacon_close(void);

/* Read the page of process `rank`: a regular file of one page that belongs to our user and that
 * nobody else can write.  Local.  returns 1, or 0 if there is no such page */
int beacon_read(struct beacon *out, const char *job, int rank);

/* The lane that this thread writes from now on; -1: none. */
void beacon_use(int lane);

/* Of the main thread: a phase begins, a step or save ended, an operation begins. */
void beacon_phase(enum beacon_phase p);
void beacon_step(int64_t step, double seconds);
void beacon_saved(double seconds);
void beacon_op(const char *name, int layer, int unit, int peer);

/* Before and after a call that may not return.
 *
 * site     a string literal, since it is passed as a place in the program
 * path     of a file; NULL: none */
void beacon_enter(enum beacon_kind kind, const char *site, const char *path);
void beacon_leave(void);

/* The text that a number on a page stands for; "" if there is none. */
const char *beacon_text(int64_t number);

/* The names of a job's pages are this prefix and the rank.  job: only its first LAUNCH_NAME bytes
 * count. */
#define BEACON_PREFIX 64
char *beacon_prefix(char text[BEACON_PREFIX], const char *job);

#endif
