/* SPDX-License-Identifier: Apache-2.0 */
/* slurm_ask.h -- the state of SLURM jobs.
 *
 *     squeue     all jobs that wait or run, and those that ended in the last minutes
 *     sacct      how older ones ended, if the cluster keeps accounts
 *
 * Each tool is called once for any number of jobs, for at most tool_wait_s().  If it fails,
 * hangs, does not exist or prints something unexpected, the state is SLURM_UNKNOWN, which is not
 * the same as "there is no such job" (SLURM_GONE).  All functions are local.
 */
#ifndef SLURM_ASK_H
#define SLURM_ASK_H

enum slurm_state {
    SLURM_NONE,        /* no job to ask for                                              */
    SLURM_UNKNOWN,     /* no answer                                                      */
    SLURM_PENDING,     /* in the queue; also requeued, held, or its nodes are prepared   */
    SLURM_RUNNING,
    SLURM_SUSPENDED,
    SLURM_ENDING,      /* its processes are being ended                                  */
    SLURM_GONE,        /* ended so long ago that only sacct would know, and it does not  */
    SLURM_COMPLETED,   /* from here on: how it ended                                     */
    SLURM_FAILED,
    SLURM_CANCELLED,
    SLURM_TIMEOUT,
    SLURM_OUT_OF_MEMORY,
    SLURM_NODE_FAIL,
    SLURM_PREEMPTED,
    SLURM_BOOT_FAIL,
    SLURM_DEADLINE,
    SLURM_STATES
};

#define SLURM_ID 32
struct slurm_fact {
    char             id[SLURM_ID];   /* "123", or "123_4" of an array; "": none           */
    enum slurm_state state;
    char             word[32];       /* as SLURM calls it, "PENDING"; "" where it is silent */
    char             why[256];       /* SLURM's reason, or why there is no answer         */
    double           began;          /* its newest start, seconds since 1970; NAN         */
};

/* Is the text the number of a job, "123", or of a member of an array, "123_4"? */
int slurm_is_id(const char *text);

/* Can the job still start or continue? */
int slurm_is_alive(enum slurm_state s);

/* Ask squeue about the jobs f[i].id, and fill in the facts. */
void slurm_ask(struct slurm_fact *f, int n);

/* Ask sacct about those that are gone or unknown after that. */
void slurm_ask_history(struct slurm_fact *f, int n);

/* How the output of these commands is parsed.  Lines are "123|123_4|STATE|START|REASON"
 * of squeue, "123|123_4|STATE|CODE:SIGNAL" of sacct.  Facts that are not in it stay as they are.
 * returns  1, or 0 if a line has another form, which is copied to odd */
int slurm_read_queue(struct slurm_fact *f, int n, char *text, char odd[64]);
int slurm_read_history(struct slurm_fact *f, int n, char *text, char odd[64]);

#endif
