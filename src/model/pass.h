/* SPDX-License-Identifier: Apache-2.0 */
/* pass.h -- forward and backward of a micro-batch: loss and gradients.
 *
 *   for s in slices:   for l in layers:  forward   (tape kept, or block inputs only)
 *   for s in reversed: for l in reversed: backward (block recomputed if not on tape)
 *
 * The unit of work is one slice of one sequence.  Its products have the shape
 * of the unit whatever the micro-batch, and its parameter gradients go to a
 * struct grad one unit at a time, so that with exact reduction nothing depends
 * on how sequences are grouped.
 */
#ifndef PASS_H
#define PASS_H

#include <stdint.h>

#include "src/base/real.h"
#include "src/model/model.h"
#include "src/model/pass_opts.h"
#include "src/param/grad.h"

struct pass;

/* Bytes a pass will allocate: what `ttt config show` prints. */
int pass_plan(struct pass_bytes *bytes, const struct dims *d, const struct pass_opts *o);

struct pass *pass_new(const struct model *m, const struct pass_opts *o);
void pass_free(struct pass *p);

/* Read B <= micro_batch windows (B, context + 1) forward and backward.
 * Gradients of  units_per_sequence * (mean NLL of a sequence)  are added to g
 * unit by unit: their mean over all units of a step is the gradient of the
 * mean over its sequences.  g may be NULL: forward only. */
void pass_run(struct pass *p, struct grad *g, struct pass_sums *sums, const int32_t *windows,
              int B);

#endif
