/* train_inputs.h -- the data of a run, opened and compared with its model.
 *
 * All that can be wrong with data, tokenizer and configuration together is
 * found here, before a folder is made or memory is asked for.
 */
#ifndef TRAIN_INPUTS_H
#define TRAIN_INPUTS_H

#include "src/base/hash.h"
#include "src/conf/conf.h"
#include "src/data/dataset.h"

struct train_inputs {
    struct dataset *train, *val;    /* val NULL: there is none                  */
    const char     *kind, *path;    /* the tokenizer; borrowed from train       */
    struct hash     tokenizer;
    int             bos;            /* its <s>                                  */
};

/* returns OK; ERR_MISSING, ERR_DATA from opening; ERR_CONFIG if things do not fit */
int train_inputs_open(struct train_inputs *in, const struct conf *c);
void train_inputs_close(struct train_inputs *in);

#endif
