/* stage_heads.h -- heads mode along S: what one rank computes of a layer between the exchanges.
 *
 *      own units, all heads                     all units, own heads         own units
 *      normalise | halo | project | halo | mix ==> inner, unit after unit ==> finish
 *
 * The steps of one layer of one micro-batch, in this order and back (block.h has their contents);
 * mpi/step/seq_heads.c puts the messages between them.  Every step has the shape of its unit, so its
 * bits are those of the wavefront.  Carries live only inside an operation.
 *
 * Units cross in rounds: round j takes the j-th own unit of every rank that has one, so that a
 * message is never larger than a unit.
 */
#ifndef STAGE_HEADS_H
#define STAGE_HEADS_H

#include "src/model/stage.h"

struct stage_heads;

/* In scan mode (layer.h) nothing crosses, the middle is that of own units:
 *
 *      normalise | halo | project | halo | mix, map ==> inner, finish     ==>: scan over the ranks
 *
 * and backward  finish, map ==> inner, mix | halo | project | halo | normalise. */

/* For stage.c: before and while memory is laid out. */
struct stage_heads *stage_heads_new(const struct stage *st);
void stage_heads_free(struct stage_heads *h);
void stage_heads_tapes(struct stage *st);
void stage_heads_work(struct stage *st);

/* Forward.  sums as in stage_forward(), NULL when a block is computed a second time: then the
 * output goes nowhere.  j: own unit, u: any unit of the sequence, in order. */
void stage_heads_normalise(struct stage *st, int slot, int l);
void stage_heads_project(struct stage *st, int slot, int l);
void stage_heads_mix(struct stage *st, int slot, int l, int j);
void stage_heads_inner(struct stage *st, int slot, int l, int u, struct pass_sums *sums);
void stage_heads_finish(struct stage *st, int slot, int l, int j, int again);

/* Backward: units in reverse. */
void stage_heads_finish_backward(struct stage *st, int slot, int l, int j, struct grad *g);
void stage_heads_inner_backward(struct stage *st, int slot, int l, int u, struct grad *g);
void stage_heads_mix_backward(struct stage *st, int slot, int l, int j, struct grad *g);
void stage_heads_project_backward(struct stage *st, int slot, int l, int j, struct grad *g);
void stage_heads_normalise_backward(struct stage *st, int slot, int l, struct grad *g);

/* Carries at the start of a layer's forward and backward (the past as forward left it); at the end of backward, the gradient of
 * the initial states of our heads. */
void stage_heads_start(struct stage *st, int slot, int l);
void stage_heads_back(struct stage *st, int slot, int l);
void stage_heads_end(struct stage *st, int slot, int l, struct grad *g);

/* --- scan mode ------------------------------------------------------------------ */

/* The map of our units: n decays, n offsets.  start: the empty one; add: composed with own unit j,
 * forward in order, backward in reverse; enter: what the scan over the ranks before us (backward:
 * behind us) has given becomes our state (its gradient). */
real *stage_scan_map(struct stage *st, int slot, int64_t *n);
void stage_scan_start(struct stage *st, int slot);
void stage_scan_add(struct stage *st, int slot, int l, int j, int back);
void stage_scan_enter(struct stage *st, int slot, int l, const real *map, int back);
void stage_scan_inner(struct stage *st, int slot, int l, int j);
void stage_scan_inner_backward(struct stage *st, int slot, int l, int j, struct grad *g);

/* --- halos ---------------------------------------------------------------- */

/* `count` pieces of n reals, `stride` apart. */
struct pieces { real *at; int64_t n, stride; int count; };

/* Halo `which` of block.h.  came: from the left; leaves: to the right, valid after
 * stage_heads_halo(); dleaves, dcame: their gradients.  early: what leaves does not depend on what
 * comes, nor in backward; else it does (units shorter than a halo). */
struct stage_halo { struct pieces came, leaves, dleaves, dcame; int early; };

/* returns 0: there is no such halo */
int stage_heads_halos(struct stage_halo *h, struct stage *st, int slot, int l, int which);
void stage_heads_halo(struct stage *st, int slot, int l, int which);
void stage_heads_halo_backward(struct stage *st, int slot, int l, int which);

/* --- the exchange ----------------------------------------------------------- */

/* What crosses: the inputs of the inner loop, or its output; or their gradients. */
enum cross { CROSS_IN, CROSS_OUT };

/* Round j between us and rank r along S: our tokens for its heads, its tokens for our heads. */
struct cross_part { int64_t tokens, tokens_at, heads, heads_at; };

int stage_heads_rounds(const struct stage *st);
void stage_heads_part(struct cross_part *out, const struct stage *st, int slot, enum cross what,
                      int j, int r);

/* The buffers of round j. */
real *stage_heads_tokens(struct stage *st, int slot, enum cross what, int j);
real *stage_heads_heads(struct stage *st, int slot, int l, enum cross what, int back, int j);

/* Where unit u is among all: round * S + rank. */
int stage_heads_place(const struct stage *st, int u);
int stage_heads_own(const struct stage *st);    /* own units           */
int stage_heads_units(const struct stage *st);  /* of the sequence     */

#endif
