/* SPDX-License-Identifier: Apache-2.0 */
/* fence.h -- one process writes into a run's folder, on any file system.
 *
 *     RUN/fence/000007      {"pid": 4711, "host": "n12", ..., "status": 85}
 *
 * Every start of a run takes the next number by creating its file (O_EXCL), and then writes into it
 * which process it is.  The highest number owns the run.  A process that finds a higher number than
 * its own has been fenced: it must not commit, whatever it has done so far.  So no locks of the
 * file system are needed, and a process that was believed dead and is not can do no harm.
 *
 * A start is refused while the owner lives.  Whether it does is certain on the same machine; on
 * another one only if the owner wrote that it ended, if the same launcher started both, or if SLURM
 * started the job again.  Otherwise the user must decide: takeover.
 */
#ifndef FENCE_H
#define FENCE_H

#include <stdint.h>

enum fence_life {
    FENCE_NONE,       /* the run has never had an owner           */
    FENCE_ENDED,      /* the owner wrote that it ended            */
    FENCE_DEAD,       /* its process does not exist any more      */
    FENCE_ALIVE,
    FENCE_ELSEWHERE   /* on another machine: not known            */
};

struct fence_owner {
    int64_t         number;
    enum fence_life life;
    long            pid;
    double          seen;        /* when it last wrote its file, seconds since 1970 */
    int             status;      /* exit code, where it ended                       */
    char            host[256], job[64], token[64];
};

/* Who owns the run in folder `run`?  Local.  o [out].  returns OK or ERR_IO, reported */
int fence_read(struct fence_owner *o, const char *run);

/* Would a start be allowed?  Local.  returns OK; ERR_OWNER or ERR_IO, reported */
int fence_allows(const char *run);

struct fence { char *dir, *path; int64_t number; };

/* Become the owner of a run.  Local.
 *
 * f        [out] fence_end() frees it
 * takeover 1: even if the present owner may be alive
 * returns  OK; ERR_OWNER or ERR_IO, reported */
int fence_take(struct fence *f, const char *run, int takeover);

/* Is there a higher number?  Cheap, but on a file system that caches, the answer may be old. */
int fence_lost(const struct fence *f);

/* Before a commit: is this process still the owner?  The answer is never old, since the check
 * writes into the folder.  returns OK; ERR_OWNER or ERR_IO, reported */
int fence_check(const struct fence *f);

/* Write that this process ends, with this exit code, and free f. */
void fence_end(struct fence *f, int status);

#endif
