/* origin_memo.h -- the file INPUTS (origin.h), read and written. */
#ifndef ORIGIN_MEMO_H
#define ORIGIN_MEMO_H

#include "data_prep/origin.h"

/* What an earlier command wrote; empty if there is no whole file. */
struct memo_of_inputs {
    struct input         *v;        /* a counted block: of each file what identifies it */
    int64_t               n;
    struct origin_option  option[16];  /* names are owned here                          */
    int                   options;
    int64_t               began_ns;
};

void origin_memo_read(struct memo_of_inputs *m, const char *dir);
void origin_memo_done(struct memo_of_inputs *m);

/* A file that changed so shortly before its content was looked at may have changed again since. */
#define ORIGIN_MARGIN_NS ((int64_t)10000000000)

/* If input number i is certainly the file that is in the memo there, take its content's hash. */
void origin_memo_use(const struct memo_of_inputs *m, struct input *x, int64_t i);

#endif
