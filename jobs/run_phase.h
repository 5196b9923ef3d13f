/* SPDX-License-Identifier: Apache-2.0 */
/* run_phase.h -- the state of a run, as a function of the facts that are known about it.
 *
 * The facts come from the run's folder (run_state.c) and from SLURM (slurm_ask.h); nothing is read
 * here.
 * RUNS.md shows the table of states.
 */
#ifndef RUN_PHASE_H
#define RUN_PHASE_H

#include <stdint.h>

#include "jobs/slurm_ask.h"
#include "src/store/fence.h"

enum run_phase {
    RUN_NEW,         /* nothing has happened                                             */
    RUN_WAITING,     /* in SLURM's queue, or between a crash and the next restart        */
    RUN_RUNNING,
    RUN_SUSPENDED,   /* SLURM has suspended its job                                      */
    RUN_SILENT,      /* on another machine, and nothing was written for long             */
    RUN_HUNG,        /* a watchdog has reported a hang, and it was not restarted         */
    RUN_SAVED,       /* it was asked to stop, and a checkpoint has all steps: resume it  */
    RUN_STOPPED,     /* it was asked to stop, and its last steps are in no checkpoint    */
    RUN_FINISHED,
    RUN_CANCELLED,   /* its job was cancelled before training began, or before it saved  */
    RUN_FAILED,      /* it ended with an error, or its job did before training began     */
    RUN_CRASHED,     /* it is gone and recorded no end                                   */
    RUN_UNKNOWN,     /* it was submitted, and SLURM does not answer                      */
    RUN_UNREADABLE,  /* its folder can't be read                                         */
    RUN_PHASES
};

const char *run_phase_name(enum run_phase p);

/* Does a process train, will one train, or is that possible?  Local. */
int run_phase_is_busy(enum run_phase p);

/* The last line of launch.jsonl that changes the state. */
enum run_event { EVENT_NONE, EVENT_SUBMIT, EVENT_QUEUED, EVENT_JOB, EVENT_CANCEL, EVENT_START,
                 EVENT_HANG, EVENT_EXIT, EVENT_END, RUN_EVENTS };

struct run_facts {
    int              unreadable;      /* the launcher's events, or the owner, can't be read     */
    enum fence_life  life;            /* of the process that trained last                       */
    int              fence_status;    /* its exit code, if life is FENCE_ENDED                  */
    double           seen;            /* its last sign of life, in seconds since 1970           */
    enum run_event   event;
    int              event_status;    /* exit code of EVENT_EXIT, EVENT_END                     */
    double           event_time;      /* seconds since 1970                                     */
    int              launcher;        /* of EVENT_START: 1 lives, 0 is gone, -1 not known here  */
    double           silence_s;       /* since the newest change of its files                   */
    enum slurm_state job;             /* of the job that was submitted last                     */
    double           job_began;       /* its newest start, seconds since 1970; NAN: unknown     */
    enum slurm_state own;             /* of the job of the process that trained last            */
    int64_t          step, steps, committed;   /* done, in all, in the newest checkpoint; -1    */
    int              job_unreadable;  /* it may have been submitted; the job number is lost     */
    int              ckpt_unreadable; /* the list of checkpoints can't be read                  */
};

/* What a note about the state should contain, apart from its name. */
enum run_about { ABOUT_NOTHING, ABOUT_JOB = 1, ABOUT_OWN = 2, ABOUT_LOG = 4, ABOUT_CODE = 8 };

struct run_verdict {
    enum run_phase phase;
    int            status;   /* exit code of what has ended; -1: none */
    int            about;    /* enum run_about, or-ed                 */
    const char    *note;     /* a part of a sentence, or ""           */
};

/* Decide.  Local. */
struct run_verdict run_judge(const struct run_facts *f);

#endif
