/* SPDX-License-Identifier: Apache-2.0 */
/* openmp.h -- check the environment variables of OpenMP before a thread is started.
 *
 * The library does not check them: with OMP_NUM_THREADS=99999999999 it asks for more memory than
 * there is, it ignores values that it cannot read, and a stack that is too small ends in a crash.
 */
#ifndef OPENMP_H
#define OPENMP_H

#include <stdint.h>

#define OPENMP_THREADS 4096               /* of a process, at most                     */
#define OPENMP_STACK ((int64_t)2 << 20)   /* bytes that a thread needs (param/grad.c)   */

/* Local.  returns OK; ERR_USAGE, reported, with the variable or limit and what it may be */
int openmp_check(void);

/* Use one thread for each core that this process may use (cpus.h), not one for each hardware thread,
 * unless the user asked for a number (OMP_NUM_THREADS) or for threads bound by OpenMP.  Where ttt
 * launch has set that variable it is an upper limit: a process that got fewer cores takes fewer.
 * Local, before threads are started. */
void openmp_threads(void);

#endif
