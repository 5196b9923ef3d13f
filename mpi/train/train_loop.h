/* SPDX-License-Identifier: Apache-2.0 */
/* train_loop.h -- steps, and what happens between them.
 *
 *     evaluate if due -> done? -> step -> report -> save if due -> asked to stop?
 *     train_eval.h              train_step.h train_report.h  train_save.h
 *
 * A save comes before the evaluation of its step, so that a long evaluation
 * can't cost steps; a run that is killed in between evaluates first when it
 * resumes (metrics_last_eval).
 */
#ifndef TRAIN_LOOP_H
#define TRAIN_LOOP_H

#include "mpi/train/loop_state.h"

/* Train to the end.
 *
 * Collective on the grid; files are written by its first rank alone.
 *
 * l        [in,out]  all but its private part is filled in
 * returns  OK; ERR_SAVED after a signal or a file STOP; ERR_OWNER if the run is another's now;
 *          ERR_DIVERGED; ERR_IO if the state that had to be saved last could not be; ERR_DATA,
 *          ERR_IO if a sample can't be read, or memory is faulty.  The same on every rank */
int train_loop_run(struct train_loop *l);

#endif
