/* SPDX-License-Identifier: Apache-2.0 */
/* prep.h -- from text to data sets. */
#ifndef PREP_H
#define PREP_H

#include <stdint.h>

#include "data_prep/set.h"

struct format;

struct prep_options {
    char          **inputs;           /* what the user named          */
    int             inputs_n;
    const char     *out;              /* folder                       */
    const char     *tokenizer;        /* "bytes" or the path of a model */
    int             train_tokenizer;  /* pieces; 0: use `tokenizer`   */
    double          val_fraction;     /* 0: one data set, in `out` itself */
    const char     *field;
    const struct format *from_stdin;  /* of what comes through "-"; never NULL */
    int             skip_bad, restart, threads;
    double          skip_bad_max;     /* share of the bytes that may be skipped   */
    struct set_cut  cut;
};

/* Make the data sets, or resume where an earlier command was interrupted.  Local.
 * returns  OK, or the status of what is wrong, reported */
int prep_run(const struct prep_options *o);

#endif
