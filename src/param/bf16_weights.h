/* bf16_weights.h -- weights as bf16 operands of products: made once a step from the fp32 masters.
 *
 * Every matrix that enters a product has panels (kernels/bf16.h) for y = x W', and, where there
 * will be a way back, panels for dx = dy W.  Everything else stays in fp32.
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

struct bf16_weights *bf16_weights_new(const struct param_table *t, int way_back);
void bf16_weights_free(struct bf16_weights *h);

/* Bytes of everything, and of parameters that lie in spans of the flat array. */
int64_t bf16_weights_bytes(const struct param_table *t, const struct span *spans, int n, int way_back);

/* From weights w, those in spans: whole parameters.  The first call allocates.  Local; threads
 * inside. */
void bf16_weights_make(struct bf16_weights *h, const real *w, const struct span *spans, int n);

/* Operands of one unit's or micro-batch's product, in scratch that is laid out before. */
struct bf16_work {
    bf16       *rows;      /* of x or dy, if they are reals: (N, widest) */
    bf16       *transposed;    /* of a unit's dy: (widest, T)                */
    bf16       *panels;    /* of each unit's x: (B, T, widest)           */
    const void *shared;    /* linear_share(), and what has been made of it */
    int         rows_made, panels_made;
};

/* N rows of products up to `widest` wide in units of T. */
void bf16_work_lay_out(struct bf16_work *w, struct arena *a, int64_t N, int T, int widest,
                  int way_back);

/* Widest side of a matrix in a product; embedding and head apart. */
int bf16_widest(const struct param_table *t);

#endif
