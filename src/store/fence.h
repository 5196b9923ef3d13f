/* fence.h -- one process writes into a run's folder, on any file system.
 *
 *     RUN/fence/000007      {"pid": 4711, "host": "n12", ..., "status": 85}
 *
 * Every start of a run takes the next number by creating its file (O_EXCL), and then puts into it
 * who he is.  The highest number owns the run.  A process that finds a higher one than its own has
 * been fenced: it must not commit, whatever it has done so far.  So nobody needs locks of the
 * file system, and a process that was believed dead can do no harm when it is not.
 *
 * A start is refused while the owner lives.  That is certain on one machine; of another one we know
 * only if the owner said that it ended, if our launcher started both, or if SLURM started our job
 * again.  Else the user must say so: takeover.
 */
#ifndef FENCE_H
#define FENCE_H

#include <stdint.h>

enum fence_life {
    FENCE_NONE,       /* nobody has been here                     */
    FENCE_ENDED,      /* it said so                               */
    FENCE_DEAD,       /* its process is gone                      */
    FENCE_ALIVE,
    FENCE_ELSEWHERE   /* on a machine that we can't look into     */
};

struct fence_owner {
    int64_t         number;
    enum fence_life life;
    long            pid;
    double          seen;        /* it last said that it lives, in seconds since 1970 */
    int             status;      /* exit code, where it ended                       */
    char            host[256], job[64], token[64];
};

/* Who owns the run in folder `run`?  returns OK or ERR_IO, said */
int fence_look(struct fence_owner *o, const char *run);

/* Would a start be refused?  returns OK; ERR_OWNER, said; ERR_IO */
int fence_ask(const char *run);

struct fence { char *dir, *path; int64_t number; };

/* Own it.  returns OK; ERR_OWNER, said; ERR_IO */
int fence_take(struct fence *f, const char *run, int takeover);

/* A higher number is there.  Cheap; may be late on a file system that caches. */
int fence_lost(const struct fence *f);

/* Before a commit: are we still the owner?  Never late.  returns OK; ERR_OWNER, said; ERR_IO */
int fence_check(const struct fence *f);

/* Say that we end, with this exit code. */
void fence_end(struct fence *f, int status);

#endif
