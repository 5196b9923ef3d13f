/* proof.h -- before a run promises equal bits it tries whether this processor and these libraries
 * keep what they rest on.
 *
 *     our own products      a row has the same bits among any number of rows, anywhere among them,
 *                           for any number of threads; in fp32 those of the three loops (gemm.h)
 *     oneDNN's, with AMX    the same of bf16 products (gemm_bf16.h)
 *     libxsmm's, OpenBLAS'  the same call gives the same bits in every thread (smm.h, lapack.h)
 *
 * A few milliseconds.  It tries some shapes and not all: tests/unit/test_gemm.c tries more.
 */
#ifndef PROOF_H
#define PROOF_H

#include "src/base/real.h"

/* What a run uses. */
struct proof_of {
    int bf16;      /* products with bf16 operands too                      */
    int K, F;      /* rows of a mini-batch, width of a head: small products */
    int lapack;    /* decompositions (SOAP)                                */
};

#define PROOF_TEXT 256

/* Local; threads inside.
 * why      [out] what does not hold: the library, its version, the instructions, what it does
 * returns  OK or ERR_CONFIG, not logged: mpi/grid/agree.h job_prove() tells for all processes */
int proof_run(char why[PROOF_TEXT], const struct proof_of *p);

/* For tests: rows [n0, n0 + n) of a product of PROOF_ROWS rows, PROOF_COLUMNS columns, into y. */
enum { PROOF_ROWS = 67, PROOF_COLUMNS = 70 };
typedef void proof_rows(void *ctx, real *y, int n0, int n);

/* NULL, or what is wrong with it. */
const char *proof_of_rows(proof_rows *f, void *ctx);

#endif
