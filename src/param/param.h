/* SPDX-License-Identifier: Apache-2.0 */
/* param.h -- the one list of a model's parameters.
 *
 * Offsets, initial values, gradients, optimizer state, checkpoint entries, export names and log
 * lines all follow from it.  Names are those of the public Hugging Face implementations
 * ("model.layers.0.seq_modeling_block.W1").
 *
 *     flat array:  | param 0 |pad| param 1 |pad| ... |      `total` elements
 *
 * Every parameter starts on a 64-byte boundary; the padding stays zero in weights, gradients and
 * moments.  Everything here is local.
 */
#ifndef PARAM_H
#define PARAM_H

#include <stdint.h>

#include "src/base/real.h"

#define PARAM_NAME 96
#define PARAM_DIMS 4

enum init_kind {
    INIT_ZERO,
    INIT_ONE,
    INIT_NORMAL,     /* mean 0, standard deviation arg                              */
    INIT_UNIFORM,    /* in (-arg, arg)                                              */
    INIT_LOG_COUNT,  /* log(1), log(2), ... along the last dimension                */
    INIT_STEP,       /* softplus of it is log-uniform in (1e-3, 0.1)                */
    INIT_ORTHOGONAL  /* of each matrix of a stack the rows, or columns, whichever are fewer, are
                      * orthogonal and equally long; elements have the standard deviation arg */
};

struct param {
    char           name[PARAM_NAME];
    int            ndim;
    int64_t        shape[PARAM_DIMS];
    int64_t        n;         /* product of the shape                      */
    int64_t        offset;    /* of its first element in a flat array      */
    enum init_kind init;
    double         init_arg;
    int            no_decay;  /* weight decay leaves it alone              */
    int            vocabulary;  /* a row for every token: embedding, head  */
    int            product;   /* a matrix that a linear product of every token reads: its model
                               * FLOPs are counted, and in mixed precision a matrix of two
                               * dimensions is a bf16 operand.  Whoever adds it sets this. */
};

struct param_table {
    struct param *p;
    int           count;
    int64_t       total;   /* elements of a flat array, padding included   */
    int64_t       n;       /* elements without padding: "the parameter count" */
};

/* The sizes of one to four dimensions, as param_add() takes them: PARAM_SHAPE(rows, columns). */
#define PARAM_SHAPE(...) ((const int64_t[PARAM_DIMS]){ __VA_ARGS__ })

/* Append a parameter, which is called `prefix` followed by `name`.  Local.
 *
 * init_arg  what `init` needs: see enum init_kind; otherwise ignored
 * shape     sizes >= 1 of at most PARAM_DIMS dimensions, then zeros
 * returns   its index in the table */
int param_add(struct param_table *t, const char *prefix, const char *name, enum init_kind init,
              double init_arg, const int64_t shape[PARAM_DIMS]);

/* The same for a matrix that a product reads (struct param.product). */
int param_add_product(struct param_table *t, const char *prefix, const char *name,
                      enum init_kind init, double init_arg, const int64_t shape[PARAM_DIMS]);

/* Index of a name, or -1. */
int param_find(const struct param_table *t, const char *name);

/* Index of the parameter that flat element `offset`, or the padding there, belongs to.  A binary
 * search. */
int param_at(const struct param_table *t, int64_t offset);

/* Release the list (not the table struct). */
void param_done(struct param_table *t);

/* One parameter's initial values, in the flat array w [out]: element i is a function only of (seed,
 * name, i), hence the same on any grid.  Threads inside. */
void param_init_one(real *w, const struct param *p, uint64_t seed);

/* The same for all parameters; padding becomes zero. */
void param_init(real *w, const struct param_table *t, uint64_t seed);

#endif
