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

/* Own spans that AdamW updates, in the order of the flat array. */
int soap_rest(const struct soap *s, const struct span **rest);

/* Updates so far: what tells the first from the others. */
int64_t *soap_updates(struct soap *s);

/* One update of own elements of w that are matrices: g's sums are there, `factor` is what they are
 * scaled with, t the schedule's clock.  Collective on the grid. */
void soap_step(struct soap *s, const struct grad *g, real *w, int64_t t, double factor);

/* The largest side that has a factor, for state_tensors(). */
int soap_max_dim(const struct soap *s);

/* Own tiles, appended to places, which may be NULL: of adam.m, adam.v (tensors count + i,
 * 2 count + i, where count is that of parameters), and of factors from 3 count on.
 * returns how many */
int64_t soap_places(const struct soap *s, struct place *places);

#endif
