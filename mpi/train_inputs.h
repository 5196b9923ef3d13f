/* train_inputs.h -- the data of a run, opened and compared with its model.
 *
 * All that can be wrong with data, tokenizer and configuration together is
 * found here, before a folder is made or memory is asked for.
 */
#ifndef TRAIN_INPUTS_H
#define TRAIN_INPUTS_H

#include "mpi/comm.h"
#include "src/base/hash.h"
#include "src/conf/conf.h"
#include "src/data/dataset.h"

struct train_inputs {
    struct dataset *train, *val;    /* val NULL: there is none                  */
    const char     *kind, *path;    /* the tokenizer; borrowed from train       */
    struct hash     tokenizer;
    int             bos;            /* its <s>                                  */
};

/* Is it the same job on every rank?  Build and configuration, but for keys that belong to a place:
 * run.dir, run.threads, and where the data lies, since its fingerprint is compared.
 *
 * Collective on world; traced: is a timeline wanted?
 * returns OK, or ERR_CONFIG on all ranks, said once */
int train_job_agree(const struct conf *c, int traced, const struct axis *world);

/* returns OK; ERR_MISSING, ERR_DATA from opening; ERR_CONFIG if things do not fit */
int train_inputs_open(struct train_inputs *in, const struct conf *c);
/* Is it the same data on every rank?  Collective on world; as train_job_agree(). */
int train_inputs_agree(const struct train_inputs *in, const struct axis *world);

void train_inputs_close(struct train_inputs *in);

#endif
