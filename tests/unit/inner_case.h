/* SPDX-License-Identifier: Apache-2.0 */
/* inner_case.h -- a mini-batch of random numbers for tests of the inner loop, and all that it
 * gives. */
#ifndef INNER_CASE_H
#define INNER_CASE_H

#include "src/kernels/inner.h"
#include "tests/unit/numeric.h"

struct inner_case {
    const struct inner *f;
    struct inner_in     in;
    struct inner_reals  size;
    /* What `in` points to, and the state before. */
    real *queries, *keys, *values, *rates, *tok, *gamma, *beta, *state;
    real *work;
};

/* scale * noise + mean */
static inline real *scaled(int64_t n, uint64_t seed, double scale, double mean)
{
    real *x = noise(n, seed);
    for (int64_t i = 0; i < n; i++) x[i] = (real)(mean + scale * (double)x[i]);
    return x;
}

/* r rows of heads of width F, a whole mini-batch; released by release(). */
static inline struct inner_case inner_case(const struct inner *f, int r, int F)
{
    const int64_t rF = (int64_t)r * F;
    struct inner_case c = {
        .f = f, .size = inner_reals(f, r, F), .queries = noise(rF, 1), .keys = noise(rF, 2),
        .values = noise(rF, 3), .rates = scaled((int64_t)inner_token_rates(f) * r, 4, 0.02, 0),
        .tok = scaled(r, 5, 0.3, 1), .gamma = scaled(F, 6, 0.2, 1), .beta = scaled(F, 7, 0.2, 0),
    };
    c.state = scaled(c.size.state, 8, 0.2, 0);
    c.work = noise(c.size.work, 9);
    c.in = (struct inner_in){ .Q = c.queries, .X = c.keys, .V = c.values, .lr = c.rates,
                              .tok = c.tok, .gamma = c.gamma, .beta = c.beta, .r = r, .F = F,
                              .ld = r, .complete = 1, .loss = f->loss, .eps = (real)1e-6 };
    return c;
}

/* Row i of a case as a call of its own. */
static inline struct inner_in inner_case_row(const struct inner_in *in, int i)
{
    struct inner_in row = *in;
    row.Q += i * in->F;
    row.X += i * in->F;
    row.V += i * in->F;
    row.lr += i;
    row.tok += i;
    row.at += i;
    row.r = 1;
    row.complete = in->complete && i == in->r - 1;
    return row;
}

/* What a mini-batch gives, forward and backward.  dstate is the gradient of the state before when
 * that of the state after is dnext; grads has those of all inputs. */
struct inner_outcome {
    real   *O, *next, *igrad, *dstate, *all_grads;
    struct inner_grad grads;
    int64_t n_grads;
    double  loss;
};

static inline struct inner_outcome inner_outcome(const struct inner_case *c)
{
    const struct inner_in *in = &c->in;
    const int64_t rF = (int64_t)in->r * in->F, rates = (int64_t)inner_token_rates(c->f) * in->ld;
    struct inner_outcome o = {
        .O = noise(rF, 10), .next = noise(c->size.state, 11), .igrad = noise(c->size.sum, 12),
        .dstate = scaled(c->size.state, 13, 0.1, 0), .n_grads = 3 * rF + rates + in->r + 2 * in->F,
    };
    real *g = o.all_grads = zeros(o.n_grads), *dO = noise(rF, 14);
    real *kept = noise(c->size.kept, 15), *saved = noise(c->size.saved, 16);
    const struct inner_tape tape = { c->state, kept, saved };
    const struct inner_result to = { o.O, in->complete ? o.next : NULL, o.igrad, kept, &o.loss };

    o.grads = (struct inner_grad){ g, g + rF, g + 2 * rF, g + 3 * rF, g + 3 * rF + rates,
                                   g + 3 * rF + rates + in->r,
                                   g + 3 * rF + rates + in->r + in->F };
    inner_batch_forward(c->f, &to, c->state, in, c->work);
    real *again = noise(c->size.state, 17);
    inner_batch_replay(c->f, &tape, in->complete ? again : NULL, in, c->work);
    if (in->complete) assert_same(again, o.next, c->size.state);
    inner_batch_backward(c->f, &o.grads, o.dstate, dO, &tape, in, c->work);
    return o;
}

/* The largest difference, compared with the largest number or 1. */
static inline double inner_distance(const real *x, const real *y, int64_t n)
{
    double off = 0, most = 1;
    for (int64_t i = 0; i < n; i++) {
        off = fmax(off, fabs((double)(x[i] - y[i])));
        most = fmax(most, fabs((double)y[i]));
    }
    return off / most;
}

#endif
