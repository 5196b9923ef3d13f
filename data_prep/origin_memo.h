/* SPDX-License-Identifier: Apache-2.0 */
/* origin_memo.h -- read the file INPUTS (origin.h), which origin_write() writes. */
#ifndef ORIGIN_MEMO_H
#define ORIGIN_MEMO_H

#include "data_prep/origin.h"

/* What an earlier command wrote; empty if there is no file with a valid hash. */
struct memo_of_inputs {
    struct input         *v;        /* a counted block: what identifies each file       */
    int64_t               n;
    struct origin_option  option[16];  /* names are owned here                          */
    int                   options;
    int64_t               began_ns;
};

/* Local.  m  [out] release with origin_memo_done() */
void origin_memo_read(struct memo_of_inputs *m, const char *dir);
void origin_memo_done(struct memo_of_inputs *m);

/* A file that changed less than this before its content was read may have changed again since. */
#define ORIGIN_MARGIN_NS ((int64_t)10000000000)

/* If input number i is certainly file number i of the memo, take the hash of its content.  Local.
 *  */
void origin_memo_use(const struct memo_of_inputs *m, struct input *x, int64_t i);

#endif
