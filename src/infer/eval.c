#include "src/infer/eval.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>

#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/fixed.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/dataset.h"
#include "src/data/token.h"

#define SLICE 1024          /* rows at once: enough for the matrix products */
#define DECODE_TOKENS 65536

struct sums {
    struct fixed all, bucket[EVAL_BUCKETS];
    int64_t      n[EVAL_BUCKETS];
    struct fixed *inner;    /* (L,3), or NULL */
    int64_t      *inner_n;  /* (L) mini-batches */
};

/* B windows side by side, a slice of at most T tokens of each at once. */
struct reader {
    const struct model     *m;
    struct dataset         *d;
    const struct eval_opts *o;
    int64_t        longest;   /* window of this run */
    int            B, T;
    struct stream *stream;
    int32_t       *read, *tok, *target;  /* (T+1), (B,T), (B,T) */
    real          *x;                    /* (B,T,C) */
    double        *nll;                  /* (B,T) */
};

static void reader_init(struct reader *r, int B, int64_t length)
{
    const int K = r->m->dims.K, whole = SLICE < K ? K : SLICE / K * K;
    const int T = length < whole ? (int)length : whole;
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

static void reader_done(struct reader *r)
{
    stream_free(r->stream);
    mem_free(r->read);
    mem_free(r->tok);
    mem_free(r->target);
    mem_free(r->x);
    mem_free(r->nll);
    *r = (struct reader){ .m = r->m, .d = r->d, .o = r->o, .longest = r->longest };
}

static int log2_floor(int64_t n)
{
    int k = 0;
    while (n >>= 1) k++;
    return k;
}

/* Bucket of position p >= 1; the context itself belongs to the bucket before
 * it, or a context that is a power of two would end in a bucket of one. */
static int bucket_of(int64_t p, int64_t longest)
{
    return log2_floor(p < longest || p == 1 ? p : longest - 1);
}

static void add_inner(void *ctx, int l, int n, const double *w0, const double *before,
                      const double *after)
{
    struct sums *s = ctx;
    for (int k = 0; k < n; k++) {
        const double v[3] = { w0[k], before[k], after[k] };
        for (int i = 0; i < 3; i++)
            if (fabs(v[i]) < 0x1p42) fixed_add(&s->inner[3 * l + i], v[i]);
    }
    s->inner_n[l] += n;
}

static int add_losses(struct sums *s, const struct reader *r, int64_t first, int64_t length,
                      int64_t t0, int T)
{
    for (int b = 0; b < r->B; b++) {
        for (int t = 0; t < T; t++) {
            const int i = b * T + t;
            if (r->target[i] < 0) continue;
            if (!(fabs(r->nll[i]) < 0x1p42))
                return fail(ERR_DIVERGED, "the loss of token %lld of the data set is not finite",
                            (long long)(first + b * length + t0 + t + 1));
            const int k = bucket_of(t0 + t + 1, r->longest);
            fixed_add(&s->all, r->nll[i]);
            fixed_add(&s->bucket[k], r->nll[i]);
            s->n[k]++;
        }
    }
    return OK;
}

/* B windows of `length` predictions from token `first` on, slice by slice. */
static int read_group(struct sums *s, struct reader *r, int64_t first, int64_t length)
{
    const struct stream_tap tap = { .ctx = s, .inner = add_inner };
    int rc = OK;

    stream_reset(r->stream);
    for (int64_t t0 = 0; t0 < length; t0 += r->T) {
        const int T = length - t0 < r->T ? (int)(length - t0) : r->T;
        for (int b = 0; b < r->B; b++) {
            TRY(dataset_read(r->d, r->read, first + b * length + t0, T + 1));
            for (int t = 0; t < T; t++) {
                const int32_t next = r->read[t + 1];
                r->tok[b * T + t] = r->read[t];
                r->target[b * T + t] = next == r->o->mask_token ? -1 : next;
            }
        }
        stream_read(r->stream, r->x, r->tok, T, s->inner ? &tap : NULL);
        for (int b = 0; b < r->B; b++)  /* each as if alone, so that its bits are its own */
            model_nll(r->m, r->nll + b * T, r->x + (int64_t)b * T * r->m->dims.C,
                      r->target + b * T, T);
        TRY(add_losses(s, r, first, length, t0, T));
    }
out:
    return rc;
}

/* Enough rows for the matrix products, enough heads for the threads. */
static int choose_batch(const struct model *m, const struct eval_opts *o, int64_t length)
{
    if (o->inner) return 1;
    if (o->batch > 0) return o->batch;
    const int64_t rows = length < SLICE ? SLICE / length : 1;
    const int64_t heads = (omp_get_max_threads() + m->dims.H - 1) / m->dims.H;
    return (int)(rows > heads ? rows : heads);
}

static int read_windows(struct sums *s, struct reader *r, int64_t first, int64_t count,
                        int64_t length)
{
    const int batch = count ? choose_batch(r->m, r->o, length) : 1;
    int rc = OK;

    while (count > 0) {
        const int B = count < batch ? (int)count : batch;
        if (B != r->B) {
            reader_done(r);
            reader_init(r, B, length);
        }
        TRY(read_group(s, r, first, length));
        first += B * length;
        count -= B;
    }
out:
    reader_done(r);
    return rc;
}

/* Bytes that tokens [1, n] decode to; 0 without the tokenizer's file. */
static int decoded_bytes(int64_t *bytes, struct dataset *d, int64_t n)
{
    struct tokenizer *t = NULL;
    struct hash hash;
    const char *path, *kind = dataset_tokenizer(d, &path, &hash);
    int32_t *ids = NULL;
    int rc = OK;

    *bytes = 0;
    if (path && !path_exists(path)) return OK;
    TRY(tokenizer_open(&t, kind, path));
    ids = mem_new(DECODE_TOKENS, sizeof *ids, "tokens to decode");
    for (int64_t i = 1; i <= n; i += DECODE_TOKENS) {
        const int64_t count = n + 1 - i < DECODE_TOKENS ? n + 1 - i : DECODE_TOKENS;
        char *text;
        int64_t length;
        TRY(dataset_read(d, ids, i, count));
        TRY(tokenizer_decode(t, ids, count, &text, &length));
        mem_free(text);
        *bytes += length;
    }
out:
    mem_free(ids);
    tokenizer_close(t);
    return rc;
}

static void finish(struct eval_result *r, const struct sums *s, const struct eval_opts *o,
                   int64_t longest, int L)
{
    const double nats = fixed_value(s->all);

    r->n_buckets = bucket_of(longest, longest) + 1;
    for (int k = 0; k < r->n_buckets; k++) {
        r->bucket[k] = (struct eval_bucket){
            .first = (int64_t)1 << k,
            .last = k + 1 < r->n_buckets ? ((int64_t)2 << k) - 1 : longest,
            .tokens = s->n[k],
            .nats = s->n[k] ? fixed_value(s->bucket[k]) / (double)s->n[k] : NAN
        };
        r->tokens += s->n[k];
    }
    r->nats = nats / (double)r->tokens;
    r->ppl = exp(r->nats);
    r->bits_per_byte = r->bytes ? nats / log(2.0) / (double)r->bytes : NAN;
    for (int l = 0; o->inner && l < L; l++) {
        const double n = (double)s->inner_n[l];
        o->inner[l] = (struct eval_inner){ fixed_value(s->inner[3 * l]) / n,
                                           fixed_value(s->inner[3 * l + 1]) / n,
                                           fixed_value(s->inner[3 * l + 2]) / n };
    }
}

int eval_run(struct eval_result *r, const struct model *m, struct dataset *d,
             const struct eval_opts *o)
{
    const int64_t all = dataset_tokens(d) - 1;
    const int64_t n = o->max_tokens > 0 && o->max_tokens < all ? o->max_tokens : all;
    const int64_t longest = n < o->context ? n : o->context;
    struct reader reader = { .m = m, .d = d, .o = o, .longest = longest };
    struct sums sums = { .inner = NULL };
    const double start = clock_s();
    int rc = OK;

    *r = (struct eval_result){ .tokens = 0 };
    if (dataset_vocab(d) > m->dims.V)
        return fail(ERR_CONFIG, "the data set has token ids below %d, the model knows %d",
                    dataset_vocab(d), m->dims.V);
    if (o->context < 1) return fail(ERR_CONFIG, "a context of %lld tokens", (long long)o->context);
    if (n < 1) return fail(ERR_CONFIG, "the data set has nothing to predict: %lld tokens",
                           (long long)(all + 1));

    if (o->inner) {
        sums.inner = mem_new(3 * m->dims.L, sizeof *sums.inner, "inner losses");
        sums.inner_n = mem_new(m->dims.L, sizeof *sums.inner_n, "inner losses");
    }
    r->windows = (n + longest - 1) / longest;
    TRY(read_windows(&sums, &reader, 0, n / longest, longest));
    TRY(read_windows(&sums, &reader, n / longest * longest, n % longest > 0, n % longest));
    if (n == all) r->bytes = dataset_text_bytes(d);
    else TRY(decoded_bytes(&r->bytes, d, n));
    finish(r, &sums, o, longest, m->dims.L);
    r->seconds = clock_s() - start;
    if (!r->tokens) rc = fail(ERR_CONFIG, "every token that was looked at is masked");
out:
    mem_free(sums.inner);
    mem_free(sums.inner_n);
    return rc;
}

void eval_line(char text[EVAL_LINE], const struct eval_result *r)
{
    int n = snprintf(text, EVAL_LINE, "%.4f nats/token, perplexity %.4g, ", r->nats, r->ppl);
    if (r->bits_per_byte == r->bits_per_byte)
        n += snprintf(text + n, EVAL_LINE - (size_t)n, "%.4f bits/byte, ", r->bits_per_byte);
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
    return json_pack("{s:o, s:o, s:o, s:I, s:o, s:I, s:f, s:o}",
        "nats_per_token", number(r->nats), "perplexity", number(r->ppl),
        "bits_per_byte", number(r->bits_per_byte), "tokens", (json_int_t)r->tokens,
        "bytes", r->bytes ? json_integer(r->bytes) : json_null(),
        "windows", (json_int_t)r->windows, "seconds", r->seconds, "by_position", buckets);
}
