/* SPDX-License-Identifier: Apache-2.0 */
/* bench_store.h -- the parts of `ttt bench store`. */
#ifndef BENCH_STORE_H
#define BENCH_STORE_H

#include "mpi/save/saver.h"
#include "mpi/train/train_setup.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"

struct store_request {
    const char     *run, *dir;
    struct arg_list sets;
    int64_t         threads, repeat, tokens, steps, during, data_tokens;
    int             json;
};

struct store_bench {
    const struct store_request *q;
    struct conf       *c;
    struct train_setup setup;
    struct stepper    *stepper;
    struct dataset    *data;
    struct bench_reading reading;
    char              *folder, *set, *ckpt;
    struct tensor     *tensors;
    struct place      *own;       /* (n_own) our tiles      */
    int64_t            n_own;
    double             bytes;     /* of all ranks' tiles    */
    double             copy_s, write_s, read_s;    /* the same bytes, without a checkpoint */
};

/* The largest s of all ranks; axis_agree() on rc.  Collective on the grid. */
double store_slowest(const struct store_bench *b, double s);
int store_together(const struct store_bench *b, int rc);

/* A saver with the options of the run.  Collective on the grid. */
struct saver *store_saver(const struct store_bench *b, enum save_from from);

/* Begin a save as train_loop.c does; idle: as saver_begin().  Collective on the grid. */
int store_begin_save(struct store_bench *b, struct saver *s, int idle);

/* Measure the limits copy_s, write_s and read_s; then saves and loads, and print them next to the
 * limits.  Collective on the grid. */
int store_plainly(struct store_bench *b);
int store_save_and_load(struct store_bench *b);

#endif
