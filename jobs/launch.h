/* SPDX-License-Identifier: Apache-2.0 */
/* launch.h -- from a configuration to running processes, and again after faults.
 *
 *     launch_open()      check the configuration and the data, and that nobody else runs here
 *     launch_plan()      choose processes, grid, threads, binding; check memory and disk
 *     launch_command()   make the command line of mpirun, or of another launcher (launcher.h)
 *     launch_run()       start it, forward signals, restart it after a crash
 *
 * Whatever can be found wrong is found before any process starts.  On a cluster the only process of
 * the batch script makes the same four calls.  All functions are local: a launcher is one process.
 */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <stdint.h>

#include "jobs/machine.h"
#include "jobs/program.h"
#include "jobs/words.h"
#include "src/base/launch_token.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"
#include "src/plan/share.h"

#define LAUNCH_LIMIT 128

/* A machine that takes processes. */
struct host {
    char name[256];
    int  slots;      /* processes that it takes           */
    int  lost;       /* it does not answer, so it is not used */
};

struct launch_opts {
    const char     *file;               /* RUN.yaml                                         */
    struct arg_list sets;               /* overrides, passed on to ttt train                */
    int64_t         ranks;              /* 0: launch.ranks                                  */
    const char     *grid;               /* NULL: run.grid; "auto" or DxPxS                  */
    const char     *hosts, *hostfile;   /* NULL: launch.hosts                               */
    const char     *rates;              /* of the machine, for the prediction; NULL: assumed */
    const char     *mpirun;             /* of the MPI we were built with; NULL: mpirun      */
    int             measure;            /* rates of the machines, instead of training       */
    int             takeover;           /* fence off a process that owns the run            */
    int             allow_config_change, allow_data_change;
};

struct launcher;

struct launch {
    const struct launch_opts *o;        /* borrowed                                         */
    struct conf      *conf;             /* owned                                            */
    struct machine    machine;          /* this one; the others are assumed to be alike     */
    struct host      *hosts;            /* owned; NULL: this machine                        */
    int               n_hosts;
    struct grid_shape grid;
    int               ranks, threads;   /* processes, threads of each                       */
    int               bound;            /* to cores                                         */
    int64_t           predicted_bytes;  /* of memory on one machine                         */
    int               oversubscribed;   /* more processes than cores                        */
    int               remote;           /* planned for nodes that this process is not on    */
    char              limit[LAUNCH_LIMIT]; /* what limits memory, for errors; may be empty  */
    int               starts;           /* of mpirun so far                                 */
    const struct launcher *by;          /* what starts the processes; NULL: not chosen yet  */
    char             *mpirun;           /* its program; owned                               */
    struct program    program;          /* what launch_run() starts                         */
    char              token[LAUNCH_TOKEN]; /* of this launcher; "": no process is started   */
    char              job[32];          /* the SLURM job that this runs in, or ""           */
    const char       *scheduler;        /* whose job offered the hosts (scheduler.h), or NULL */
};

/* Read the configuration, check the data set, find the newest checkpoint, and ask who owns the run.
 *
 * l        [out] release with launch_close() whatever is returned
 * returns  OK, or the status of what is wrong, reported */
int launch_open(struct launch *l, const struct launch_opts *o);
void launch_close(struct launch *l);

/* Choose the launcher, grid and threads for the hosts that are left, and report the choice.  May be
 * called again after hosts were lost.
 *
 * returns  OK; ERR_CONFIG if no grid fits, ERR_MEMORY, ERR_IO if the disk is too small; ERR_MISSING
 *          if there is no launcher; reported */
int launch_plan(struct launch *l);

/* The words of the launcher's command line, ended by NULL; one counted block. */
char **launch_command(const struct launch *l);

/* Append what it starts: ttt train and its arguments. */
void launch_program(struct words *w, const struct launch *l);

/* The path by which this program was started, a counted string. */
char *launch_self(void);

/* From now on the signals of stop.h wait for launch_run(), until the process ends: one that comes when
 * a run has ended does not change its exit code.  Further calls change nothing. */
void launch_catch_signals(void);

/* The first of them that has come since, or 0.  After one, nothing further is to be started. */
int launch_signalled(void);

/* Measure rates on the machines of the plan, with all its processes, into the run's folder, where
 * forecasts of this run find them (forecast/rates_of_run.h).
 *
 * returns  OK, or the status of what went wrong, reported */
int launch_measure(struct launch *l);

/* Mark hosts that do not answer as lost, unless none answers.  returns how many were marked */
int launch_check_hosts(struct launch *l);

/* Run the command to its end.  The signals of stop.h ask the run to save a checkpoint; a crash is
 * followed by a restart as long as there are new checkpoints.
 *
 * returns  OK, ERR_SAVED, the status that ended the run for good, ERR_HANG or ERR_NO_PROGRESS */
int launch_run(struct launch *l);

/* Read hosts from a text "host:slots,host", or from a file of lines "host slots=N".
 *
 * out      [out] a counted block of n hosts
 * returns  OK; ERR_CONFIG or ERR_IO, reported */
int hosts_parse(struct host **out, int *n, const char *list);
int hosts_read(struct host **out, int *n, const char *file);

/* Add slots of a host, which may be in the list already.  returns OK; ERR_CONFIG, reported */
int hosts_add(struct host **list, int *n, const char *name, int64_t slots, const char *where);

/* Read "node[01-03,7],other" as SLURM and Flux write it, each host with one slot for each time that
 * it is named.  returns as hosts_parse(); `where` begins the message */
int hosts_expand(struct host **out, int *n, const char *list, const char *where);

/* Bytes of the run's launch.jsonl; and whether an event of that kind follows its first `from` bytes. */
int64_t launch_log_size(const char *dir);
int launch_log_has(const char *dir, int64_t from, const char *kind);

/* What was known when processes were started: the size of launch.jsonl, and how often the kernel had
 * killed for lack of memory. */
struct start_mark { int64_t bytes, kills; };
void launch_mark(struct start_mark *m, const struct launch *l);

/* Since then: has the kernel killed a process for lack of memory, as far as this machine, srun or the
 * watchdogs can tell?  Did the processes find each other, so that MPI works? */
int launch_out_of_memory(const struct launch *l, const struct start_mark *m);
int launch_has_begun(const struct launch *l, const struct start_mark *m);

/* Report the memory that was predicted, and that may be used. */
void launch_tell_memory(const struct launch *l);

/* Of a start in which no process began: one line with what mpirun or srun gave as the reason, a counted
 * string.  Of any other: print what was held back (relay.h). */
char *launch_not_begun(const struct launch *l, const char *why);
void launch_show_start(const struct launch *l);

/* The newest committed checkpoint of a run, by its name; step -1: none. */
struct commit { int64_t step, attempt; };
struct commit launch_newest(const char *dir);

enum { LAUNCH_FRUITLESS = 3 };   /* restarts, and jobs, without a new checkpoint that end a run */

/* The number of consecutive jobs before this one that began at step `step`, as "job" in launch.jsonl
 * tells.  A submission by the user, and giving up, begin the count anew. */
int launch_fruitless_jobs(const char *dir, int64_t step);

/* Was the run asked to stop with `ttt stop`?  Then only its user starts it again. */
int launch_stop_requested(const char *dir);

/* Forget such a request, because the user starts the run.  returns OK; ERR_IO, reported */
int launch_clear_stop(const char *dir);

#endif
