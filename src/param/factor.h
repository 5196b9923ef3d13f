/* SPDX-License-Identifier: Apache-2.0 */
/* factor.h -- which parameters SOAP treats as matrices, and what that costs.
 *
 * A parameter (rows, cols) is one matrix, (H, rows, cols) a stack of H.  Its factors are L = EMA(G
 * G'), (rows, rows), and R = EMA(G' G), (cols, cols), of the gradient G.  A side longer than
 * max_dim has no factor, so a wide matrix has one factor only.  Vectors have none: AdamW updates
 * them.  Everything here is local and takes no time.
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

/* f [out]: parameter p as matrices, with factors up to max_dim.  returns 0 if p is not for SOAP,
 * which stacks of gains and biases, recognised by starting at one or zero, are not either */
int factored_of(struct factored *f, const struct param *p, int max_dim);

/* Size d of the factor (d,d) of a side, 0 if that side has none; and of the larger factor. */
int factor_dim(const struct factored *f, int side);
int factor_largest(const struct factored *f);

/* Tensors of the state of a training run: each parameter and its two moments, and the factors and
 * bases of SOAP.  soap: sides of a matrix that are no longer than this have a factor; 0: no SOAP */
int state_tensor_count(const struct param_table *t, int soap);

/* Reals of the optimizer's state besides the two moments: factors and bases of all matrices. */
int64_t factor_reals(const struct factored *f);

/* Reals to work in: for one update of all matrices, and for a thread that refreshes the bases of
 * one. */
int64_t factor_work(const struct factored *f);
int64_t factor_refresh_work(const struct factored *f);

/* Cost of one update of all matrices, the refresh of bases every `every` updates included: the
 * number of floating-point operations that a large matrix product would do in the same time.  QR
 * counts for more than its operations, because it is slower. */
double factor_flops(const struct factored *f, int every);

#endif
