/* SPDX-License-Identifier: Apache-2.0 */
/* run_state.h -- the state of runs: their folders are read, SLURM is asked once about all their
 * jobs, and run_phase.h decides.
 *
 * A run of which something can't be read has a state nevertheless: `error` says what is wrong.
 */
#ifndef RUN_STATE_H
#define RUN_STATE_H

#include <jansson.h>
#include <stdint.h>

#include "jobs/run_phase.h"

/* Numbers that are not known are -1, or NAN.  Strings are counted. */
struct run_state {
    char            *dir, *name;       /* its folder, the last part of it              */
    enum run_phase   phase;
    int64_t          step, steps, committed;
    double           loss_nats, tok_per_s, step_s, left_s;
    double           committed_time;   /* seconds since 1970                           */
    int              restarts;         /* by the last launcher                         */
    int              status;           /* exit code of what has ended; -1: none        */
    long             pid;
    char             host[256];
    char            *job_text;         /* of its SLURM job, as the folder has it; ""   */
    struct run_facts facts;
    struct slurm_fact job, own;        /* the newest job; the one that trained last    */
    int              rc;               /* OK, or why not all of it could be read       */
    char            *error;            /* that as a sentence; ""                       */
    char            *note;             /* a sentence about its state; ""               */
};

/* Read the folder of a run, without asking SLURM: phase is not known yet.  Local.
 * s  [out] release with run_state_done() */
void run_state_read(struct run_state *s, const char *dir);
void run_state_done(struct run_state *s);

/* Ask SLURM about the jobs of all n runs, and decide their phases.  Local. */
void run_states_judge(struct run_state *s, int n);

/* Is the folder that of a run?  One that can't be read may be, and counts as one.  Local. */
int run_is_there(const char *dir);

/* As a JSON object, a new reference; its texts are valid UTF-8 whatever the folder holds.  Local.
 *  */
json_t *run_state_json(const struct run_state *s);

/* Print a table for people, with column headings.  Local. */
void run_state_print(const struct run_state *s, int n);

/* Read and judge the runs in `count` folders, each a run or a folder of runs, and print them as a
 * table or as JSON.  Local.
 *
 * returns  OK, or the status of the first run that can't be read in full, reported */
int run_states_show(char **dirs, int count, int json);

#endif
