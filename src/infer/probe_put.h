/* SPDX-License-Identifier: Apache-2.0 */
/* probe_put.h -- the tensors of a probe, made one by one: for one process (probe.c) and for a
 * grid (mpi/infer/grid_probe.c).
 */
#ifndef PROBE_PUT_H
#define PROBE_PUT_H

#include "src/infer/probe.h"

#define PROBE_INNER_GROUP 4

struct probe {
    struct tensor *t;
    int            n;
};

/* What was asked for, in one place. */
struct probe_input {
    const struct model *m;
    const int32_t      *tok;    /* (B,L) */
    int                 B, L;
};

/* Are all tokens in the vocabulary of the model?  OK, or ERR_CONFIG, reported. */
int probe_check(const struct probe_input *in);

/* A new tensor of reals, named by a format; zero. */
real *probe_put(struct probe *p, int ndim, const int64_t *shape, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Logits and losses of T tokens of sequence b from t0 on, x (T,C) after the final norm, to their
 * places in logits (B,L,V) and nll (B,L-1). */
void probe_score(const struct probe_input *in, real *logits, double *nll, const real *x, int b,
                 int64_t t0, int T);

/* Tensors nll and loss. */
void probe_put_losses(struct probe *p, const struct probe_input *in, const double *nll);

/* Part i of layer l's carry of sequences [b0, b0 + B); carry NULL: zeros for now.
 * returns 0 past the last */
int probe_put_state(struct probe *p, const struct probe_input *in, int l, int i,
                    const real *carry, int b0, int B);

/* tail.* of all layers, from state.* and igrad.*; nothing if no mini-batch is unfinished. */
void probe_put_tails(struct probe *p, const struct probe_input *in);

/* Tensors w0, before, after (layers, n); v (3, layers, stride).  The rows of layers without an
 * inner loop are NAN. */
void probe_put_inner(struct probe *p, const struct probe_input *in, const double *v, int n,
                     int64_t stride);

#endif
