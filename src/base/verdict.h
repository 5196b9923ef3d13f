/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.h -- decide which process of a job hangs.
 *
 * When one process hangs, all others soon wait for it in a call of MPI ("in a message").  The
 * culprit is the one that is not in such a call, or that has finished fewer steps.  Suspects in
 * this order:
 *   1  a stopped or frozen process: none of its threads runs
 *   2  one whose thread that writes a checkpoint waits for a file
 *   3  of those with the fewest finished steps, one that is not in a message
 *   4  any other that is not in a message
 *   5  all are in messages: the network fails, or nobody sends the message
 * A process becomes a suspect only after it made no progress for longer than its limit.
 */
#ifndef VERDICT_H
#define VERDICT_H

#include "src/base/beacon.h"

/* What a watchdog has observed of a process. */
struct watched {
    struct beacon now;        /* its page                                               */
    char    state;            /* process_state(): R, S, D, T (stopped), ...; 0: ended   */
    double  quiet_s;          /* since it made progress                                 */
    double  beat_quiet_s;     /* since any thread of it ran                             */
    double  saver_quiet_s;    /* of its thread that saves; 0 while it does not          */
};

/* Seconds without progress that are allowed. */
struct watch_limits { double setup_s, data_s, step_s, save_s; };

enum verdict_rank { VERDICT_NONE, VERDICT_FROZEN, VERDICT_SAVER, VERDICT_LATE, VERDICT_OUTSIDE,
                    VERDICT_NETWORK };

struct verdict {
    enum verdict_rank rank;   /* VERDICT_NONE: none hangs    */
    int     culprit;          /* index                       */
    double  quiet_s, limit_s;
};

/* The limit of a process in its present phase: at least what is configured, and five times its own
 * slow steps and saves. */
double watch_limit(const struct watched *w, const struct watch_limits *l);

void verdict_of(struct verdict *v, const struct watched *w, int n, const struct watch_limits *l);

/* "rank 1 (process 4711 on n2) hangs: step 17, ...", for the message.  A counted string. */
char *verdict_text(const struct verdict *v, const struct watched *w);

#endif
