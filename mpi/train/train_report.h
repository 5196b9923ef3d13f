/* SPDX-License-Identifier: Apache-2.0 */
/* train_report.h -- what is written and printed of a step: metrics.jsonl, and a line of progress. */
#ifndef TRAIN_REPORT_H
#define TRAIN_REPORT_H

#include "mpi/train/loop_state.h"

/* A good step, which took step_s seconds, into metrics.jsonl.  Local; the first rank writes. */
void report_step(struct train_loop *l, const struct step_result *r, double step_s);

/* A step that was not finite and changed nothing.  Local. */
void report_skip(struct train_loop *l, const struct step_result *r);

/* A step that was finite only when it was computed again: a fault of the moment.  Local. */
void report_again(struct train_loop *l, const struct step_result *r);

/* The line of progress; the numbers in l that it needs the next time are renewed.  Local. */
void report_line(struct train_loop *l, const struct step_result *r);

/* The mean, over the layers with an inner loop, of the inner loss after a step relative to before
 * it.  inner (3,L) as in struct step_result.  Local. */
double report_inner_ratio(const struct model *m, const double *inner);

#endif
