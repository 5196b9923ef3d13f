/* SPDX-License-Identifier: Apache-2.0 */
/* patience.h -- does mpirun leave enough time to save a checkpoint when it is asked to end?
 *
 * Open MPI 4's mpirun answers SIGTERM, SIGINT and SIGHUP like this, with T seconds of the parameter
 * odls_base_sigkill_timeout (1 by default):
 *
 *     0       SIGCONT to every process
 *     T       SIGTERM: the run saves when its step ends
 *     2 T     SIGKILL; mpirun ends with 1, whatever its processes ended with
 *
 * ttt launch sends SIGUSR1 instead, which mpirun passes on at once and without a limit.  A user who
 * starts mpirun by hand gets a warning while there is still time to choose.
 */
#ifndef PATIENCE_H
#define PATIENCE_H

/* Warn if mpirun would kill this process before it can finish a step and save.  Local.
 *
 * need_s   seconds that a step and a checkpoint may take together
 * returns  whether it warned: once is enough */
int patience_warn(double need_s);

#endif
