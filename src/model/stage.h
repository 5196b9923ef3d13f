/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h -- what one rank does of a training step: layers [l0, l1) on units
 * [u0, u1) of each sequence, as operations that a schedule puts in order.
 *
 *              unit u0        unit u0+1      ...
 *   embed   ->  x[l0]          x[l0]                      (first stage)
 *   forward ->  x[l0+1] --carry[l0]--> x[l0+1] --carry--> (next rank along S)
 *     ...
 *   head    ->  loss, dx                                  (last stage)
 *   backward    dx, dcarry: the same way back
 *
 * The unit of work is one slice of one sequence: its products have its shape
 * whatever the micro-batch or the grid, and its parameter gradients go to a struct
 * grad one unit at a time.  A slot holds one micro-batch in flight.
 *
 * Order that the caller keeps, for each slot: forward(l, u) after forward(l, u-1) and after x[l]
 * of u is there; backward(l, u) after backward(l, u+1) and backward(l+1, u).
 * Everything is local.  In heads and scan mode stage_seq.h takes the place of start, forward and
 * backward.
 *
 * A stage that is forward only has two arrays for x, of even and of odd l - l0: forward(l, u)
 * overwrites x[l-1] of u.
 */
#ifndef STAGE_H
#define STAGE_H

#include <stdint.h>

#include "src/model/model.h"
#include "src/model/pass_opts.h"
#include "src/plan/step_plan.h"

struct stage_part {
    int l0, l1;     /* layers                                              */
    int u0, u1;     /* units of a sequence                                 */
    int slots;      /* micro-batches in flight                             */
    int forward_only;  /* nothing is kept for the way back: two residual streams of our units
                        * are all that grows with them                  */
    int s, S;       /* heads and scan mode: our place among the S > 1 ranks of a sequence; else 0 */
};

/* Of the rank that a plan is for. */
struct stage_part stage_part_of(const struct step_plan *plan, const struct grid_shape *g,
                                const struct pass_opts *o);

struct stage;

/* Bytes it will allocate. */
int stage_plan(struct pass_bytes *bytes, const struct dims *d, const struct pass_opts *o,
               const struct stage_part *part);
struct stage *stage_new(const struct model *m, const struct pass_opts *o,
                        const struct stage_part *part);
void stage_free(struct stage *st);

/* A new micro-batch in a slot: B sequences, for taps number `first` and on.
 *
 * windows  tokens of our units and one more, sequence b at windows + b * stride; borrowed until
 *          its last operation.  Negative: padding, not scored, and forward only
 * valid    (B) scored targets of each whole sequence, copied */
void stage_begin(struct stage *st, int slot, const int32_t *windows, int64_t stride,
                 const int64_t *valid, int64_t first, int B);

/* From now on the base inner learning rate is multiplied with this (1 at the start): its
 * warm-up. */
void stage_inner_factor(struct stage *st, double factor);

/* Scored targets among tokens window[1..n]. */
int64_t stage_count_targets(const int32_t *window, int n, int mask_token);

/* Carries before the first token, for our layers; and layer l's back to parameters. */
void stage_start(struct stage *st, int slot);
void stage_start_backward(struct stage *st, int slot, int l, struct grad *g);

void stage_embed(struct stage *st, int slot, int u);
void stage_embed_backward(struct stage *st, int slot, int u, struct grad *g);

/* sums: inner losses are added if it has room for them (inner_w0 not NULL), and told. */
void stage_forward(struct stage *st, int slot, int l, int u, struct pass_sums *sums);
void stage_backward(struct stage *st, int slot, int l, int u, struct grad *g);

/* Final norm, logits, loss; with g also dx.  Adds to sums->loss. */
void stage_head(struct stage *st, int slot, int u, struct grad *g, struct pass_sums *sums);

/* What crosses to other ranks.  x: input of layer l (l1: output of the last), and dx: its
 * gradient as far as backward has come, each (B,T,C) with stage_tokens(u) tokens;
 * carry and dcarry of layer l: the parts that stage_carry_part() names. */
real *stage_x(struct stage *st, int slot, int l, int u);
real *stage_dx(struct stage *st, int slot, int u);
real *stage_carry(struct stage *st, int slot, int l);
real *stage_dcarry(struct stage *st, int slot, int l);
int stage_tokens(const struct stage *st, int u);
int stage_width(const struct stage *st);  /* C */

/* Part i of what crosses of layer l's carries of B sequences at the boundary before unit u: the
 * carry, then the rows of the past.  n reals from `offset` on in stage_carry(), and in
 * stage_dcarry().  returns 0 past the last */
int stage_carry_part(const struct stage *st, int l, int B, int u, int i, int64_t *offset,
                     int64_t *n);

#endif
