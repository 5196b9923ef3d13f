/* SPDX-License-Identifier: Apache-2.0 */
/* grid_soap.h -- SOAP on a grid: whose matrices, how gradients come to them, and their state.
 *
 *   owners of tiles (reduce.h)          owners of matrices (model/soap_plan.h)
 *   sums of gradients      -- mean -->  factors, moments, bases
 *   weights               <- direction --
 *
 * Sums, weights and what AdamW updates stay with the owners of tiles; the state of a matrix is
 * with its owner alone.  A matrix that is spread has its tiles dealt out in turn to all processes
 * that hold its layer (soap_spread.h).
 *
 * State: adam.m/NAME and adam.v/NAME as with AdamW (v in the bases of the moment), and
 * soap.left/NAME, soap.left_basis/NAME, soap.right/NAME, soap.right_basis/NAME as far as they
 * exist, (rows, rows) and (cols, cols), or a stack of them.
 */
#ifndef GRID_SOAP_H
#define GRID_SOAP_H

#include "mpi/step/reduce.h"
#include "src/optim/adamw.h"
#include "src/store/ckpt_parts.h"
#include "src/store/tensor.h"

struct soap;

/* Zero state of this process; everything is borrowed.  Collective on the grid. */
struct soap *soap_new(const struct grid *g, const struct model *m, const struct reducer *r,
                      const struct optim_opts *o);
void soap_free(struct soap *s);

/* This rank's spans that AdamW updates, in the order of the flat array.  Local. */
int soap_rest(const struct soap *s, const struct span **rest);

/* Number of updates so far, to distinguish the first one; part of the state.  Local. */
int64_t *soap_updates(struct soap *s);

/* One update of own elements of w that are matrices: g's sums are there, `factor` is what they are
 * scaled with, t the schedule's clock.  Collective on the grid. */
void soap_step(struct soap *s, const struct grad *g, real *w, int64_t t, double factor);

/* The largest side that has a factor, for state_tensors().  Local. */
int soap_max_dim(const struct soap *s);

/* Append this rank's tiles to places, which may be NULL: of adam.m and adam.v (tensors count + i
 * and 2 count + i, where count is the number of parameters), and of factors from 3 count on.
 * Local.
 * returns how many */
int64_t soap_places(const struct soap *s, struct place *places);

#endif
