/* grad.h -- where parameter gradients are added up.
 *
 * exact:  every contribution of a unit of work (one slice of one sequence) is
 *         rounded once to a multiple of 2^-44 and added to a 64-bit integer.
 *         Integer addition is associative, so the sum does not depend on the
 *         order of units, on threads, or on the ranks they ran on.
 * fast:   floats are added in place (4 bytes an element instead of 8, and the
 *         addition happens inside the matrix product).
 *
 * Contributions are *not yet* divided by the number of units: the mean over
 * units is taken once, when the sum is read.  A contribution of 2^19 / units or
 * more either way, or NaN, counts as non-finite: no sum can overflow.
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
    struct span *tiles;  /* (n_tiles) all tiles of all parameters (base/tiling.h), in order; owned */
    int64_t  n_tiles;
    struct span *held;   /* (n_held) what this process adds to, sorted; owned */
    int      n_held;
    char    *fresh;      /* (table->count) 1: a matrix nothing was added to yet, whose sums are
                          * those of the step before; owned                   */
    int      n_fresh;
    int64_t  bad;        /* smallest flat offset of a non-finite contribution,
                          * INT64_MAX if there was none                       */
};

void grad_init(struct grad *g, const struct param_table *t, enum reduction mode);
void grad_done(struct grad *g);

/* This process only adds to these elements (default: all); the rest is never touched, so it
 * costs no memory.  spans are copied. */
void grad_hold(struct grad *g, const struct span *spans, int n);

/* Start a step of `units` units: all sums that are held are zero.  Of a matrix they become so with
 * its first contribution, which is stored and not added, or at the end. */
void grad_begin(struct grad *g, int64_t units);

/* Nothing will be added to [begin, end) before it is read: matrices without a contribution become
 * zero.  pass_run() and step_exec_run() end all. */
void grad_end(struct grad *g, int64_t begin, int64_t end);

/* sum[offset, offset + n) += v[0, n).  Local; each element is added to by one
 * thread at a time. */
void grad_add(struct grad *g, int64_t offset, const real *v, int64_t n);

/* sum of parameter (M,N) at offset += A' B, A (K,M), B (K,N): the weight gradient dW = dY' X of one
 * unit.
 *
 * Local; its tiles are shared out over the threads.  One product of a unit, so K is the unit's
 * length and the result one contribution.  2 M N K flops. */
void grad_add_tn(struct grad *g, int64_t offset, const real *A, const real *B, int M, int N, int K);

/* The same from bf16 operands: rows (M,K) of A transposed, panels of B (kernels/bf16.h). */
void grad_add_tn_bf16(struct grad *g, int64_t offset, const bf16 *A, const bf16 *B, int M, int N,
                      int K);

/* out[0, n) = sum[offset, offset + n) / units. */
void grad_read(const struct grad *g, real *out, int64_t offset, int64_t n);

/* Sum of squares of the mean gradient over all parameters, the same bits for
 * any number of threads: each tile summed in double, tiles added as integers. */
double grad_sumsq(const struct grad *g);

/* The same over the tiles in some spans (whole tiles each), to be added up over processes.
 * returns 0 if a tile's sum is not finite: *sum has no meaning then */
int grad_sumsq_part(const struct grad *g, const struct span *spans, int n, struct fixed *sum);

/* Name of the parameter behind g->bad, or NULL. */
const char *grad_bad_name(const struct grad *g);

#endif
