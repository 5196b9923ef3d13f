/* SPDX-License-Identifier: Apache-2.0 */
/* slurm.h -- runs as SLURM jobs.
 *
 *     ttt launch RUN.yaml --slurm           RUN_DIR/slurm/ run.yaml  job.sh  job  123.log
 *         checks, fills in jobs/slurm.sh, and submits it with sbatch
 *     ttt launch .../run.yaml --inside-slurm
 *         is what the script runs: launch.h on the nodes of the job, then the next job
 *
 * SLURM sends SIGUSR1 some minutes before the time limit, the run saves (85), and the same job is
 * requeued, or the next job of a chain starts.  The output of SLURM's tools is never trusted:
 * numbers are parsed strictly, unknown states are reported.  All functions are local.
 */
#ifndef SLURM_H
#define SLURM_H

#include "jobs/launch.h"
#include "jobs/slurm_ask.h"

/* What a batch script is made of, in addition to launch.slurm. */
struct slurm_job {
    const struct conf *conf;
    const char *name;       /* of the job                                             */
    const char *dir;        /* of the job's files, absolute                           */
    const char *log;        /* name of the log in dir, with sbatch's %j, %A, %a       */
    const char *array;      /* "0-7%2", or NULL                                       */
    const char *before;     /* a line before the command, of shell words, or NULL     */
    const char *command;    /* of shell words                                         */
    int         signal_s;
};

/* The batch script, a counted string; NULL (reported, ERR_CONFIG) if it can't hold a path. */
char *slurm_script(const struct slurm_job *j);

/* Seconds before the time limit at which a run has to be asked to save: launch.slurm.signal_s, or
 * estimated from the steps and saves in its metrics, or 300; at most half of the time limit. */
int slurm_signal_s(const struct conf *c);

/* Submit a script with sbatch.
 *
 * id       [out] the job's number, or SLURM_UNSURE
 * after    the job starts when this one has ended, or NULL
 * returns  OK; ERR_MISSING or ERR_CONFIG: there is no job; ERR_IO: there may be one, and id is
 *          SLURM_UNSURE.  All are reported. */
#define SLURM_UNSURE "unknown"
int slurm_submit(char id[SLURM_ID], const char *script, const char *after);

/* Before a job is submitted: files and modules are there; a partition has such nodes and allows the
 * time; the grid suits the processes, and fits into the job's memory and on the disk.  Checks that
 * can't be made are skipped.  The state of the partition is reported once in a process.
 *
 * returns  OK; ERR_MISSING, ERR_CONFIG, ERR_MEMORY or ERR_IO: what has to be changed was reported */
int slurm_check(const struct launch *l);

/* Ask `sbatch --test-only` about a script: account, QoS, limits.  returns OK, or ERR_CONFIG, reported */
int slurm_test(const char *script);

/* Both of these, after the script was printed if `dry`; a script that is NULL was reported. */
int slurm_ready(const struct launch *l, const char *script, int dry);

/* Read or write RUN_DIR/slurm/job, the number of the newest job of a run.
 *
 * id       [out] the number, SLURM_UNSURE, or "" if there was no job
 * returns  OK; ERR_IO or ERR_DATA, reported: it is not known whether there is a job */
int slurm_job_id_read(char id[SLURM_ID], const char *dir);
int slurm_job_id_write(const char *dir, const char *id);

/* slurm_submit(), and write the number to the run's folder.  returns as slurm_submit() */
int slurm_submit_run(char id[SLURM_ID], const char *script, const char *after, const char *dir);

/* Until this program ends, no other command submits jobs for this folder, if its file system has
 * locks.  returns OK; ERR_OWNER if another command holds the lock, or ERR_IO, reported */
int slurm_lock(const char *dir);

/* Parts of slurm_launch() that series share.  Counted strings: the script of a run; the command
 * that it runs, where `file` is a shell word; an absolute path.  slurm_write() writes run.yaml
 * and job.sh. */
char *slurm_run_script(const struct launch *l);
int slurm_write(const struct launch *l, const char *script);
char *slurm_command(const struct launch *l, const char *file);
char *slurm_absolute(const char *path);

/* Write the files of a job and submit it: ttt launch --slurm.
 *
 * dry      print the script and do nothing else
 * anyway   submit although SLURM does not tell whether an earlier job has ended
 * returns  OK, or the status of what is wrong, reported */
int slurm_launch(struct launch *l, int dry, int anyway);

/* Submit a job of five minutes on the same nodes, which runs launch_measure(): ttt launch --slurm
 * --measure.  returns as slurm_launch() */
int slurm_measure(struct launch *l, int dry);

/* Inside a job: take its number and its nodes into l.
 * returns  OK; ERR_USAGE or ERR_CONFIG, reported */
int slurm_hosts(struct launch *l);

/* In a job that is salloc's or the user's own: take its nodes and CPUs into l, and report it.
 * returns  OK; ERR_USAGE or ERR_CONFIG, reported */
int slurm_allocation(struct launch *l);

/* Report that --slurm may have been forgotten, where sbatch is installed. */
void slurm_hint(void);

/* Was this job in the queue again after it had begun before? */
int slurm_is_requeued(void);

/* Inside a job: are at least launch.slurm.min_nodes nodes left?
 * returns OK, or ERR_SAVED, reported: the run continues in another job */
int slurm_nodes_suffice(const struct launch *l);

/* Inside a job, before and after launch_run(): check that another start can make progress, and
 * submit the next job of a chain; requeue the job, or cancel the next one if the run is over.
 *
 * rc       the status of launch_run()
 * returns  the status that the launcher ends with */
int slurm_begin(const struct launch *l);
int slurm_end(const struct launch *l, int rc);

#endif
