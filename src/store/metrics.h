/* metrics.h -- metrics.jsonl: the numbers of a run, one JSON object a line.
 *
 * Every line has "kind" and "step" (updates done when it was written, so the
 * first step line says 1).  Real numbers have 17 digits: equal text means
 * equal bits.  A number that is not finite is null.
 *
 *   start   a process took up the run here: version, threads, parameters,
 *           predicted_bytes, sequences and tokens a step, resumed (root or null)
 *   step    loss_nats (mean over sequences), grad_norm (before clipping), clip
 *           (factor), lr (rate of this update), targets (scored), tokens (read by
 *           the run so far), step_s, tok_per_s; when inner statistics were due also
 *           inner_w0, inner_before, inner_after: arrays over layers
 *   skip    a step that met NaN or Inf and changed nothing: what ("loss" or
 *           "gradient"), tensor, samples (ids), in_a_row, skipped (by the run so far)
 *   eval    loss_nats, perplexity, bits_per_byte, tokens, eval_s
 *   save    root, save_s, reason; or error: true for a save that was given up
 *   end     status ("done", "stopped", "diverged"), train_s, peak_bytes,
 *           predicted_bytes
 *
 * A line is written by one call in append mode.  A crash can only tear the
 * last line, and metrics_open() removes it, together with the lines of steps
 * beyond the checkpoint that the run resumes from: each step is there once.
 * A full disk costs lines, never the run.
 */
#ifndef METRICS_H
#define METRICS_H

#include <jansson.h>
#include <stdint.h>

struct metrics;

/* Open for appending, made if needed; lines that do not parse or that belong to steps
 * after `step` are removed.  returns OK or ERR_IO, said */
int metrics_open(struct metrics **out, const char *path, int64_t step);

/* Append an object (the reference is taken).  Never fails: lines that could not be
 * written are counted, said once, and gone. */
void metrics_write(struct metrics *m, json_t *line);

/* json_real(x), or null if x is not finite. */
json_t *metrics_real(double x);

/* Make what was written durable, so far as the disk allows. */
void metrics_sync(struct metrics *m);

void metrics_close(struct metrics *m);

#endif
