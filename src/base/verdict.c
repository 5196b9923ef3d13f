/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/verdict.h"

#include <stdio.h>

#include "src/base/mem.h"

/* The idea: in a data- and pipeline-parallel program nobody can be more than about a step ahead,
 * since collective operations and carries tie ranks together.  So one process that stops soon makes
 * all others wait inside MPI; the time without progress then says little, since all of them have
 * it.  What differs is where they are: a waiting process is in a message, the culprit is not.  So
 * suspects are ranked by kind first (verdict.h) and by time only within a kind.
 *
 * Limits are the configured ones or five times what the process itself took, whichever is larger,
 * so that a run with long steps needs no settings. */
static double larger(double a, double b) { return a > b ? a : b; }

static double save_limit(const struct watched *w, const struct watch_limits *l)
{
    return larger(l->save_s, 5 * w->now.save_s);
}

double watch_limit(const struct watched *w, const struct watch_limits *l)
{
    /* Before the first step has ended, nobody knows how long one takes. */
    const double step = w->now.step_s > 0 ? larger(l->step_s, 5 * w->now.step_s) : l->setup_s;

    switch ((enum beacon_phase)w->now.phase) {
    case BEACON_DATA: return l->data_s;
    case BEACON_STEP: return step;
    case BEACON_SAVE: return save_limit(w, l);
    case BEACON_EVAL: return larger(step, l->data_s);
    case BEACON_SETUP:
    case BEACON_END: break;
    }
    return l->setup_s;
}

static int in_message(const struct watched *w)
{
    return w->now.lane[BEACON_MAIN].kind == BEACON_MESSAGE;
}

/* Seconds without a beat that are allowed.  A stopped process (T) does not continue by itself,
 * whatever it was doing, so it has the limit of a step.  One that is ready to run (R) may only be
 * waiting for a processor: it has three times as long. */
static double frozen_limit(const struct watched *w, double limit, const struct watch_limits *l)
{
    if (w->state == 'T' || w->state == 't') return l->step_s;
    return (w->state == 'R' ? 3 : 1) * limit;
}

static double limit_of(enum verdict_rank r, const struct watched *w, const struct watch_limits *l)
{
    const double limit = watch_limit(w, l);
    return r == VERDICT_FROZEN ? frozen_limit(w, limit, l)
         : r == VERDICT_SAVER ? save_limit(w, l) : limit;
}

/* Seconds without progress, if w is a suspect of kind r; else 0.
 *
 * least    the smallest number of finished steps of all processes */
static double quiet_as(enum verdict_rank r, const struct watched *w, double limit, int64_t least)
{
    const double late = w->quiet_s > limit ? w->quiet_s : 0;

    switch (r) {
    case VERDICT_FROZEN: return w->beat_quiet_s > limit ? w->beat_quiet_s : 0;
    case VERDICT_SAVER: return w->saver_quiet_s > limit ? w->saver_quiet_s : 0;
    case VERDICT_LATE: return w->now.step == least && !in_message(w) ? late : 0;
    case VERDICT_OUTSIDE: return in_message(w) ? 0 : late;
    case VERDICT_NETWORK: return w->now.step == least ? late : 0;
    case VERDICT_NONE: break;
    }
    return 0;
}

void verdict_of(struct verdict *v, const struct watched *w, int n, const struct watch_limits *l)
{
    int64_t least = INT64_MAX;
    int last = VERDICT_NETWORK;

    *v = (struct verdict){ .rank = VERDICT_NONE, .culprit = -1 };
    for (int i = 0; i < n; i++) {
        if (!w[i].state) continue;
        if (w[i].now.step < least) least = w[i].now.step;
        if (!in_message(&w[i])) last = VERDICT_OUTSIDE;  /* the others may wait for this one */
    }
    for (int r = VERDICT_FROZEN; r <= last && !v->rank; r++)
        for (int i = 0; i < n; i++) {
            const enum verdict_rank rank = (enum verdict_rank)r;
            const double limit = limit_of(rank, &w[i], l);
            const double quiet = w[i].state ? quiet_as(rank, &w[i], limit, least) : 0;
            if (quiet > v->quiet_s) *v = (struct verdict){ rank, i, quiet, limit };
        }
}

static const char *phase_name(int phase)
{
    static const char *const names[] = { "setup", "data", "step", "save", "eval", "end" };
    return phase >= 0 && phase < 6 ? names[phase] : "unknown";
}

/* "in open(...) of /path", "in a call to wait, file:line". */
static char *place(const struct beacon_lane *l)
{
    if (l->kind == BEACON_MESSAGE) return mem_format("in %s", beacon_text(l->site));
    if (l->kind == BEACON_FILE)
        return mem_format("in %s of %.*s", beacon_text(l->site), BEACON_PATH, l->path);
    return mem_string("in no call that waits");
}

static char *operation(const struct beacon *b)
{
    char peer[32] = "";
    if (b->phase != BEACON_STEP || !b->op) return mem_string("");
    if (b->peer >= 0) snprintf(peer, sizeof peer, " with rank %d", b->peer);
    return mem_format(", %s layer %d unit %d%s", beacon_text(b->op), b->layer, b->unit, peer);
}

char *verdict_text(const struct verdict *v, const struct watched *w)
{
    static const char *const why[] = {
        "", "it is stopped or frozen", "its thread that writes the checkpoint makes no progress",
        "the other processes wait for it", "it makes no progress",
        "all processes wait in messages: the network fails, or nobody sends the message",
    };
    const struct watched *c = &w[v->culprit];
    char *where = place(&c->now.lane[v->rank == VERDICT_SAVER ? BEACON_SAVER : BEACON_MAIN]);
    char *op = operation(&c->now);
    char *text = mem_format("rank %d (process %d on %s) hangs: step %lld, phase %s%s, %s, state "
                            "%c; no progress for %.1f s, %.1f s are allowed; %s", c->now.rank,
                            c->now.pid, c->now.host, (long long)c->now.step,
                            phase_name(c->now.phase), op, where, c->state, v->quiet_s, v->limit_s,
                            why[v->rank]);
    mem_free(where);
    mem_free(op);
    return text;
}
