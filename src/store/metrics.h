/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h -- metrics.jsonl: the numbers of a run, one JSON object a line.
 *
 * Every line has "kind" and "step" (updates done when it was written, so the
 * first step line says 1).  Real numbers have 17 digits: equal text means
 * equal bits.  A number that is not finite is null.
 * logs/README.md lists kinds and fields.
 *
 * A line is written by one call in append mode.  A crash can only leave the last
 * line incomplete, and metrics_open() removes it, together with the lines of steps
 * after the checkpoint that the run resumes from: each step occurs once.  When the
 * disk is full, lines are lost and the run continues.
 */
#ifndef METRICS_H
#define METRICS_H

#include <jansson.h>
#include <stdint.h>

struct metrics;

/* Open for appending, made if needed; lines that do not parse or that belong to steps
 * after `step` are removed.  returns OK or ERR_IO, reported */
int metrics_open(struct metrics **out, const char *path, int64_t step);

/* For processes that do not write: nothing is written, but the last evaluation is remembered. */
struct metrics *metrics_follow(int64_t last_eval);

/* Append an object (the reference is taken).  Never fails: lines that could not be
 * written are counted and lost, with one warning. */
void metrics_write(struct metrics *m, json_t *line);

/* Step of the last line of kind "eval", from the file or written since; -1: none. */
int64_t metrics_last_eval(const struct metrics *m);

/* json_real(x), or null if x is not finite. */
json_t *metrics_real(double x);

/* The run goes back to `step`: lines of later steps are removed. */
void metrics_back(struct metrics *m, int64_t step);

/* Make what was written durable, so far as the disk allows. */
void metrics_sync(struct metrics *m);

void metrics_close(struct metrics *m);

#endif
