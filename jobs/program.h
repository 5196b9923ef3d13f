/* SPDX-License-Identifier: Apache-2.0 */
/* program.h -- the program that a job keeps, whatever is installed meanwhile.
 *
 *     RUN/program/0123456789abcdef/ttt    a copy, in a folder named by the hash of its content
 *                                  job    the SLURM job that began with it
 *
 * Restarts that took the path which the launcher was started by would start what lies there by then:
 * nothing, or another build.  So the launcher copies itself into the run's folder, which all nodes
 * see, and each of its starts takes the copy.  A hard link would save space, but changes with the
 * file when a new program is copied over the old one, which NFS permits even while that runs.
 * All functions are local.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

struct program {
    char *path;        /* what is started: the copy, or the installed program  */
    char *installed;   /* where this program lay when it was started           */
    char *dir;         /* the folder of the copy; NULL: there is none          */
    char  name[17];    /* of that folder                                       */
    int   told;        /* that another program is installed now                */
};

/* Copy this program into the folder of a run, and remove copies of other programs there.  Where that
 * is not possible (a file system without programs or without room), a warning says so, and p->path
 * is the installed program.
 *
 * p        [out] release with program_done()
 * job      the SLURM job that this runs in, or "" */
void program_keep(struct program *p, const char *run, const char *job);

/* Before a restart: report once if another program, or none, is installed now.
 *
 * here     1: all processes run on this machine, so that without a copy this process's own file can
 *          be started, even if it was removed */
void program_again(struct program *p, int here);

/* Forget it; `over`: also remove the copy, since nothing will start it any more. */
void program_done(struct program *p, int over);

/* At the start of a requeued job: if the job began with another program, which is still in the run's
 * folder, become that one.  argv: the words after the program's name.  Returns only if there is
 * nothing to do, or if it failed, reported. */
void program_resume(const char *run, const char *job, char **argv);

#endif
