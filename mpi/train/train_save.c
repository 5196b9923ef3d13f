/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/train_save.h"

#include <stdio.h>

#include "mpi/train/canary.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/status.h"

/* A save ended, in whatever way. */
static int report(struct train_loop *l, int rc)
{
    const struct save_result *saved = saver_saved(l->saver);
    const int64_t step = l->save_step;
    char hex[HASH_HEX];

    l->save_s = clock_s();
    if (rc != OK) {
        l->fenced |= rc == ERR_OWNER;
        if (l->fenced) return rc;
        metrics_write(l->metrics, json_pack("{s:s,s:I,s:b,s:s}", "kind", "save", "step", step,
                                            "error", 1, "reason", l->reason));
        log_warn("the save of step %lld was given up; training continues, and older checkpoints are "
                 "as they were", (long long)step);
        return rc;
    }
    l->saved_step = step;
    l->save_took_s = saved->save_s;
    beacon_saved(saved->save_s);
    hash_hex(hex, saved->root);
    if (l->grid->world.rank == 0) printf("committed step %lld root %s\n", (long long)step, hex);
    fflush(stdout);
    metrics_write(l->metrics,
                  json_pack("{s:s,s:I,s:s,s:f,s:f,s:f,s:s}", "kind", "save", "step", step, "root",
                            hex, "save_s", saved->save_s, "snapshot_s", saved->snapshot_s,
                            "write_s", saved->write_s, "reason", l->reason));
    return OK;
}

/* To the end of the save in flight, if there is one. */
int train_save_finish(struct train_loop *l)
{
    int rc = OK;

    if (!saver_busy(l->saver)) return OK;
    beacon_phase(BEACON_SAVE);
    while (rc == OK && saver_busy(l->saver)) rc = saver_advance(l->saver);
    return report(l, rc);
}

/* Begin; without a background, to its end. */
void train_save_begin(struct train_loop *l, const char *reason, int idle)
{
    (void)train_save_finish(l);
    beacon_phase(BEACON_SAVE);
    metrics_sync(l->metrics);
    l->reason = reason;
    l->save_step = l->state->step;
    json_t *info = json_copy(l->info);
    json_object_set_new(info, "probe", canary_record(l->grid, l->state->model, &l->step->pass));
    const int rc = saver_begin(l->saver, info, idle);
    json_decref(info);
    if (rc != OK) (void)report(l, rc);
    else if (!l->conf->checkpoint.background) (void)train_save_finish(l);
}

/* Between steps: the next part of a save whose threads are all done. */
void train_save_advance(struct train_loop *l, int waits)
{
    if (!saver_busy(l->saver) || waits) return;
    beacon_phase(BEACON_SAVE);
    const int rc = saver_advance(l->saver);
    if (!saver_busy(l->saver)) (void)report(l, rc);
}

/* Is a save due at this step by the configuration, and why?  The clock is the first rank's. */
const char *train_save_due(const struct train_loop *l)
{
    const struct conf *c = l->conf;
    const int64_t step = l->state->step, every = c->checkpoint.every_steps;
    const double minutes = c->checkpoint.every_minutes;

    if (every > 0 && step % every == 0) return "steps";
    if (saver_busy(l->saver)) return NULL;
    int due = minutes > 0 && clock_s() - l->save_s >= 60 * minutes;
    mpi_do(MPI_Bcast(&due, 1, MPI_INT, 0, l->grid->world.comm));
    return due ? "time" : NULL;
}

/* For messages: what a restart would resume from. */
const char *train_save_newest(const struct train_loop *l)
{
    static char text[64];
    if (l->saved_step < 0) return "there is no checkpoint";
    snprintf(text, sizeof text, "the newest checkpoint is of step %lld", (long long)l->saved_step);
    return text;
}

/* Save the state at the end of the process: a second try, then it is an error. */
int train_save_last(struct train_loop *l, const char *reason)
{
    for (int tries = 0; tries < 2 && !l->fenced; tries++) {
        (void)train_save_finish(l);
        if (l->saved_step == l->state->step) return OK;
        train_save_begin(l, reason, 1);
    }
    (void)train_save_finish(l);
    if (l->saved_step == l->state->step) return OK;
    if (l->fenced) return ERR_OWNER;
    return fail(ERR_IO, "step %lld could not be saved; %s", (long long)l->state->step,
                train_save_newest(l));
}
