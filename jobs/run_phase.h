/* run_phase.h -- the state of a run, as a function of what is known about it.
 *
 * Facts come from the run's folder (run_state.c) and from SLURM (slurm_ask.h); nothing is read here.
 * RUNS.md shows the table of states.
 */
#ifndef RUN_PHASE_H
#define RUN_PHASE_H

#include <stdint.h>

#include "jobs/slurm_ask.h"
#include "src/store/fence.h"

enum run_phase {
    RUN_NEW,         /* nothing has happened                                               */
    RUN_WAITING,     /* in SLURM's queue, or between a crash and the next start            */
    RUN_RUNNING,
    RUN_SUSPENDED,   /* SLURM has stopped its job for a while                              */
    RUN_SILENT,      /* on another machine, and nothing was written for long               */
    RUN_HUNG,        /* a watchdog has said so, and nobody has started it again            */
    RUN_SAVED,       /* asked to stop, and all of it is in a checkpoint: start it again    */
    RUN_STOPPED,     /* asked to stop, and its last steps are in no checkpoint             */
    RUN_FINISHED,
    RUN_CANCELLED,   /* its job was cancelled before training began, or before it saved    */
    RUN_FAILED,      /* ended with an error, or its job did before training began          */
    RUN_CRASHED,     /* gone without a word                                                */
    RUN_UNKNOWN,     /* submitted, and SLURM does not answer                               */
    RUN_UNREADABLE,  /* what its folder holds can't be read                                */
    RUN_PHASES
};

const char *run_phase_name(enum run_phase p);

/* Is something there that trains or will train, or may it be? */
int run_phase_is_busy(enum run_phase p);

/* The last line of launch.jsonl that tells a state. */
enum run_word { WORD_NONE, WORD_SUBMIT, WORD_QUEUED, WORD_JOB, WORD_CANCEL, WORD_START, WORD_HANG,
                WORD_EXIT, WORD_END, RUN_WORDS };

struct run_facts {
    int              unreadable;      /* the launcher's words, or who owns it, can't be read        */
    enum fence_life  life;            /* of the process that trained last                           */
    int              fence_status;    /* its exit code, where life is FENCE_ENDED                   */
    double           seen;            /* it last said that it lives, in seconds since 1970          */
    enum run_word    word;
    int              word_status;     /* exit code of WORD_EXIT, WORD_END                           */
    double           word_time;       /* seconds since 1970                                         */
    int              launcher;        /* the process of WORD_START: 1 lives, 0 is gone, -1 elsewhere */
    double           silence_s;       /* since the newest change of its files                       */
    enum slurm_state job;             /* the job that was submitted last                            */
    double           job_began;       /* its newest start, seconds since 1970; NAN: not known       */
    enum slurm_state own;             /* the job of the process that trained last                   */
    int64_t          step, steps, committed;   /* done, to do, of the newest checkpoint; -1         */
    int              job_unreadable;  /* it was submitted, maybe, and the number of its job is lost */
    int              ckpt_unreadable; /* which checkpoints there are can't be read                  */
};

/* What to tell about it besides its name. */
enum run_about { ABOUT_NOTHING, ABOUT_JOB = 1, ABOUT_OWN = 2, ABOUT_LOG = 4, ABOUT_CODE = 8 };

struct run_verdict {
    enum run_phase phase;
    int            status;   /* exit code of what has ended; -1: none */
    int            about;    /* enum run_about, or-ed                 */
    const char    *note;     /* a part of a sentence, or ""           */
};

struct run_verdict run_judge(const struct run_facts *f);

#endif
