/* soap_parts.h -- what grid_soap.c, soap_step.c and soap_spread.c share. */
#ifndef SOAP_PARTS_H
#define SOAP_PARTS_H

#include "mpi/grid/blacs.h"
#include "mpi/soap/grid_soap.h"
#include "src/model/soap_plan.h"
#include "src/optim/soap.h"

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

/* A run of elements of one matrix that goes from one process to one other, and back. */
struct piece {
    int     matrix;
    int     from, to;            /* on the matrix's axis: owner of tiles, of the matrix */
    int64_t begin, n;            /* in the flat array                               */
    real   *run, *rest;          /* ours, if we are `from`, `to`                    */
};

struct soap {
    const struct grid    *g;
    const struct model   *m;
    struct optim_opts     o;
    struct matrix        *a;     /* (n)                                             */
    int                   n;
    struct piece         *piece; /* (n_pieces) where we are `from` or `to`          */
    int                   n_pieces;
    MPI_Request          *request;
    struct span          *rest;
    int                   n_rest;
    real                 *runs;  /* own elements, piece behind piece                */
    real                 *work;
    struct blacs          rest_grid[2], step_grid[2];  /* of replicas, of ends      */
    int64_t               updates;
    int                   kept_factors;       /* since the last refresh             */
    struct soap_trouble   trouble;
};

/* Elements of an array (matrices, rows, cols) that this process has; the i-th of its own tiles, in
 * order: its number, and where it is in the array and in memory.  returns 0 past the last */
struct own_tile { int64_t number, at, n, local; };
int matrix_tile(const struct matrix *a, int rows, int cols, int64_t i, struct own_tile *tile);
int64_t matrix_local(const struct matrix *a, int rows, int cols);

#endif
