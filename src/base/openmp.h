/* openmp.h -- what the environment says to OpenMP, looked at before a thread is started.
 *
 * The library believes all of it: with OMP_NUM_THREADS=99999999999 it asks for memory that nobody
 * has, what it can't read it leaves out, and a stack that is too small ends in a crash.
 */
#ifndef OPENMP_H
#define OPENMP_H

#include <stdint.h>

#define OPENMP_THREADS 4096               /* of a process, at most                     */
#define OPENMP_STACK ((int64_t)1 << 20)   /* bytes that a thread needs (kernels/gemm.c) */

/* Local.  returns OK; ERR_USAGE, said, with the variable or the limit and what it may be */
int openmp_check(void);

#endif
