/* SPDX-License-Identifier: Apache-2.0 */
/* progress.h -- the line that a training run prints.
 *
 *   step 1200/4800  loss 3.7281  ppl 41.6  1283 tok/s  mfu 61.3 %  grad 0.841
 *   lr 2.10e-03  inner 0.871  left 1h12m  save in 3m40s          (one line)
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdint.h>

struct progress {
    int64_t step, steps;     /* updates done, and wanted                        */
    double  loss_nats, grad_norm, lr;
    double  tok_per_s;       /* since the last line                             */
    double  mfu;             /* model FLOPs utilization: share of the arithmetic peak */
    double  inner;           /* inner loss after / before the step; NAN: unknown */
    double  left_s;          /* NAN: unknown                                    */
    double  save_s;          /* until the next save by time; NAN: none          */
    int64_t save_steps;      /* until the next save by steps; 0: none           */
    int64_t skipped;         /* steps skipped by the run so far                 */
};

#define PROGRESS_LINE 256
void progress_line(char text[PROGRESS_LINE], const struct progress *p);

#endif
