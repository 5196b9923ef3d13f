/* SPDX-License-Identifier: Apache-2.0 */
/* cyclic_plan.h -- n things in blocks of nb, dealt out in turn to p processes: one dimension of
 * ScaLAPACK's layout.
 *
 *     global  | 0 1 2 | 3 4 5 | 6 7 8 | 9 ...        nb = 3, p = 2
 *     owner       0       1       0      1
 *     local   | 0 1 2 | 0 1 2 | 3 4 5 | 3 ...
 *
 * A last block may be short.  The first block is process 0's.
 */
#ifndef CYCLIC_PLAN_H
#define CYCLIC_PLAN_H

#include <stdint.h>

struct cyclic { int64_t n; int nb, p; };

/* How many things process `rank` has. */
int64_t cyclic_count(const struct cyclic *c, int rank);

int cyclic_owner(const struct cyclic *c, int64_t global);
int64_t cyclic_local(const struct cyclic *c, int64_t global);  /* on its owner */
int64_t cyclic_global(const struct cyclic *c, int64_t local, int rank);

/* The most square grid rows x cols <= processes with rows <= cols that leaves at most a quarter of
 * them idle; as many columns as possible otherwise. */
void cyclic_grid(int *rows, int *cols, int processes);

/* Block size for factors of size n on that grid: at most 64, and no process without a block as long
 * as there are as many columns. */
int cyclic_block(int64_t n, int cols);

#endif
