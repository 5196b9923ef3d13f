/* train_loop.h -- steps, and what happens between them.
 *
 *     evaluate if due -> done? -> step -> log -> save if due -> asked to stop?
 *
 * A save goes on in the background of the next steps (saver.h).  One that is due by time while
 * another is in flight is put off; one that is due by steps waits for the other, so that
 * checkpoint.every_steps and keep_every name exact steps.
 *
 * A save comes before the evaluation of its step, so that a long evaluation
 * can't cost steps; a run that is killed in between evaluates first when it
 * comes back (metrics_last_eval).
 */
#ifndef TRAIN_LOOP_H
#define TRAIN_LOOP_H

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
    json_t                  *info;        /* what goes into checkpoints beside the state */
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

/* Train to the end.  Collective on the grid; files are written by its first rank alone.
 * returns OK; ERR_SAVED after a signal or a file STOP; ERR_OWNER if the run is another's now;
 * ERR_DIVERGED; ERR_IO if the state that had to be saved last could not be; ERR_DATA, ERR_IO if a
 * sample can't be read, or memory is faulty */
int train_loop_run(struct train_loop *l);

#endif
