/* half.h -- weights as bf16 operands of products: made once a step from the fp32 masters.
 *
 * Every matrix that enters a product has panels (kernels/bf16.h) for y = x W', and, where there
 * will be a way back, panels for dx = dy W.  Everything else stays in fp32.
 */
#ifndef HALF_H
#define HALF_H

#include "src/base/arena.h"
#include "src/kernels/bf16.h"
#include "src/param/grad.h"
#include "src/param/param.h"

struct half_weight { bf16 *forward, *backward; };  /* NULL: not there */

struct half {
    const struct param_table *table;   /* borrowed              */
    struct half_weight       *w;       /* (table->count); owned */
    int                       way_back, made;
};

struct half *half_new(const struct param_table *t, int way_back);
void half_free(struct half *h);

/* Bytes of everything, and of parameters that lie in spans of the flat array. */
int64_t half_bytes(const struct param_table *t, const struct span *spans, int n, int way_back);

/* From weights w, those in spans: whole parameters.  The first call allocates.  Local; threads
 * inside. */
void half_make(struct half *h, const real *w, const struct span *spans, int n);

/* Operands of one unit's or micro-batch's product, in scratch that is laid out before. */
struct half_work {
    bf16       *rows;      /* of x or dy, if they are reals: (N, widest) */
    bf16       *turned;    /* of a unit's dy: (widest, T)                */
    bf16       *panels;    /* of each unit's x: (B, T, widest)           */
    const void *shared;    /* linear_share(), and what has been made of it */
    int         rows_made, panels_made;
};

/* N rows of products up to `widest` wide in units of T. */
void half_lay_out(struct half_work *w, struct arena *a, int64_t N, int T, int widest,
                  int way_back);

/* Widest side of a matrix in a product; embedding and head apart. */
int half_widest(const struct param_table *t);

#endif
