/* SPDX-License-Identifier: Apache-2.0 */
/* stage_seq.h -- heads and scan mode: one layer of all our units, together with the other ranks of
 * the sequence.
 *
 *      own units, all heads                     all units, own heads         own units
 *      normalise | halo | project | halo | mix ==> inner, unit after unit ==> finish
 *
 * block_forward() and block_backward() (layers/block.h) run the parts on our units, and mpi/step
 * puts the messages between them, in hooks.  This file has what the hooks compute, and the memory
 * that messages come from and go to.  Every part has the shape of its unit, so its bits are those
 * of the wavefront.  Carries live only inside an operation.  In scan mode nothing crosses: inner
 * works on our own units, from a state that a scan over the ranks gives.
 */
#ifndef STAGE_SEQ_H
#define STAGE_SEQ_H

#include "src/layers/block.h"
#include "src/model/seq_share.h"
#include "src/model/stage.h"

/* Layer l of the micro-batch in a slot, with hooks.  Collective on the ranks of the sequence, by
 * the hooks.  sums as in stage_forward().  The hooks may call the functions below: those are about
 * the layer that is under way. */
void stage_seq_forward(struct stage *st, int slot, int l, const struct block_hooks *hooks,
                       struct pass_sums *sums);
void stage_seq_backward(struct stage *st, int slot, int l, const struct block_hooks *hooks,
                        struct grad *g);

/* Who has which units and heads of the layer; how many sequences. */
const struct seq_share *stage_seq_share(const struct stage *st);
int stage_seq_sequences(const struct stage *st);

/* --- heads mode ---------------------------------------------------------------- */

/* What crosses: the inputs of inner, or its output; or their gradients. */
enum cross { CROSS_IN, CROSS_OUT };

/* Reals of a token and group of heads, and the two buffers of round j: our tokens (place of rank
 * r's heads: struct cross_part), and our heads. */
int64_t stage_seq_each(const struct stage *st, enum cross what);
real *stage_seq_tokens(struct stage *st, enum cross what, int j);
real *stage_seq_heads(struct stage *st, enum cross what, int back, int j);

/* Own unit j's arrays to its buffer of tokens, or from it. */
void stage_seq_pack(struct stage *st, enum cross what, int j, int back);
void stage_seq_unpack(struct stage *st, enum cross what, int j, int back);

/* inner, or its backward, on any unit of the sequence: all units in order, or in reverse. */
void stage_seq_inner(struct stage *st, int u, int back);

/* --- scan mode ------------------------------------------------------------------ */

/* The map of our units: n decays, n offsets.  start: the empty one; add: composed with own unit j,
 * forward in order, backward in reverse; enter: what the scan over the ranks before us (backward:
 * after us) has given becomes our state (its gradient). */
real *stage_seq_map(struct stage *st, int64_t *n);
void stage_seq_map_start(struct stage *st);
void stage_seq_map_add(struct stage *st, int j, int back);
void stage_seq_map_enter(struct stage *st, const real *map, int back);

/* --- halos ---------------------------------------------------------------- */

/* `count` runs of n reals, `stride` apart. */
struct halo_rows { real *at; int64_t n, stride; int count; };

/* Halo `which` of block.h.  came: from the left; leaves: to the right, valid after
 * stage_seq_halo_leaves(); dleaves, dcame: their gradients.  early: what leaves does not depend on
 * what comes, nor in backward; else it does (units shorter than a halo). */
struct stage_halo { struct halo_rows came, leaves, dleaves, dcame; int early; };

/* returns 0: there is no such halo */
int stage_seq_halo(struct stage_halo *h, struct stage *st, int which);
void stage_seq_halo_leaves(struct stage *st, int which);
void stage_seq_halo_backward(struct stage *st, int which);

#endif
