/* SPDX-License-Identifier: Apache-2.0 */
/* pingpong.h -- what a message between two ranks takes. */
#ifndef PINGPONG_H
#define PINGPONG_H

#include "mpi/grid/comm.h"

#define PINGPONG_BYTES (4 << 20)  /* of a large message */

/* Send back and forth between ranks a and b while the others wait.
 *
 * Collective on axis; a, b must agree and differ.
 *
 * latency_s    [out]  of a message of 8 bytes, one way; the same on every rank
 * bytes_per_s  [out]  of a message of PINGPONG_BYTES, without its latency; likewise */
void pingpong(const struct axis *axis, int a, int b, double *latency_s, double *bytes_per_s);

/* Who is where.
 *
 * Collective on axis.
 *
 * node  (axis->size) [out]  smallest rank on the node of each rank
 * returns the most ranks on one node */
int nodes_find(const struct axis *axis, int *node);

#endif
