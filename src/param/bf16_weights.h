/* SPDX-License-Identifier: Apache-2.0 */
/* bf16_weights.h -- mixed precision: weights as bf16 operands of products, made once a step from
 * the fp32 master weights.
 *
 * Every matrix that enters a product has panels (kernels/bf16.h) for y = x W' and, where there is a
 * backward pass, panels for dx = dy W.  Everything else stays in fp32.
 */
#ifndef BF16_WEIGHTS_H
#define BF16_WEIGHTS_H

#include "src/base/arena.h"
#include "src/kernels/bf16.h"
#include "src/param/grad.h"
#include "src/param/param.h"

struct bf16_weight { bf16 *forward, *backward; };  /* NULL: not there */

struct bf16_weights {
    const struct param_table *table;   /* borrowed              */
    struct bf16_weight       *w;       /* (table->count); owned */
    int                       way_back, made;
};

/* Without memory for panels yet; t is borrowed.  way_back: a backward pass will follow.  Local. */
struct bf16_weights *bf16_weights_new(const struct param_table *t, int way_back);
void bf16_weights_free(struct bf16_weights *h);

/* Bytes of the panels of all matrices that lie in n spans of the flat array.  Local. */
int64_t bf16_weights_bytes(const struct param_table *t, const struct span *spans, int n,
                           int way_back);

/* Make the panels of all matrices in n spans, which hold whole parameters, from the flat array w.
 * The first call allocates.  Local; threads inside. */
void bf16_weights_make(struct bf16_weights *h, const real *w, const struct span *spans, int n);

/* Operands of one product at a time: scratch that all products of a unit or a micro-batch share. */
struct bf16_work {
    bf16       *rows;        /* of x or dy, if they are reals: (N, widest)    */
    bf16       *transposed;  /* of a unit's dy: (widest, T)                   */
    bf16       *panels;      /* of each unit's x: (B, T, widest)              */
    const void *shared;      /* the x of linear_share(): what was made of it  */
    int         rows_made, panels_made;   /* may be used again                */
};

/* Place *w in the arena: for N rows of products up to `widest` wide, in units of T rows.  Local. */
void bf16_work_lay_out(struct bf16_work *w, struct arena *a, int64_t N, int T, int widest,
                       int way_back);

/* Longest side of the matrices that enter products, without embedding and head.  Local. */
int bf16_widest(const struct param_table *t);

#endif
