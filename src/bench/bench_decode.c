/* SPDX-License-Identifier: Apache-2.0 */
/* `ttt bench decode` and `prefill`: one sequence, token by token and a prompt at once. */
#include <math.h>
#include <stdio.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"
#include "src/model/flops.h"

#define SLICE 1024
#define FEW 20      /* tokens that are read both ways           */
#define SINGLY 16   /* tokens one by one, at least, a repetition */

struct reading {
    struct model  *m;
    struct stream *s;
    int            bf16, T;
    int32_t       *tok;      /* (T)                 */
    real          *x;        /* (T,C)               */
    real          *logits;   /* (V) of the last one */
};

/* repeat: how often tokens will be read one by one. */
static int reading_init(struct reading *r, const struct conf *c, int repeat)
{
    struct dims d;
    int rc;

    conf_dims(c, &d);
    TRY(model_check_window(&d, FEW + (int64_t)repeat * (d.K < SINGLY ? SINGLY : d.K)));
    TRY(model_new(&r->m, &d));
    model_init(r->m, (uint64_t)c->run.seed);
    r->bf16 = c->train.precision == PRECISION_BF16;
    if (r->bf16) model_use_bf16(r->m, 0);
    model_all_weights_changed(r->m);
    r->T = c->train.context < SLICE ? c->train.context : SLICE;
    r->s = stream_new(r->m, 1, r->T);
    r->tok = mem_new(r->T, sizeof *r->tok, "tokens");
    r->x = mem_new((int64_t)r->T * d.C, sizeof *r->x, "hidden states");
    r->logits = mem_new(d.V, sizeof *r->logits, "logits");
    const uint64_t key = rng_key((uint64_t)c->run.seed, "tokens");
    for (int i = 0; i < r->T; i++)
        r->tok[i] = (int32_t)(rng_u64(key, (uint64_t)i) % (uint64_t)d.V);
out:
    return rc;
}

static void reading_done(struct reading *r)
{
    stream_free(r->s);
    model_free(r->m);
    mem_free(r->tok);
    mem_free(r->x);
    mem_free(r->logits);
}

static void read_prompt(void *ctx)
{
    struct reading *r = ctx;
    stream_reset(r->s);
    stream_read(r->s, r->x, r->tok, r->T, NULL);
}

/* Whole mini-batches of tokens, one by one, with the logits after each. */
static void read_singly(struct reading *r, int n)
{
    for (int i = 0; i < n; i++) {
        stream_next(r->s, r->x, &r->tok[i]);
        model_next_logits(r->m, r->logits, r->x);
    }
}

/* Both ways through the same tokens lead to the same logits. */
static int verify(struct reading *r)
{
    const struct dims *d = &r->m->dims;
    const int few = r->T < FEW ? r->T : FEW;
    real *want = mem_new(d->V, sizeof *want, "logits");
    double off = 0, scale = 0;

    stream_read(r->s, r->x, r->tok, few, NULL);
    model_next_logits(r->m, want, r->x + (int64_t)(few - 1) * d->C);
    stream_reset(r->s);
    read_singly(r, few);
    for (int i = 0; i < d->V; i++) {
        off = fmax(off, fabs((double)(r->logits[i] - want[i])));
        scale = fmax(scale, fabs((double)want[i]));
    }
    mem_free(want);
    /* In bf16 a prompt's activations are rounded, a token's are not. */
    if (off <= (r->bf16 ? 0.05 : 1e-3) * scale) return OK;
    return fail(ERR_DATA, "logits token by token are off by %g of %g", off, scale);
}

/* Bytes of the weights that a token needs: all but the rows of an untied embedding. */
static double weight_bytes(const struct model *m)
{
    double sum = 0;
    for (int i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.p[i];
        if (i == m->i_embed && i != m->i_head) continue;
        sum += (double)p->n * (m->bf16 && m->bf16->w[i].forward ? sizeof(bf16) : sizeof(real));
    }
    return sum;
}

static void decode(struct reading *r, const struct bench_opts *o, double gbytes)
{
    const int n = r->m->dims.K < SINGLY ? SINGLY : r->m->dims.K;
    double *s = mem_new(o->repeat, sizeof *s, "times");

    for (int i = 0; i < o->repeat; i++) {
        const double start = clock_s();
        read_singly(r, n < r->T ? n : r->T);
        s[i] = (clock_s() - start) / (n < r->T ? n : r->T);
    }
    const double each = bench_median(s, o->repeat), bytes = weight_bytes(r->m);
    const double rate = 1e-9 * bytes / each;
    printf(o->json ? "{\"bench\": \"decode\", \"layer\": \"%s\", \"precision\": \"%s\", "
                     "\"threads\": %d, \"tok_per_s\": %.6g, \"weight_bytes\": %.0f, \"gbytes_per_s\": %.5g, "
                     "\"read_gbytes_per_s\": %.5g, \"share_of_read\": %.5g}\n"
                   : "decode   %s  %s  %d threads  %.1f tokens/s: %.0f bytes of weights each, %.1f "
                     "of %.1f GB/s = %.3g of reading\n",
           r->m->dims.layer, r->bf16 ? "bf16" : "fp32", o->threads, 1 / each, bytes, rate, gbytes,
           rate / gbytes);
    mem_free(s);
}

static void prefill(struct reading *r, const struct bench_opts *o, const struct bench_limits *l)
{
    const double seconds = bench_time(read_prompt, r, o->repeat) / r->T;
    const double flops = 1e-9 * flops_blocks(r->m, r->T);
    printf(o->json ? "{\"bench\": \"prefill\", \"layer\": \"%s\", \"precision\": \"%s\", "
                     "\"threads\": %d, \"tokens\": %d, \"tok_per_s\": %.6g, \"gflops\": %.5g, "
                     "\"gemm_gflops\": %.5g, \"share_of_gemm\": %.5g, \"peak_gflops\": %.5g, "
                     "\"share_of_peak\": %.5g}\n"
                   : "prefill  %s  %s  %d threads  %d tokens  %.1f tokens/s: %.1f GFLOP/s, of "
                     "dense products' %.1f = %.3g, of the peak's %.1f = %.3g\n",
           r->m->dims.layer, r->bf16 ? "bf16" : "fp32", o->threads, r->T, 1 / seconds,
           flops / seconds, l->gemm, flops / seconds / l->gemm, l->peak, flops / seconds / l->peak);
}

int bench_decode(const struct bench_opts *o, const char *file, const struct arg_list *sets,
                 int prompt)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct reading r = { .m = NULL };
    struct bench_limits l = { 0 };
    double triad, limit;
    int rc;

    TRY(bench_conf(c, file, sets, 0));
    TRY(reading_init(&r, c, o->repeat));
    TRY(verify(&r));
    if (prompt) {
        TRY(bench_limits(o, r.bf16, &l));
        prefill(&r, o, &l);
    } else {
        TRY(bench_stream(o, 0, &triad, &limit));
        decode(&r, o, limit);
    }
out:
    reading_done(&r);
    mem_free(c);
    return rc;
}
