/* SPDX-License-Identifier: Apache-2.0 */
/* proof.h -- a run promises equal bits; before it starts, it checks what that rests on, with this
 * processor and these libraries.
 *
 *     our own products       a row has the same bits among any number of rows, anywhere among
 *                            them, and for any number of threads; in fp32, and in bf16 with AMX,
 *                            they are those of the formula [E48], [E49]
 *     small ones, OpenBLAS's the same call gives the same bits in every thread (smm.h, lapack.h)
 *
 * It takes a few milliseconds and tries some shapes, not all: tests/unit/test_gemm.c tries more.
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

/* Check what a run with p rests on.  Local; threads inside.
 *
 * why      [out] what does not hold: the library, its version, the instructions, what it does
 * returns  OK or ERR_CONFIG, not logged: see job_prove() in mpi/grid/agree.h */
int proof_run(char why[PROOF_TEXT], const struct proof_of *p);

/* For tests: a function that makes rows [n0, n0 + n) of a product of PROOF_ROWS rows and
 * PROOF_COLUMNS columns into y. */
enum { PROOF_ROWS = 67, PROOF_COLUMNS = 70 };
typedef void proof_rows(void *ctx, real *y, int n0, int n);

/* NULL, or in words what is wrong with such a product.  Local; threads inside. */
const char *proof_of_rows(proof_rows *f, void *ctx);

#endif
