/* SPDX-License-Identifier: Apache-2.0 */
/* soap_matrix.h -- one matrix of SOAP, and which elements of its state this process holds.
 *
 * A matrix belongs to one process (owner), or is spread (SOAP_SPREAD): then its tiles are dealt out
 * in turn to all processes of its axis.
 */
#ifndef SOAP_MATRIX_H
#define SOAP_MATRIX_H

#include "mpi/grid/blacs.h"
#include "src/optim/soap.h"
#include "src/store/ckpt_parts.h"

/* A parameter that this process holds; pointers are NULL where it has no part of the state. */
struct matrix {
    int                param;
    struct factored    f;
    const struct axis *axis;     /* who holds it                                    */
    int                owner;    /* on axis, or SOAP_SPREAD                         */
    int                tensor;   /* its first one among the factors                 */
    struct soap_state  s;
    real              *g;        /* gradient, then direction                        */
    const struct blacs *rest, *grid;   /* of one that is spread                     */
};

/* Allocate the part of the state that is here, zero, with the identity as bases; and release it.
 * Local. */
void matrix_init(struct matrix *a);
void matrix_done(struct matrix *a);

/* Elements of an array (matrices, rows, cols) that this process has.  Local. */
int64_t matrix_local(const struct matrix *a, int rows, int cols);

/* Own tiles of such an array as places of a checkpoint's tensor.  Local.
 *
 * places   [out] (number of own tiles), or NULL
 * base     own elements of the array
 * returns  the number of own tiles */
int64_t matrix_places(struct place *places, const struct matrix *a, int rows, int cols, int tensor,
                      real *base);

#endif
