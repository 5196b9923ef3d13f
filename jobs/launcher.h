/* SPDX-License-Identifier: Apache-2.0 */
/* launcher.h -- the programs that start the processes of a run, and how each of them is called.
 *
 * There are as many command lines as there are makers of MPI.  launcher.c holds them in one table; a
 * row is a struct launcher, and a new launcher is a new row.  Which row it is, the program tells
 * itself: it is asked for its version, once.  All functions are local.
 *
 * Words of a command line are given as texts, in which blanks separate words, and
 *
 *     %H  a:4,b:4, the hosts and their slots    %n  processes
 *     %h  a,b, the hosts                        %t  threads of a process
 *     %k  how many hosts they are               %w  launch.kill_wait_s
 *     %p  processes of a host                   %m  launch.slurm.mpi
 *     %o  :OVERSUBSCRIBE, on this machine       %c  launch.slurm.cpus_per_task
 */
#ifndef LAUNCHER_H
#define LAUNCHER_H

#include "jobs/launch.h"

#define LAUNCHER_TEXTS 6

struct launcher {
    const char *name;      /* for people: "Open MPI 4"                                          */
    const char *says[LAUNCHER_TEXTS];    /* its version contains one of these texts             */
    const char *program;   /* it is started instead of a script `mpirun` next to it; or NULL    */
    const char *as_root;   /* words for the user root, or ""                                    */
    const char *always;    /* words of every start, and of a question to a host                 */
    const char *hosts;     /* where hosts were named ...                                        */
    const char *here;      /* ... and where not                                                 */
    const char *count;     /* how many processes                                                */
    const char *bound, *unbound;         /* each to cores of its own                            */
    const char *threads, *own_threads;   /* threads from here, or from run.threads              */
    const char *pass;      /* word in front of a variable's name; NULL: it passes all on        */
    const char *probe;     /* words that start one process on one host; NULL: as any process    */
    int         plain_signal;  /* after a signal S, its exit code is S; 0: 128 + S              */
};

/* The launcher that prints this text when it is asked for its version; NULL: an unknown one. */
const struct launcher *launcher_of(const char *text);

/* Set l->by and l->mpirun, if they are not set: srun in a job that starts with srun; else
 * launch.mpirun, the variable MPIRUN, or the mpirun of the MPI that this program was built with.
 * Then check that it can be told the hosts.
 *
 * returns  OK; ERR_MISSING or ERR_CONFIG, reported */
int launcher_find(struct launch *l);

/* Append the words that start the run, or that start `true` on a host, which must be its only one. */
void launcher_words(struct words *w, const struct launch *l);
void launcher_probe(struct words *w, const struct launch *l);

/* The signal that ended a process, from the launcher's exit code; 0: there was none. */
int launcher_signal(const struct launcher *by, int exit_code);

#endif
