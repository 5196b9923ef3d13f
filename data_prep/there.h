/* there.h -- what an earlier prep left in the folder: nothing, a part, or all of it. */
#ifndef THERE_H
#define THERE_H

#include "data_prep/origin.h"
#include "src/data/token.h"

struct there {
    const struct origin    *origin;     /* of this command                               */
    const struct tokenizer *tokenizer;  /* NULL: it is trained                           */
    const char             *out;        /* the folder that the user named                */
    char                   *dirs[2];    /* of the sets that this command makes           */
    int                     sets_n, restart;
    int                     done;       /* [out] complete                                */
    int                     resuming;   /* [out] a set was begun                         */
    struct data_skipped     skipped;    /* [out] in a complete one                       */
};

/* Look at the three folders that a prep may have made; `restart` removes what is there.
 * returns OK; ERR_CONFIG for what another command made, with the difference; ERR_DATA or
 *         ERR_MISSING for a complete data set that is damaged */
int there_look(struct there *t);

#endif
