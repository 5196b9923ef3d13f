/* SPDX-License-Identifier: Apache-2.0 */
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
#include "src/store/ckpt.h"

struct train_inputs {
    struct dataset *train, *val;    /* val NULL: there is none                  */
    const char     *kind, *path;    /* the tokenizer; borrowed from train       */
    struct hash     tokenizer;
    int             bos;            /* its <s>                                  */
};

/* returns OK; ERR_MISSING, ERR_DATA from opening; ERR_CONFIG if things do not fit */
int train_inputs_open(struct train_inputs *in, const struct conf *c);

/* Was the checkpoint made with this tokenizer and, unless `allow` is set, with this training data?
 *
 * returns  OK, or ERR_CONFIG, reported */
int train_inputs_resume(const struct train_inputs *in, const struct conf *c, const struct ckpt *from,
                        int allow);

void train_inputs_close(struct train_inputs *in);

#endif
