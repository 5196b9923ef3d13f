/* SPDX-License-Identifier: Apache-2.0 */
/* soap_parts.h -- what grid_soap.c, soap_step.c and soap_spread.c share. */
#ifndef SOAP_PARTS_H
#define SOAP_PARTS_H

#include "mpi/grid/grid.h"
#include "mpi/soap/soap_matrix.h"
#include "src/model/soap_plan.h"
#include "src/optim/adamw.h"

/* A run of elements of one matrix that goes from one process to one other, and back. */
struct soap_piece {
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
    struct soap_piece         *piece; /* (n_pieces) where we are `from` or `to`          */
    int                   n_pieces;
    MPI_Request          *request;
    struct span          *rest;
    int                   n_rest;
    real                 *runs;  /* own elements, one piece after another           */
    real                 *work;
    struct blacs          rest_grid[2], step_grid[2];  /* of replicas, of ends      */
    int64_t               updates;
    int                   kept_factors;       /* since the last refresh             */
    struct soap_trouble   trouble;
};

#endif
