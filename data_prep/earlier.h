/* SPDX-License-Identifier: Apache-2.0 */
/* earlier.h -- what an earlier prep left in the folder: nothing, a part, or a complete data set. */
#ifndef EARLIER_H
#define EARLIER_H

#include "data_prep/origin.h"
#include "src/data/token.h"

struct earlier {
    const struct origin    *origin;     /* of this command                               */
    const struct tokenizer *tokenizer;  /* NULL: it is trained                           */
    const char             *out;        /* the folder that the user named                */
    char                   *dirs[2];    /* of the sets that this command makes           */
    int                     sets_n, restart;
    int                     done;       /* [out] complete                                */
    int                     resuming;   /* [out] a set was begun                         */
    struct data_skipped     skipped;    /* [out] in a complete one                       */
};

/* Look at the three folders that a prep may have made; with t->restart, empty them.  Local.
 *
 * t        [in,out]
 * returns  OK; ERR_CONFIG if another command made what they hold, with the difference; ERR_DATA or
 *          ERR_MISSING if a complete data set is damaged.  All are reported. */
int earlier_look(struct earlier *t);

/* Make the folder and lock it: only one command may write a data set there.  On a file system
 * without locks the user has to take care.  Local.
 *
 * fd       [out] the caller closes it when it is done; -1: none
 * returns  OK; ERR_OWNER if another command has the lock; ERR_IO.  All are reported. */
int earlier_lock(int *fd, const char *out);

#endif
