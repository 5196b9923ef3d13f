/* SPDX-License-Identifier: Apache-2.0 */
/* spectrum.h -- singular values of a model's matrices, and of the fast weights after it has read a
 * text.
 *
 *     effective rank  exp(- sum p log p), p = s / sum s           (Roy and Vetterli 2007)
 *     stable rank     sum s^2 / s_1^2
 *
 * Both are between 1 and the shorter side: n for an orthogonal matrix, 1 for an outer product.  A
 * stack of matrices is one of them for each head.
 */
#ifndef SPECTRUM_H
#define SPECTRUM_H

#include <stdint.h>

#include "src/model/model.h"

struct spectrum {
    char        name[PARAM_NAME + 32];
    int         head;              /* -1: not one of a stack                          */
    int         rows, cols;
    const real *at;                /* (rows, cols), borrowed from model or spectra    */
    int         n;                 /* the shorter side                                */
    real       *s;                 /* (n) singular values, descending                 */
    int         info;              /* 0, or why there are none (kernels/lapack.h)     */
};

struct spectra {
    struct spectrum *v;            /* (count)                                         */
    int              count, room;
    real           **owned;        /* copies of fast weights                          */
    int              n_owned;
};

/* Append matrices whose names hold `part` ("" for all), without their values. */
void spectra_weights(struct spectra *x, const struct model *m, const char *part);

/* Append the fast weights after n tokens, read `slice` at once: "layers.L.NAME after N tokens".
 * Local; threads inside. */
void spectra_fast_weights(struct spectra *x, const struct model *m, const int32_t *tokens,
                          int64_t n, int slice, const char *part);
void spectra_done(struct spectra *x);

/* Values of one matrix.  Local, no threads. */
void spectrum_find(struct spectrum *x);

/* 0 where there are no values, or all of them are 0. */
double spectrum_effective_rank(const struct spectrum *x);
double spectrum_stable_rank(const struct spectrum *x);

#endif
