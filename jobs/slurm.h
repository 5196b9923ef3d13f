/* slurm.h -- runs as SLURM jobs.
 *
 *     ttt launch RUN.yaml --slurm           RUN_DIR/slurm/ run.yaml  job.sh  job  123.log
 *         checks, writes jobs/slurm.sh filled in, and gives it to sbatch
 *     ttt launch .../run.yaml --inside-slurm
 *         is what the script becomes: launch.h on the nodes of the job, then the next job
 *
 * A job ends by SIGUSR1 some minutes before its time, the run saves (85), and the same job is
 * requeued, or the next one of a chain starts.  The job's own words are never trusted: numbers
 * are read strictly, states that are not known are said.
 */
#ifndef SLURM_H
#define SLURM_H

#include "jobs/launch.h"
#include "jobs/slurm_ask.h"

/* What a script is made of besides launch.slurm. */
struct slurm_job {
    const struct conf *conf;
    const char *name;       /* of the job                                             */
    const char *dir;        /* of the job's files, absolute                           */
    const char *log;        /* name of the log in it: sbatch's %j, %A, %a             */
    const char *array;      /* "0-7%2", or NULL                                       */
    const char *before;     /* a line before the command, of shell words, or NULL     */
    const char *command;    /* of shell words                                         */
    int         signal_s;
};

/* The batch script, a counted string; NULL if a path can't stand in it (said: ERR_CONFIG). */
char *slurm_script(const struct slurm_job *j);

/* Seconds before the end of the time that a run has to be asked to save: launch.slurm.signal_s, or
 * from what its metrics say of steps and saves, or 300; at most half of the time limit. */
int slurm_signal_s(const struct conf *c);

/* Give a script to sbatch.  after: start when that job has ended, or NULL.
 * returns OK and the job's number; ERR_MISSING, ERR_CONFIG: there is no job; ERR_IO: there may be one,
 * and id is SLURM_UNSURE.  All said. */
#define SLURM_UNSURE "unknown"
int slurm_submit(char id[SLURM_ID], const char *script, const char *after);

/* What the partition's settings mean for the run, said as a message. */
void slurm_say_partition(const struct conf *c);

/* The number of the newest job of a run's folder, "" if there was none, and keep one, or SLURM_UNSURE.
 * returns OK, or ERR_IO, ERR_DATA, said: whether there is a job is not known */
int slurm_known(char id[SLURM_ID], const char *dir);
int slurm_remember(const char *dir, const char *id);

/* slurm_submit(), and keep what became of it in a run's folder. */
int slurm_submit_run(char id[SLURM_ID], const char *script, const char *after, const char *dir);

/* Between here and the end of this program nobody else submits for that folder, if its file system
 * has locks.  returns OK; ERR_OWNER, said: somebody is at it; ERR_IO */
int slurm_lock(const char *dir);

/* Does SLURM still have that job, or, as it does not answer, may it?
 * returns OK: it has not, or `anyway` allows not to know; ERR_OWNER, said; ERR_IO, ERR_DATA */
int slurm_free(const char *dir, int anyway);

/* Parts of slurm_launch() that series share: the script of a run; its files run.yaml and job.sh;
 * the command that it becomes, `file` is a shell word; an absolute path.  Counted strings. */
char *slurm_run_script(const struct launch *l);
int slurm_write(const struct launch *l, const char *script);
char *slurm_command(const struct launch *l, const char *file);
char *slurm_absolute(const char *path);

/* Write files and submit: ttt launch --slurm.  dry: print the script and do nothing; anyway: also
 * where SLURM does not say whether an earlier job is still there. */
int slurm_launch(struct launch *l, int dry, int anyway);

/* In a job: number and nodes of it become those of l.  returns OK or ERR_CONFIG, said */
int slurm_hosts(struct launch *l);

/* In a job: are the nodes that are not lost enough for launch.slurm.min_nodes?
 * returns OK, or ERR_SAVED: the run goes on in another job */
int slurm_enough(const struct launch *l);

/* In a job, around launch_run(): is another start of any use; and what follows an end.
 * returns the launcher's own status */
int slurm_begin(const struct launch *l);
int slurm_end(const struct launch *l, int rc);

#endif
