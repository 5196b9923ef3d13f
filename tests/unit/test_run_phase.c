/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a run as a function of facts: a table, and what holds for all combinations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>

#include "jobs/run_phase.h"

#include <cmocka.h>

enum { EARLY = 100, WORD = 200, LATE = 300 };   /* when the process last said that it lives */

/* What is left out: nobody trained, SLURM is not in it, all of 60 steps but 20 are done and saved. */
#define FACTS .launcher = -1, .job_began = NAN, .event_time = WORD, .steps = 60, .step = 40, .committed = 40
#define NOBODY .life = FENCE_NONE
#define ENDED(status) .life = FENCE_ENDED, .fence_status = (status), .seen = EARLY
#define ELSEWHERE .life = FENCE_ELSEWHERE, .seen = LATE
#define LONG_AGO .silence_s = 1000

#pragma GCC diagnostic ignored "-Woverride-init"

static const struct { const char *what; struct run_facts f; enum run_phase phase; } rows[] = {
    /* without SLURM */
    { "an empty folder", { FACTS, NOBODY, .step = -1, .committed = -1 }, RUN_NEW },
    { "sbatch said nothing", { FACTS, NOBODY, .step = -1, .committed = -1, .job_unreadable = 1 }, RUN_UNKNOWN },
    { "trained, and fence/ is lost", { FACTS, NOBODY }, RUN_CRASHED },
    { "all trained, and fence/ is lost", { FACTS, NOBODY, .step = 60, .committed = 60 }, RUN_FINISHED },
    { "it trains here", { FACTS, .life = FENCE_ALIVE }, RUN_RUNNING },
    { "it hangs here", { FACTS, .life = FENCE_ALIVE, .event = EVENT_HANG }, RUN_HUNG },
    { "it trains elsewhere", { FACTS, ELSEWHERE, .event = EVENT_START }, RUN_RUNNING },
    { "silent elsewhere", { FACTS, ELSEWHERE, .event = EVENT_START, LONG_AGO }, RUN_SILENT },
    { "done", { FACTS, ENDED(0), .step = 60, .committed = 60 }, RUN_FINISHED },
    { "done, checkpoints moved away", { FACTS, ENDED(0), .step = 60, .committed = -1 }, RUN_STOPPED },
    { "done, checkpoints can't be listed", { FACTS, ENDED(0), .step = 60, .committed = -1, .ckpt_unreadable = 1 }, RUN_FINISHED },
    { "done, the last checkpoint is lost", { FACTS, ENDED(0), .step = 60 }, RUN_STOPPED },
    { "done, length not known", { FACTS, ENDED(0), .steps = -1 }, RUN_FINISHED },
    { "saved", { FACTS, ENDED(85) }, RUN_SAVED },
    { "saved at the last step", { FACTS, ENDED(85), .step = 60, .committed = 60 }, RUN_FINISHED },
    { "85, and 20 steps are not saved", { FACTS, ENDED(85), .step = 60 }, RUN_STOPPED },
    { "85, and nothing is saved", { FACTS, ENDED(85), .committed = -1 }, RUN_STOPPED },
    { "an error", { FACTS, ENDED(74) }, RUN_FAILED },
    { "killed", { FACTS, .life = FENCE_DEAD, .seen = EARLY }, RUN_CRASHED },
    { "the launcher gave up", { FACTS, ENDED(0), .event = EVENT_END, .event_status = 93 }, RUN_FAILED },
    { "and somebody trained since", { FACTS, ENDED(85), .seen = LATE, .event = EVENT_END, .event_status = 93 }, RUN_SAVED },
    { "the launcher ended, of the process nobody knows", { FACTS, .life = FENCE_ELSEWHERE, .seen = EARLY, .event = EVENT_END, .event_status = 93 }, RUN_FAILED },
    { "between two starts", { FACTS, ENDED(1), .event = EVENT_EXIT, .launcher = 1, LONG_AGO }, RUN_WAITING },
    { "between two starts elsewhere", { FACTS, ENDED(1), .event = EVENT_EXIT }, RUN_WAITING },
    { "and it never came", { FACTS, ENDED(1), .event = EVENT_EXIT, LONG_AGO }, RUN_CRASHED },
    { "the launcher was killed", { FACTS, ENDED(1), .event = EVENT_EXIT, .launcher = 0 }, RUN_CRASHED },
    { "the launcher was killed, its processes saved", { FACTS, ENDED(85), .seen = LATE, .event = EVENT_START, .launcher = 0 }, RUN_SAVED },
    { "all is done, and its last word is lost", { FACTS, ENDED(0), .step = 60, .committed = 60, .event = EVENT_EXIT, .event_status = 0, .launcher = 0 }, RUN_FINISHED },
    { "a hang, and nobody started it again", { FACTS, ENDED(1), .event = EVENT_HANG }, RUN_HUNG },
    { "not to be read", { FACTS, .unreadable = 1, .job = SLURM_RUNNING }, RUN_UNREADABLE },

    /* submitted for the first time */
    { "it waits", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_PENDING }, RUN_WAITING },
    { "its job runs", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_RUNNING }, RUN_WAITING },
    { "its job is ending", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_ENDING }, RUN_WAITING },
    { "no answer", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_UNKNOWN }, RUN_UNKNOWN },
    { "no number", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_NONE }, RUN_UNKNOWN },
    { "cancelled while it waited", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_CANCELLED }, RUN_CANCELLED },
    { "cancelled by ttt stop", { FACTS, NOBODY, .event = EVENT_CANCEL, .job = SLURM_GONE }, RUN_CANCELLED },
    { "and submitted again", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_PENDING }, RUN_WAITING },
    { "a module failed", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_FAILED }, RUN_FAILED },
    { "too little memory", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_OUT_OF_MEMORY }, RUN_FAILED },
    { "its modules took all the time", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_TIMEOUT }, RUN_FAILED },
    { "its deadline came", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_DEADLINE }, RUN_FAILED },
    { "its node did not boot", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_BOOT_FAIL }, RUN_FAILED },
    { "its script did nothing", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_COMPLETED }, RUN_FAILED },
    { "gone", { FACTS, NOBODY, .event = EVENT_SUBMIT, .job = SLURM_GONE }, RUN_FAILED },
    { "the launcher began, and ended", { FACTS, NOBODY, .event = EVENT_JOB, .job = SLURM_FAILED }, RUN_FAILED },
    { "suspended before it trained", { FACTS, NOBODY, .event = EVENT_JOB, .job = SLURM_SUSPENDED }, RUN_SUSPENDED },

    /* submitted again, after what an earlier job did */
    { "it waits again", { FACTS, ENDED(85), .event = EVENT_SUBMIT, .job = SLURM_PENDING }, RUN_WAITING },
    { "it died before it trained again", { FACTS, ENDED(85), .event = EVENT_SUBMIT, .job = SLURM_FAILED }, RUN_FAILED },
    { "no answer this time", { FACTS, ENDED(85), .event = EVENT_SUBMIT, .job = SLURM_UNKNOWN }, RUN_UNKNOWN },
    { "and somebody trained by hand", { FACTS, ENDED(85), .seen = LATE, .event = EVENT_SUBMIT, .job = SLURM_UNKNOWN }, RUN_SAVED },

    /* requeued */
    { "by itself", { FACTS, ENDED(85), .event = EVENT_QUEUED, .job = SLURM_PENDING }, RUN_WAITING },
    { "by its user", { FACTS, ENDED(85), .event = EVENT_END, .event_status = 85, .job = SLURM_PENDING }, RUN_WAITING },
    { "finished, by mistake", { FACTS, ENDED(0), .event = EVENT_END, .event_status = 0, .committed = 60, .job = SLURM_PENDING }, RUN_WAITING },
    { "while it trained", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_PENDING, .own = SLURM_PENDING }, RUN_WAITING },
    { "it runs again", { FACTS, ENDED(85), .event = EVENT_END, .event_status = 85, .job = SLURM_RUNNING, .job_began = LATE }, RUN_WAITING },
    { "it is ending", { FACTS, ENDED(85), .event = EVENT_END, .event_status = 85, .job = SLURM_RUNNING, .job_began = EARLY }, RUN_SAVED },
    { "cancelled in the queue", { FACTS, ENDED(85), .event = EVENT_QUEUED, .job = SLURM_CANCELLED }, RUN_CANCELLED },
    { "a process of an earlier start", { FACTS, .life = FENCE_ELSEWHERE, .seen = EARLY, .event = EVENT_QUEUED, .job = SLURM_RUNNING, .own = SLURM_RUNNING }, RUN_WAITING },

    /* it trains in a job, seen from elsewhere */
    { "running", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_RUNNING, .own = SLURM_RUNNING }, RUN_RUNNING },
    { "a long step", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_RUNNING, .own = SLURM_RUNNING, LONG_AGO }, RUN_SILENT },
    { "suspended", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_SUSPENDED, .own = SLURM_SUSPENDED }, RUN_SUSPENDED },
    { "no answer while it trains", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_UNKNOWN, .own = SLURM_UNKNOWN }, RUN_RUNNING },
    { "a job of another cluster", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_GONE, .own = SLURM_GONE }, RUN_RUNNING },
    { "gone for long", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_GONE, .own = SLURM_GONE, LONG_AGO }, RUN_CRASHED },
    { "its node failed", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_NODE_FAIL, .own = SLURM_NODE_FAIL }, RUN_CRASHED },
    { "out of memory", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_OUT_OF_MEMORY, .own = SLURM_OUT_OF_MEMORY }, RUN_CRASHED },
    { "out of time", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_TIMEOUT, .own = SLURM_TIMEOUT }, RUN_CRASHED },
    { "cancelled and killed", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_CANCELLED, .own = SLURM_CANCELLED }, RUN_CANCELLED },
    { "hung until the end", { FACTS, ELSEWHERE, .event = EVENT_HANG, .job = SLURM_TIMEOUT, .own = SLURM_TIMEOUT }, RUN_HUNG },
    { "pre-empted in a crash", { FACTS, ENDED(1), .event = EVENT_EXIT, .job = SLURM_PREEMPTED }, RUN_CRASHED },
    { "cancelled and saved", { FACTS, ENDED(85), .event = EVENT_END, .event_status = 85, .job = SLURM_CANCELLED }, RUN_SAVED },
    { "between two starts in a job", { FACTS, ENDED(1), .event = EVENT_EXIT, .job = SLURM_RUNNING, LONG_AGO }, RUN_WAITING },

    /* a chain: the next job waits while one trains */
    { "one trains, one waits", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_PENDING, .own = SLURM_RUNNING }, RUN_RUNNING },
    { "one is gone, one waits", { FACTS, ELSEWHERE, .event = EVENT_START, .job = SLURM_PENDING, .own = SLURM_NODE_FAIL }, RUN_WAITING },
    { "one has ended, one waits", { FACTS, ENDED(85), .event = EVENT_QUEUED, .job = SLURM_PENDING, .own = SLURM_COMPLETED }, RUN_WAITING },
    { "a script of one's own, requeued", { FACTS, ELSEWHERE, .own = SLURM_PENDING }, RUN_WAITING },
    { "a script of one's own, killed", { FACTS, ELSEWHERE, .own = SLURM_OUT_OF_MEMORY }, RUN_CRASHED },
};

static void table(void **state)
{
    (void)state;
    int seen[RUN_PHASES] = { 0 };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct run_verdict v = run_judge(&rows[i].f);
        if (v.phase != rows[i].phase)
            fail_msg("%s: %s, expected %s", rows[i].what, run_phase_name(v.phase),
                     run_phase_name(rows[i].phase));
        seen[v.phase]++;
    }
    for (int p = 0; p < RUN_PHASES; p++) assert_true(seen[p] > 0);
}

/* What must hold whatever else is known. */
static void one(const struct run_facts *f)
{
    const struct run_verdict v = run_judge(f);
    const int told = f->life == FENCE_ENDED || f->event == EVENT_END;

    assert_true(v.phase >= 0 && v.phase < RUN_PHASES && v.note);
    if (f->life == FENCE_ALIVE)
        assert_true(v.phase == RUN_RUNNING || v.phase == RUN_HUNG || v.phase == RUN_SUSPENDED);
    else if (f->job == SLURM_PENDING)  /* in the queue it is never over */
        assert_true(v.phase == RUN_WAITING || f->life == FENCE_ELSEWHERE);
    if (v.phase == RUN_SAVED) assert_true(told && f->committed >= f->step);
    if (v.phase == RUN_FINISHED && f->committed >= 0)
        assert_true((told || f->life == FENCE_NONE) && f->committed >= f->steps);
    if (v.phase == RUN_CANCELLED) assert_true(f->job == SLURM_CANCELLED || f->own == SLURM_CANCELLED ||
                                              f->event == EVENT_CANCEL);
    if (v.phase == RUN_NEW)
        assert_true(f->life == FENCE_NONE && f->job == SLURM_NONE && f->step < 0 && f->committed < 0);
    /* Nobody waits for ever: a launcher lives, or a job does, or it was heard of lately. */
    if (v.phase == RUN_WAITING)
        assert_true(f->launcher == 1 || slurm_is_alive(f->job) || slurm_is_alive(f->own) ||
                    (f->launcher < 0 && f->silence_s < 600));
    /* No answer is not "there is no such job". */
    if (f->job == SLURM_UNKNOWN && f->own == SLURM_UNKNOWN && f->life == FENCE_NONE &&
        f->event == EVENT_SUBMIT)
        assert_int_equal(v.phase, RUN_UNKNOWN);
}

static void all_combinations(void **state)
{
    (void)state;
    static const int status[] = { 0, 85, 74 }, seen[] = { 0, EARLY, LATE };
    static const int64_t committed[] = { -1, 40, 60 };
    struct run_facts f = { .steps = 60, .event_time = WORD };
    int64_t n = 0;

    for (int life = FENCE_NONE; life <= FENCE_ELSEWHERE; life++)
    for (int word = 0; word < RUN_EVENTS; word++)
    for (int job = 0; job < SLURM_STATES; job++)
    for (int own = 0; own < SLURM_STATES; own++)
    for (int k = 0; k < 3 * 3 * 3 * 3 * 2 * 2 * 2; k++, n++) {
        int rest = k;
        f.life = (enum fence_life)life;
        f.event = (enum run_event)word;
        f.job = (enum slurm_state)job;
        f.own = (enum slurm_state)own;
        f.event_status = f.fence_status = status[rest % 3], rest /= 3;
        f.seen = seen[rest % 3], rest /= 3;
        f.committed = committed[rest % 3], rest /= 3;
        f.launcher = rest % 3 - 1, rest /= 3;
        f.silence_s = rest % 2 ? 1000 : 1, rest /= 2;
        f.job_began = rest % 2 ? LATE : EARLY, rest /= 2;
        f.step = rest % 2 ? 60 : 40;
        one(&f);
    }
    assert_true(n > 5000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(all_combinations) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
