/* SPDX-License-Identifier: Apache-2.0 */
/* eval_sums.h -- what an evaluation adds up, and what it makes of it.
 *
 * The sums are integers (base/fixed.h), so it does not matter which process reads which token:
 * eval.c adds all to one struct, mpi/infer/grid_eval.c to one per process, and then adds those.
 */
#ifndef EVAL_SUMS_H
#define EVAL_SUMS_H

#include "src/base/fixed.h"
#include "src/infer/eval.h"

#define EVAL_SLICE 1024     /* rows at once: enough for the matrix products */

/* Rows that are read for n tokens: whole mini-batches, because an unfinished one may round
 * differently, as may a matrix product of one row (gemm.h).  So it does not matter what stands
 * after the end of a window. */
static inline int64_t eval_rows(int64_t n, int K)
{
    const int64_t rows = (n + K - 1) / K * K;
    return rows > 1 ? rows : 2;
}

struct eval_sums {
    int64_t      longest;   /* window                                                      */
    int          unk;       /* id of <unk>; -1: none                                       */
    int64_t      bad;       /* smallest token whose loss is not finite; INT64_MAX: none     */
    int          L;         /* layers of inner[]; 0: not wanted                            */
    /* All that is to be added up over processes, in one piece. */
    int64_t      count;     /* of integers in v                                            */
    int64_t     *v;         /* all, <unk>, then buckets: hi, lo, tokens; then layers: 3 x
                             * hi, lo, mini-batches; owned                                 */
};

/* How many targets there are to look at; ERR_CONFIG if things do not fit. */
int eval_targets(int64_t *n, const struct model *m, const struct dataset *d,
                 const struct eval_opts *o);

/* n: targets.  L: layers, or 0 if inner losses are not wanted. */
void eval_sums_init(struct eval_sums *s, const struct dataset *d, int64_t n, int64_t context,
                    int L);
void eval_sums_done(struct eval_sums *s);

/* Losses of n targets; the first is token `token` of the data set and was predicted from
 * `position` tokens of its window.  Targets < 0 are not scored. */
void eval_sums_nll(struct eval_sums *s, int64_t token, int64_t position, const double *nll,
                   const int32_t *target, int n);

/* Inner losses of n mini-batches of layer l, means over heads and tokens. */
void eval_sums_inner(struct eval_sums *s, int l, int n, const double *w0, const double *before,
                     const double *after);

/* ERR_DIVERGED, reported, if a loss was not finite. */
int eval_sums_check(const struct eval_sums *s);

/* Bytes of the text that targets 1..n stand for; 0: not known.  ERR_DATA, ERR_IO of reading. */
int eval_bytes(int64_t *bytes, struct dataset *d, int64_t n);

/* r from the sums; r->bytes must be there.  ERR_CONFIG if nothing was scored. */
int eval_finish(struct eval_result *r, const struct eval_sums *s, int64_t n,
                const struct eval_opts *o);

#endif
