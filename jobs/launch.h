/* launch.h -- from a configuration to running processes, and again after faults.
 *
 *     launch_open()      configuration and data set are right, nobody else runs here
 *     launch_plan()      processes, grid, threads, binding; memory and disk suffice
 *     launch_command()   mpirun's command line
 *     launch_run()       start it, forward signals, start it again after a crash
 *
 * Whatever can be found wrong is found before any process starts.  On a cluster the same four
 * calls are made by the batch script's only process.
 */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <stdint.h>

#include "jobs/machine.h"
#include "jobs/words.h"
#include "src/base/launch_token.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"
#include "src/plan/share.h"

/* A place for processes. */
struct host {
    char name[256];
    int  slots;      /* processes it takes                */
    int  lost;       /* it does not answer: not used      */
};

struct launch_opts {
    const char     *file;               /* RUN.yaml                                         */
    struct arg_list sets;               /* overrides, passed on to ttt train                */
    int64_t         ranks;              /* 0: launch.ranks                                  */
    const char     *grid;               /* NULL: run.grid; "auto" or DxPxS                  */
    const char     *hosts, *hostfile;   /* NULL: launch.hosts                               */
    const char     *rates;              /* of the machine, for the prediction; NULL: assumed */
    int             takeover;           /* fence off a process that owns the run            */
    int             allow_config_change, allow_data_change;
};

struct launch {
    const struct launch_opts *o;        /* borrowed                                         */
    struct conf      *conf;             /* owned                                            */
    struct machine    machine;          /* this one; the others are taken to be alike       */
    struct host      *hosts;            /* owned; NULL: this machine                        */
    int               n_hosts;
    struct grid_shape grid;
    int               ranks, threads;   /* processes, threads of each                       */
    int               bound;            /* to cores                                         */
    int               oversubscribed;   /* more processes than cores                        */
    int               starts;           /* of mpirun so far                                 */
    char              token[LAUNCH_TOKEN]; /* of this launcher; "": nobody is started       */
    char              job[32];          /* of SLURM that we are in, or ""                   */
};

/* Read the configuration and find out what there is.
 * returns OK, or what is wrong, said; release with launch_close() either way */
int launch_open(struct launch *l, const struct launch_opts *o);
void launch_close(struct launch *l);

/* Choose for the hosts that are left, and say what was chosen.  May be called again when hosts
 * were lost.
 * returns OK; ERR_CONFIG if no grid fits; ERR_MEMORY; ERR_IO if the disk is too small */
int launch_plan(struct launch *l);

/* The words of mpirun's command line, or srun's, ended by NULL; one counted block. */
char **launch_command(const struct launch *l);
void launch_srun(struct words *w, const struct launch *l);     /* srun.c                          */
void launch_mpirun(struct words *w, const struct launch *l);   /* with its settings               */
void launch_program(struct words *w, const struct launch *l);  /* what it starts, with arguments  */

/* The path of this program, a counted string. */
char *launch_self(void);

/* From now on the signals of stop.h wait for launch_run(), also between several of them. */
void launch_hold(void);

/* The first of them that came since, or 0: nothing further is to be started. */
int launch_asked(void);

/* Drop hosts that do not answer, unless none does.  returns how many were dropped */
int launch_check_hosts(struct launch *l);

/* Run it to its end: the signals of stop.h ask for a checkpoint; crashes are followed by
 * a restart as long as there are new checkpoints.
 * returns OK, ERR_SAVED, what ended the run for good, ERR_HANG or ERR_NO_PROGRESS */
int launch_run(struct launch *l);

/* "host:slots,host" or lines "host slots=N" -> hosts (counted block).  ERR_CONFIG, said. */
int hosts_parse(struct host **out, int *n, const char *list);
int hosts_read(struct host **out, int *n, const char *file);

/* launch.jsonl as it is now; and whether a watchdog has written into it since. */
int64_t launch_mark(const char *dir);
int launch_hung(const char *dir, int64_t mark);

/* The newest committed checkpoint by name; step -1: none. */
struct commit { int64_t step, attempt; };
struct commit launch_newest(const char *dir);

/* Was the run asked to stop by `ttt stop`?  Then nothing is to start it again but its user. */
int launch_stopped(const char *dir);

/* Its user starts it: what was asked of an earlier start is over. */
int launch_clear_stop(const char *dir);

#endif
