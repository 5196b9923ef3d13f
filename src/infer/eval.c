/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/eval.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>

#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/dataset.h"
#include "src/infer/eval_sums.h"

/* B windows side by side, a slice of at most T tokens of each at once. */
struct window_reader {
    const struct model     *m;
    struct dataset         *d;
    const struct eval_opts *o;
    struct eval_sums        sums;
    int            B, T;
    int            read_now;  /* tokens of the slice that is being read */
    struct stream *stream;
    int32_t       *read, *tok, *target;  /* (T+1), (B,T), (B,T) */
    real          *x;                    /* (B,T,C) */
    double        *nll;                  /* (B,T) */
};

/* Tokens of a slice of a window. */
static int slice_of(const struct model *m, int64_t length)
{
    const int K = m->dims.K, whole = EVAL_SLICE < K ? K : EVAL_SLICE / K * K;
    return length < whole ? (int)eval_rows(length, K) : whole;
}

static void reader_init(struct window_reader *r, int B, int64_t length)
{
    const int T = slice_of(r->m, length);
    const int64_t N = (int64_t)B * T;

    r->B = B;
    r->T = T;
    r->stream = stream_new(r->m, B, T);
    r->read = mem_new(T + 1, sizeof *r->read, "evaluation tokens");
    r->tok = mem_new(N, sizeof *r->tok, "evaluation tokens");
    r->target = mem_new(N, sizeof *r->target, "evaluation tokens");
    r->x = mem_new(N * r->m->dims.C, sizeof *r->x, "evaluation hidden states");
    r->nll = mem_new(N, sizeof *r->nll, "evaluation losses");
}

static void reader_done(struct window_reader *r)
{
    stream_free(r->stream);
    mem_free(r->read);
    mem_free(r->tok);
    mem_free(r->target);
    mem_free(r->x);
    mem_free(r->nll);
    *r = (struct window_reader){ .m = r->m, .d = r->d, .o = r->o, .sums = r->sums };
}

static void add_inner(void *ctx, int l, int n, const double *w0, const double *before,
                      const double *after)
{
    struct window_reader *r = ctx;
    const int whole = r->read_now / r->m->dims.K;
    eval_sums_inner(&r->sums, l, n < whole ? n : whole, w0, before, after);
}

/* A slice of B windows, T tokens each: the first begins at token `first`, t0 tokens of its
 * window.  The last slice of a window is filled up with tokens that are not scored. */
static int read_slice(struct window_reader *r, int64_t first, int64_t length, int64_t t0, int T)
{
    const struct stream_tap tap = { .ctx = r, .inner = add_inner };
    const int rows = (int)eval_rows(T, r->m->dims.K);
    int rc = OK;

    for (int b = 0; b < r->B; b++) {
        int32_t *tok = r->tok + b * rows, *target = r->target + b * rows;
        TRY(dataset_read(r->d, r->read, first + b * length, T + 1));
        for (int t = 0; t < T; t++) {
            const int32_t next = r->read[t + 1];
            tok[t] = r->read[t];
            target[t] = next == r->o->mask_token ? -1 : next;
        }
        for (int t = T; t < rows; t++) {
            tok[t] = 0;
            target[t] = -1;
        }
    }
    r->read_now = T;
    stream_read(r->stream, r->x, r->tok, rows, r->sums.L ? &tap : NULL);
    for (int b = 0; b < r->B; b++) {  /* each as if alone, so that its bits are its own */
        double *nll = r->nll + b * rows;
        const int32_t *target = r->target + b * rows;
        model_nll(r->m, nll, r->x + (int64_t)b * rows * r->m->dims.C, target, rows);
        eval_sums_nll(&r->sums, first + b * length + 1, t0 + 1, nll, target, T);
    }
    rc = eval_sums_check(&r->sums);
out:
    return rc;
}

/* B windows of `length` predictions from token `first` on, slice by slice. */
static int read_group(struct window_reader *r, int64_t first, int64_t length)
{
    int rc = OK;

    stream_reset(r->stream);
    for (int64_t t0 = 0; rc == OK && t0 < length; t0 += r->T) {
        TRY(FAILPOINT("eval.slice"));
        if (r->o->asked && r->o->asked()) return ERR_SAVED;
        rc = read_slice(r, first + t0, length, t0, length - t0 < r->T ? (int)(length - t0) : r->T);
    }
out:
    return rc;
}

/* Enough rows for the matrix products, enough heads for the threads. */
static int choose_batch(const struct model *m, const struct eval_opts *o, int64_t length)
{
    if (o->inner) return 1;
    if (o->batch > 0) return o->batch;
    const int64_t rows = length < EVAL_SLICE ? EVAL_SLICE / length : 1;
    const int64_t heads = (omp_get_max_threads() + m->dims.H - 1) / m->dims.H;
    return (int)(rows > heads ? rows : heads);
}

int64_t eval_memory(const struct dims *d, int in_bf16, const struct eval_opts *o)
{
    struct model *m;

    check(model_shape(&m, d) == OK);
    if (in_bf16) model_use_bf16(m, 0);
    const int B = choose_batch(m, o, o->context), T = slice_of(m, o->context);
    const int64_t bytes = stream_bytes(m, B, T, o->context) + model_nll_bytes(m, T) +
                          (int64_t)B * T * (d->C * (int64_t)sizeof(real) +
                                            (int64_t)sizeof(double));
    model_free(m);
    return bytes;
}

static int read_windows(struct window_reader *r, int64_t first, int64_t count, int64_t length)
{
    const int batch = count ? choose_batch(r->m, r->o, length) : 1;
    int rc = OK;

    while (count > 0) {
        const int B = count < batch ? (int)count : batch;
        if (B != r->B) {
            reader_done(r);
            reader_init(r, B, length);
        }
        TRY(read_group(r, first, length));
        first += B * length;
        count -= B;
    }
out:
    reader_done(r);
    return rc;
}

int eval_run(struct eval_result *r, const struct model *m, struct dataset *d,
             const struct eval_opts *o)
{
    struct window_reader reader = { .m = m, .d = d, .o = o };
    const double start = clock_s();
    int64_t n;
    int rc = OK;

    *r = (struct eval_result){ .tokens = 0 };
    TRY(eval_targets(&n, m, d, o));
    eval_sums_init(&reader.sums, d, n, o->context, o->inner ? m->dims.L : 0);
    const int64_t longest = reader.sums.longest;
    TRY(read_windows(&reader, 0, n / longest, longest));
    TRY(read_windows(&reader, n / longest * longest, n % longest > 0, n % longest));
    TRY(eval_bytes(&r->bytes, d, n));
    TRY(eval_finish(r, &reader.sums, n, o));
    r->seconds = clock_s() - start;
out:
    eval_sums_done(&reader.sums);
    return rc;
}

void eval_line(char text[EVAL_LINE], const struct eval_result *r)
{
    int n = snprintf(text, EVAL_LINE, "%.4f nats/token, perplexity %.4g, ", r->nats, r->ppl);
    if (r->bits_per_byte == r->bits_per_byte)
        n += snprintf(text + n, EVAL_LINE - (size_t)n, "%.4f bits/byte, ", r->bits_per_byte);
    if (r->unk_tokens)
        n += snprintf(text + n, EVAL_LINE - (size_t)n,
                      "no bits/byte because %lld tokens are <unk> and hide text, ",
                      (long long)r->unk_tokens);
    snprintf(text + n, EVAL_LINE - (size_t)n, "%lld tokens in %.1f s", (long long)r->tokens,
             r->seconds);
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

json_t *eval_json(const struct eval_result *r)
{
    json_t *buckets = json_array();

    for (int k = 0; k < r->n_buckets; k++) {
        const struct eval_bucket *b = &r->bucket[k];
        json_array_append_new(buckets, json_pack("{s:I, s:I, s:I, s:o, s:o}",
            "first", (json_int_t)b->first, "last", (json_int_t)b->last,
            "tokens", (json_int_t)b->tokens, "nats_per_token", number(b->nats),
            "perplexity", number(exp(b->nats))));
    }
    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:o, s:I, s:f, s:o}",
        "nats_per_token", number(r->nats), "perplexity", number(r->ppl),
        "bits_per_byte", number(r->bits_per_byte), "tokens", (json_int_t)r->tokens,
        "unk_tokens", (json_int_t)r->unk_tokens,
        "bytes", r->bytes ? json_integer(r->bytes) : json_null(),
        "windows", (json_int_t)r->windows, "seconds", r->seconds, "by_position", buckets);
}
