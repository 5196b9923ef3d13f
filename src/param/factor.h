/* factor.h -- which parameters SOAP treats as matrices, and what that costs.
 *
 * A parameter (rows, cols) is one matrix, (H, rows, cols) a stack of H.  The factor of its rows
 * L = EMA(G G') and of its columns R = EMA(G' G) exist where that dimension is at most max_dim, so
 * a wide matrix has one of them.  Vectors have none: AdamW updates them.
 */
#ifndef FACTOR_H
#define FACTOR_H

#include "src/param/param.h"

struct factor_opts {
    int max_dim;                /* largest side that has a factor                      */
    int whole_dim;              /* largest factor that one process decomposes          */
    int every;                  /* updates between two refreshes of bases              */
};

enum side { LEFT, RIGHT };

struct factored {
    int matrices, rows, cols;
    int has[2];                 /* a factor of the rows (LEFT), of the columns (RIGHT) */
};

/* returns 0 if p is not for SOAP.  Stacks of gains and biases, which start at one or zero, are
 * vectors too. */
int factored_of(struct factored *f, const struct param *p, int max_dim);

/* Rows or columns: the size of a factor; 0 if there is none on that side. */
int factor_dim(const struct factored *f, int side);
int factor_largest(const struct factored *f);

/* Tensors of the state of a training run: each parameter and its two moments, and the factors and
 * bases of SOAP.  soap: sides of a matrix that are no longer than this have a factor; 0: no SOAP */
int state_tensor_count(const struct param_table *t, int soap);

/* Elements of the state beside the two moments: factors and bases. */
int64_t factor_reals(const struct factored *f);

/* Reals to work in: of one update, and of a thread that refreshes bases. */
int64_t factor_work(const struct factored *f);
int64_t factor_refresh_work(const struct factored *f);

/* Seconds of one step in units of one floating-point operation of a large product; bases are
 * refreshed every `every` steps. */
double factor_flops(const struct factored *f, int every);

#endif
