/* SPDX-License-Identifier: Apache-2.0 */
/* loop_state.h -- inside the training loop (train_loop.c, train_save.c, train_eval.c,
 * train_report.c). */
#ifndef LOOP_STATE_H
#define LOOP_STATE_H

#include "mpi/save/saver.h"
#include "mpi/state/train_state.h"
#include "mpi/train/train_step.h"
#include "src/conf/conf.h"
#include "src/infer/train_inputs.h"
#include "src/store/metrics.h"
#include "src/store/run_folder.h"

/* All borrowed. */
struct train_loop {
    const struct conf       *conf;
    struct train_inputs     *inputs;
    const struct run_folder *run;
    struct train_state      *state;
    struct stepper          *stepper;
    const struct step_opts  *step;
    struct metrics          *metrics;
    const struct grid       *grid;
    struct trace            *trace;       /* NULL: not wanted                            */
    struct saver            *saver;
    json_t                  *info;        /* what goes into checkpoints next to the state */
    double                   token_flops; /* model FLOPs of a token                      */
    double                   peak_flops;  /* arithmetic peak of all ranks, FLOP/s        */
    int64_t                  saved_step;  /* the state on disk; -1: none                 */
    /* Private. */
    double  start_s, save_s, line_s;      /* clock at the start, last save, last line    */
    double  folder_s;                     /* of the last look into the run's folder      */
    int     fenced;                       /* the run was taken away from us              */
    const char *reason;                   /* of the save in flight                       */
    int64_t save_step;
    int64_t start_step, line_step;
    double  inner;                        /* last inner-loss ratio                       */
    int     damaged;                      /* the state in memory: it must not be saved   */
    int     rewinds;                      /* in the last steps, the first at rewind_step */
    int64_t rewind_step;
    int     lost;                         /* output was lost, and that was written down  */
    double  save_took_s;                  /* of the last save                            */
    int     warned;                       /* that mpirun would not wait for a save       */
};

#endif
