/* verdict.h -- which process of a job hangs?
 *
 * Processes that wait for others are in a message; the one they wait for is not, or is behind.  So:
 *   1  a stopped or frozen process: nothing of it runs
 *   2  a file that does not answer, in the thread that writes a checkpoint
 *   3  of those furthest behind, one that is not in a message
 *   4  any other that is not in a message
 *   5  all are in messages: the network, or a message that nobody sends
 * Nothing is judged before some process has been quiet for longer than its limit.
 */
#ifndef VERDICT_H
#define VERDICT_H

#include "src/base/beacon.h"

/* A process as a watchdog has seen it for a while. */
struct watched {
    struct beacon now;        /* its page                                               */
    char    state;            /* of the system: R, S, D, T (stopped), Z, ...; 0: gone   */
    double  quiet_s;          /* since it made progress                                 */
    double  beat_quiet_s;     /* since any thread of it ran                             */
    double  saver_quiet_s;    /* of its thread that saves; 0 while it does not          */
};

/* Seconds without progress that are allowed. */
struct watch_limits { double setup_s, data_s, step_s, save_s; };

enum verdict_rank { VERDICT_NONE, VERDICT_FROZEN, VERDICT_SAVER, VERDICT_BEHIND, VERDICT_OUTSIDE,
                    VERDICT_NETWORK };

struct verdict {
    enum verdict_rank rank;   /* VERDICT_NONE: all is well   */
    int     culprit;          /* index                       */
    double  quiet_s, limit_s;
};

/* The limit of a process in its present phase: at least what is configured, and five times its own
 * slow steps and saves. */
double watch_limit(const struct watched *w, const struct watch_limits *l);

void verdict_of(struct verdict *v, const struct watched *w, int n, const struct watch_limits *l);

/* "rank 1 (process 4711 on n2), step 17, ...": who, where, in what.  A counted string. */
char *verdict_text(const struct verdict *v, const struct watched *w);

#endif
