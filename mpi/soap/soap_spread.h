/* SPDX-License-Identifier: Apache-2.0 */
/* soap_spread.h -- SOAP of matrices that are too large for one process.
 *
 *   at rest      tiles in turn: to ScaLAPACK a grid 1 x n of panels of columns (mpi/grid/blacs.h)
 *   in a step    blocks on a grid as square as it goes: products, eigenvectors, QR
 *
 * ScaLAPACK sees transposes: X below is the (cols, rows) matrix whose columns are rows of ours.
 *
 *     L = EMA(X' X),  R = EMA(X X'),  X' = QR' X QL,  back: X = QR X' QL'
 *
 * The sums of ScaLAPACK depend on the process grid: equal bits are promised for equal numbers of
 * processes alone.
 */
#ifndef SOAP_SPREAD_H
#define SOAP_SPREAD_H

#include "mpi/soap/soap_parts.h"

/* Process grids for the matrices that are spread.  Collective on the grid. */
void soap_spread_init(struct soap *s);
void soap_spread_done(struct soap *s);

/* All matrices that are spread: gradients at rest become directions.  Collective on the processes
 * that hold them. */
void soap_spread_step(struct soap *s, const struct adam_rates *a, int first, int renew);

#endif
