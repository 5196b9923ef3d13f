/* SPDX-License-Identifier: Apache-2.0 */
/* eval.h -- the loss (perplexity) of a model on a data set.
 *
 *   tokens   |<----- context ----->|<----- context ----->|<- rest ->|
 *   reads    0 1 2 ...             c c+1 ...
 *   predicts   1 2 ...          c  c+1 ...
 *
 * Windows follow each other; each starts from the initial state, and every token
 * of the data set except the first is predicted exactly once.  A window is read
 * in slices through the carries of a stream, so its length costs no memory and
 * may be far longer than the context of training.
 *
 * Sums are integers (base/fixed.h): threads, slices and how many windows are
 * read at once change no bit.
 */
#ifndef EVAL_H
#define EVAL_H

#include <jansson.h>
#include <stdint.h>

#include "src/model/model.h"

struct dataset;

#define EVAL_BUCKETS 48

/* Inner losses of a layer: at the initial state, before and after the step of
 * a mini-batch; means over everything that was read.  NAN of a layer without an inner loop. */
struct eval_inner { double w0, before, after; };

struct eval_opts {
    int64_t context;      /* tokens read in a window, >= 1                         */
    int64_t max_tokens;   /* targets looked at, from the data set's start; 0: all  */
    int     mask_token;   /* targets with this id are not scored; -1: none         */
    int     batch;        /* windows read side by side; 0: as the threads like it  */
    int   (*asked)(void); /* not NULL: give up once it returns anything but 0         */
    struct eval_inner *inner;  /* [out] (L), or NULL: not wanted; windows are then
                                * read one by one                                  */
};

/* Positions [first, last] of a window, counted in tokens read before the
 * prediction: powers of two, and the last bucket ends at the context. */
struct eval_bucket {
    int64_t first, last;
    int64_t tokens;       /* scored                                                */
    double  nats;         /* mean per scored token; NAN if there was none          */
};

struct eval_result {
    double  nats, ppl;    /* mean per scored token, and its exponential            */
    double  bits_per_byte;  /* all nats in bits, over the bytes of the text; NAN: not known,
                             * or the text that <unk> hides would count as predicted     */
    int64_t tokens;       /* scored                                                */
    int64_t unk_tokens;   /* of them, those that are <unk>                         */
    int64_t bytes;        /* of the text that was looked at; 0: not known          */
    int64_t windows;
    double  seconds;
    int     n_buckets;    /* 1 + log2 of the longest window, about                 */
    struct eval_bucket bucket[EVAL_BUCKETS];
};

/* Read the data set (or the first max_tokens of it) and score it.
 *
 * Local; threads inside.  Bytes are those of the source text when all of it was
 * looked at; of a part, those that its tokens decode to (a character cut at an
 * edge counts as what is left of it), not known without the tokenizer's file.
 *
 * returns OK; ERR_CONFIG if the vocabularies do not fit or there is nothing to
 * score; ERR_DATA, ERR_IO of the data set; ERR_DIVERGED if a loss was not
 * finite; ERR_SAVED if it was asked to give up.  *r is complete only with OK */
int eval_run(struct eval_result *r, const struct model *m, struct dataset *d,
             const struct eval_opts *o);

/* Bytes that eval_run() asks for with a model of these dims, its products in bf16 if
 * `in_bf16`.  Local. */
int64_t eval_memory(const struct dims *d, int in_bf16, const struct eval_opts *o);

/* One line for logs: "3.7281 nats/token, perplexity 41.60, 1.395 bits/byte, ...". */
#define EVAL_LINE 240
void eval_line(char text[EVAL_LINE], const struct eval_result *r);

/* As a JSON object; NAN becomes null.  The caller's. */
json_t *eval_json(const struct eval_result *r);

#endif
