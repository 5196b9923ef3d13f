/* SPDX-License-Identifier: Apache-2.0 */
/* grad.h -- where parameter gradients are added up.
 *
 * exact:  every contribution of a unit of work (one slice of one sequence) is rounded once to a
 *         multiple of 2^-44 and added to a 64-bit integer.  Addition of integers is associative, so
 *         the sum does not depend on the order of units, on threads, or on the ranks that they ran
 *         on.
 * fast:   floats are added in place: 4 bytes an element instead of 8, and the addition happens
 *         inside the matrix product.
 *
 * Contributions are *not yet* divided by the number of units: the mean over units is taken once,
 * when the sum is read.  So that no sum can overflow, |sum| must stay below 2^19 (2^63 units of
 * 2^-44): a contribution of 2^19 / units or more, or NaN, counts as non-finite.
 *
 * Everything here is local.  Units may be added by several threads at once, if no two of them add
 * to the same element.
 */
#ifndef GRAD_H
#define GRAD_H

#include <stdint.h>

#include "src/base/fixed.h"
#include "src/base/real.h"
#include "src/kernels/bf16.h"
#include "src/param/param.h"

#define GRAD_SCALE 0x1p44

enum reduction { REDUCE_EXACT, REDUCE_FAST };

/* Elements [begin, end) of the flat arrays. */
struct span { int64_t begin, end; };

struct grad {
    const struct param_table *table;  /* borrowed                             */
    enum reduction mode;
    int64_t *fixed;      /* (total) multiples of 2^-44, exact mode; owned     */
    real    *floats;     /* (total) fast mode; owned                          */
    int64_t  units;      /* units of this step, over all ranks                */
    struct span *tiles;  /* (n_tiles) of all parameters (base/tiling.h), in order; owned */
    int64_t  n_tiles;
    struct span *held;   /* (n_held) what this process adds to, sorted; owned */
    int      n_held;
    char    *fresh;      /* (table->count) 1: a matrix nothing was added to yet, whose sums are
                          * those of the step before; owned                   */
    int      n_fresh;
    int64_t  bad;        /* smallest flat offset of a non-finite contribution,
                          * INT64_MAX if there was none                       */
};

/* An empty sum of all parameters, and its release.  t is borrowed.  8 bytes an element, or 4 in
 * fast mode; memory that nothing is added to is never touched. */
void grad_init(struct grad *g, const struct param_table *t, enum reduction mode);
void grad_done(struct grad *g);

/* This process adds only to these n spans (default: everything).  The rest is never touched, so it
 * costs no memory.  spans are copied. */
void grad_hold(struct grad *g, const struct span *spans, int n);

/* Start a step of `units` units, over all ranks: all sums that are held are zero.  A large matrix
 * is not cleared at once: its first contribution is stored instead of added, or grad_end() clears
 * it. */
void grad_begin(struct grad *g, int64_t units);

/* Nothing will be added to [begin, end) before it is read: matrices there that had no contribution
 * become zero.  pass_run() and step_exec_run() call it for everything. */
void grad_end(struct grad *g, int64_t begin, int64_t end);

/* sum[offset, offset + n) += v[0, n).  On the calling thread. */
void grad_add(struct grad *g, int64_t offset, const real *v, int64_t n);

/* sum of parameter (M,N) at offset += A' B, A (K,M), B (K,N): the weight gradient dW = dY' X of one
 * unit.
 *
 * Local; its tiles are shared out over the threads.  One product of a unit, so K is the unit's
 * length and the result one contribution.  2 M N K flops. */
void grad_add_tn(struct grad *g, int64_t offset, const real *A, const real *B, int M, int N, int K);

/* The same by the threads of a parallel region, as gemm_team() (kernels/gemm.h): they return without
 * waiting for each other.  One thread has asked grad_starts_tn() before: `set` is what it returned
 * for the first contribution, and 0 for those that follow, each after a barrier. */
int grad_starts_tn(struct grad *g, int64_t offset, int M, int N);
void grad_add_tn_team(struct grad *g, int64_t offset, const real *A, const real *B, int M, int N,
                      int K, int set);

/* The same in mixed precision: A transposed, as rows (M,K), and panels of B (kernels/bf16.h). */
void grad_add_tn_bf16(struct grad *g, int64_t offset, const bf16 *A, const bf16 *B, int M, int N,
                      int K);

/* out[0, n) = sum[offset, offset + n) / units: the mean gradient.  After grad_end(). */
void grad_read(const struct grad *g, real *out, int64_t offset, int64_t n);

/* Sum of squares of the mean gradient over all parameters: infinity if it is not finite.  Each tile
 * is summed in double and the tiles as integers (base/fixed.h), so any number of threads gives the
 * same bits.  After grad_end(); threads inside. */
double grad_sumsq(const struct grad *g);

/* The same over the tiles in n spans, whole tiles each, as an integer that processes can add up.
 * returns 0 if a tile's sum is not finite: *sum then means nothing */
int grad_sumsq_part(const struct grad *g, const struct span *spans, int n, struct fixed *sum);

/* Name of the first parameter, in the order of the table, that had a non-finite contribution in
 * this step; NULL if none had. */
const char *grad_bad_name(const struct grad *g);

#endif
