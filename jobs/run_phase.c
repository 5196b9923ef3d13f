/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/run_phase.h"

#include "src/base/status.h"

#define SILENT_S 600

const char *run_phase_name(enum run_phase p)
{
    static const char *const names[RUN_PHASES] = {
        "new", "waiting", "running", "suspended", "silent", "hung", "saved", "stopped", "finished",
        "cancelled", "failed", "crashed", "unknown", "unreadable",
    };
    return names[p];
}

int run_phase_is_busy(enum run_phase p)
{
    return p == RUN_WAITING || p == RUN_RUNNING || p == RUN_SUSPENDED || p == RUN_SILENT ||
           p == RUN_UNKNOWN || p == RUN_UNREADABLE;
}

static struct run_verdict is(enum run_phase phase, int about, const char *note)
{
    return (struct run_verdict){ .phase = phase, .status = -1, .about = about, .note = note };
}

static int is_over(enum slurm_state s) { return s >= SLURM_GONE; }

/* The job was given to SLURM, or began, or was cancelled, and no process has trained since. */
static int is_before_start(const struct run_facts *f)
{
    return f->event >= EVENT_SUBMIT && f->event <= EVENT_CANCEL && f->seen <= f->event_time + 1;
}

/* --- the run has ended and recorded how -------------------------------------------- */

/* The last event of the launcher decides, unless a process trained here later without it. */
static int launcher_ended(const struct run_facts *f)
{
    return f->event == EVENT_END && f->seen <= f->event_time + 1;
}

static int has_ended(const struct run_facts *f)
{
    return launcher_ended(f) || f->life == FENCE_ENDED;
}

static struct run_verdict end_of(const struct run_facts *f, int status)
{
    if (status != 0 && status != -ERR_SAVED)
        return is(RUN_FAILED, ABOUT_CODE | ABOUT_LOG, "");
    if (f->steps >= 0 && f->committed >= f->steps) return is(RUN_FINISHED, ABOUT_NOTHING, "");
    if (status == 0 && (f->ckpt_unreadable || (f->step < 0 && f->committed < 0)))
        return is(RUN_FINISHED, ABOUT_NOTHING, "");
    if (f->committed < 0)
        return is(RUN_STOPPED, ABOUT_NOTHING, f->ckpt_unreadable ? ""
                      : status == 0 ? "no checkpoint is left" : "there is no checkpoint");
    if (status == 0 && f->steps < 0 && f->step <= f->committed)
        return is(RUN_FINISHED, ABOUT_NOTHING, "");
    if (status == 0 || f->step > f->committed)
        return is(RUN_STOPPED, ABOUT_NOTHING,
                  "the steps after the newest checkpoint will be repeated");
    return is(RUN_SAVED, ABOUT_NOTHING, "");
}

static struct run_verdict ended(const struct run_facts *f)
{
    const int status = launcher_ended(f) ? f->event_status : f->fence_status;
    struct run_verdict v = end_of(f, status);

    v.status = status;
    /* It is not known whether the job was requeued. */
    if (f->job == SLURM_UNKNOWN && v.phase != RUN_FINISHED) v.about |= ABOUT_JOB;
    return v;
}

/* --- no end was recorded ------------------------------------------------------------ */

static struct run_verdict hung(int about)
{
    return is(RUN_HUNG, about, "a watchdog found a hanging process");
}

static struct run_verdict trains(const struct run_facts *f)
{
    if (f->own == SLURM_SUSPENDED) return is(RUN_SUSPENDED, ABOUT_OWN, "");
    if (f->event == EVENT_HANG) return hung(ABOUT_NOTHING);
    if (f->life == FENCE_ALIVE || f->silence_s < SILENT_S)
        return is(RUN_RUNNING, ABOUT_NOTHING, "");
    return is(RUN_SILENT, f->own == SLURM_NONE ? ABOUT_NOTHING : ABOUT_OWN,
              "nothing was written for 10 minutes or more");
}

/* Only the end of its job is known. */
static struct run_verdict gone(const struct run_facts *f, enum slurm_state job, int about)
{
    if (f->event == EVENT_HANG) return hung(about);
    if (job == SLURM_CANCELLED) return is(RUN_CANCELLED, about, "");
    return is(RUN_CRASHED, about | ABOUT_LOG, "");
}

/* The launcher has started processes that do not train yet, or will do so. */
static const char *restart(const struct run_facts *f)
{
    return f->event == EVENT_START ? "its processes are starting"
                                   : "between a crash and the next restart";
}

/* No process trains.  Will the launcher restart it? */
static struct run_verdict between(const struct run_facts *f)
{
    if (f->event == EVENT_HANG) return hung(ABOUT_NOTHING);
    if (f->launcher == 1 ||
        (f->launcher < 0 && !is_over(f->job) && f->silence_s < SILENT_S))
        return is(RUN_WAITING, ABOUT_NOTHING, restart(f));
    /* The launcher was killed or its last event is lost, and the processes ended well. */
    const int well = f->fence_status == 0 || f->fence_status == -ERR_SAVED;
    if (f->life == FENCE_ENDED &&
        (f->seen >= f->event_time ||
         (f->event == EVENT_EXIT && well && f->event_status == f->fence_status)))
        return ended(f);
    if (is_over(f->job)) return gone(f, f->job, ABOUT_JOB);
    return is(RUN_CRASHED, f->job == SLURM_UNKNOWN ? ABOUT_JOB : ABOUT_NOTHING, "");
}

/* The folder shows no training by the last job. */
static struct run_verdict not_begun(const struct run_facts *f)
{
    if (f->event == EVENT_CANCEL || f->job == SLURM_CANCELLED)
        return is(RUN_CANCELLED, f->job == SLURM_NONE ? ABOUT_NOTHING : ABOUT_JOB,
                  "before training began");
    if (is_over(f->job)) return is(RUN_FAILED, ABOUT_JOB | ABOUT_LOG, "training never began");
    if (f->job == SLURM_NONE)
        return is(RUN_UNKNOWN, ABOUT_NOTHING, "the number of its job is not known");
    return is(RUN_UNKNOWN, ABOUT_JOB, "");
}

/* The folder names no process. */
static struct run_verdict nameless(const struct run_facts *f)
{
    if (f->job_unreadable) return is(RUN_UNKNOWN, ABOUT_NOTHING, "");
    if (f->step < 0 && f->committed < 0) return is(RUN_NEW, ABOUT_NOTHING, "");
    if (f->steps >= 0 && f->committed >= f->steps) return is(RUN_FINISHED, ABOUT_NOTHING, "");
    return is(RUN_CRASHED, ABOUT_NOTHING, "fence/ does not record which process trained");
}

static struct run_verdict idle(const struct run_facts *f)
{
    if (is_before_start(f)) return not_begun(f);
    if (f->event == EVENT_HANG || f->event == EVENT_START || f->event == EVENT_EXIT)
        return between(f);
    if (has_ended(f)) return ended(f);
    if (f->life == FENCE_DEAD)
        return is_over(f->own) ? gone(f, f->own, ABOUT_OWN) : is(RUN_CRASHED, ABOUT_NOTHING, "");
    return f->job == SLURM_NONE ? nameless(f) : not_begun(f);
}

/* The last job runs. */
static struct run_verdict in_job(const struct run_facts *f)
{
    /* It ended, and SLURM has started it again since. */
    const int anew = f->job == SLURM_RUNNING && !(f->job_began < f->event_time - 1);

    if (f->job == SLURM_SUSPENDED) return is(RUN_SUSPENDED, ABOUT_JOB, "");
    if (f->event == EVENT_HANG) return hung(ABOUT_JOB);
    if (f->event == EVENT_START || f->event == EVENT_EXIT)
        return is(RUN_WAITING, ABOUT_JOB, restart(f));
    if (has_ended(f) && !is_before_start(f) && !(anew && launcher_ended(f))) return ended(f);
    return is(RUN_WAITING, ABOUT_JOB, f->job == SLURM_ENDING ? "" : "training has not begun yet");
}

/* Does a process train on another machine?  It may belong to another cluster, whose jobs our squeue
 * does not know: then only what it writes counts. */
static int trains_elsewhere(const struct run_facts *f)
{
    if (f->own == SLURM_GONE) return f->silence_s < SILENT_S;
    return !is_over(f->own) && f->own != SLURM_PENDING;
}

struct run_verdict run_judge(const struct run_facts *f)
{
    const int elsewhere = f->life == FENCE_ELSEWHERE && !launcher_ended(f) && !is_before_start(f);

    if (f->unreadable) return is(RUN_UNREADABLE, ABOUT_NOTHING, "");
    if (f->life == FENCE_ALIVE) return trains(f);
    if (elsewhere && trains_elsewhere(f)) return trains(f);
    if (f->job == SLURM_PENDING) return is(RUN_WAITING, ABOUT_JOB, "");
    if (slurm_is_alive(f->job)) return in_job(f);
    if (elsewhere && f->own == SLURM_PENDING) return is(RUN_WAITING, ABOUT_OWN, "");
    if (elsewhere) return gone(f, f->own, ABOUT_OWN);
    return idle(f);
}
