/* SPDX-License-Identifier: Apache-2.0 */
/* `ttt bench latency`: what a token costs by the length of the context, system by system.
 *
 *   tokens  |--- prefill ---|d|--- prefill ---|d|------ prefill ------|d|   d: decoded one by one
 *                           1024              2048                    4096
 *
 * One sequence is read to the longest context; in front of each length the last tokens are decoded,
 * so that every number is measured after all tokens before it.  Systems take turns. */
#include <jansson.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/bench/cmd_bench.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/conf/conf_model.h"
#include "src/infer/start_model.h"
#include "src/model/model.h"

#define MOST_SYSTEMS 8
#define MOST_CONTEXTS 24
#define SLICE 512  /* tokens of a prompt that are read at once */

static const char usage[] = "ttt bench latency [RUN.yaml ...]";
static const char about[] =
    "Measure inference for contexts from --from to --to, doubling, one sequence at a time:\n"
    "  prefill  seconds to read a prompt of that length, divided by its tokens\n"
    "  decode   median seconds to read one more token and compute the next\n"
    "The files describe models, which have random weights; without files they are the paper's\n"
    "four systems with 125 million parameters. Reports from which context on TTT-Linear is faster\n"
    "than the Transformer.\n"
    "\n"
    "example\n"
    "  ttt bench latency config/compare/*.yaml --to 8192";

struct system {
    char          name[64];
    struct model *m;
    double       *prefill;  /* (contexts, repeat) seconds a token */
    double       *decode;   /* (contexts, repeat, tokens) seconds */
};

struct latency {
    struct system s[MOST_SYSTEMS];
    int     systems, contexts, repeat, tokens;
    int64_t context[MOST_CONTEXTS];
};

/* --- systems ------------------------------------------------------------------ */

static int add_system(struct latency *l, const struct conf *c, const char *name)
{
    struct system *s = &l->s[l->systems];
    struct dims d;

    conf_dims(c, &d);
    int rc = model_check_window(&d, l->context[l->contexts - 1]);
    if (rc == OK) rc = model_new(&s->m, &d);
    if (rc != OK) return rc;
    l->systems++;
    model_init(s->m, 1);
    snprintf(s->name, sizeof s->name, "%s", name);
    s->prefill = mem_new((int64_t)l->contexts * l->repeat, sizeof *s->prefill, "times");
    s->decode = mem_new((int64_t)l->contexts * l->repeat * l->tokens, sizeof *s->decode, "times");
    return OK;
}

/* The four systems of the paper; the other keys of 125m are defaults. */
static const char *const four[] = {
    "model: {layer: ttt_linear}", "model: {layer: ttt_mlp, inner_lr: 0.1}",
    "model: {layer: attention}", "model: {layer: mamba, layers: 24, ffn_width: 0}",
};

static int add_systems(struct latency *l, const struct arg_rest *files, struct arg_list *sets)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    int rc = OK;

    for (int i = 0; i < files->n; i++) {
        TRY(conf_read(c, files->v[i], sets->v, sets->n, &start_models));
        conf_report_model(c);
        TRY(add_system(l, c, c->run.name));
    }
    for (int i = 0; !files->n && i < 4; i++) {
        char text[128];
        snprintf(text, sizeof text, "data: {train: none}\n%s\n", four[i]);
        TRY(conf_parse(c, text, strlen(text), "defaults", sets->v, sets->n, &start_models));
        TRY(add_system(l, c, c->model.layer));
    }
out:
    mem_free(c);
    return rc;
}

static void latency_done(struct latency *l)
{
    for (int i = 0; i < l->systems; i++) {
        model_free(l->s[i].m);
        mem_free(l->s[i].prefill);
        mem_free(l->s[i].decode);
    }
}

/* --- measuring ------------------------------------------------------------------ */

/* One model's reading of one sequence. */
struct reading {
    const struct model *m;
    struct stream      *stream;
    int                 slice;
    int32_t            *tok;     /* (slice)   */
    real               *x;       /* (slice,C) */
    real               *logits;  /* (V)       */
};

static void reading_init(struct reading *r, const struct model *m)
{
    const int K = m->dims.K;
    *r = (struct reading){ .m = m, .slice = SLICE < K ? K : SLICE / K * K };
    r->stream = stream_new(m, 1, r->slice);
    r->tok = mem_new(r->slice, sizeof *r->tok, "tokens");
    r->x = mem_new((int64_t)r->slice * m->dims.C, sizeof *r->x, "hidden states");
    r->logits = mem_new(m->dims.V, sizeof *r->logits, "logits");
}

static void reading_done(struct reading *r)
{
    stream_free(r->stream);
    mem_free(r->tok);
    mem_free(r->x);
    mem_free(r->logits);
}

/* Read T random tokens, the same at the same place; one as generation does when `alone`; seconds.
 *  */
static double read_tokens(struct reading *r, int T, int alone)
{
    const uint64_t key = rng_key(1, "latency");
    const int64_t pos = stream_pos(r->stream);

    for (int t = 0; t < T; t++)
        r->tok[t] = (int32_t)(rng_u64(key, (uint64_t)(pos + t)) % (uint64_t)r->m->dims.V);
    const double start = clock_s();
    if (alone) stream_next(r->stream, r->x, r->tok);
    else stream_read(r->stream, r->x, r->tok, T, NULL);
    return clock_s() - start;
}

/* Read to token `to` slice by slice, with the logits of the last one; seconds. */
static double prefill_to(struct reading *r, int64_t to)
{
    double seconds = 0;
    int T = 1;

    for (int64_t left; (left = to - stream_pos(r->stream)) > 0;) {
        T = left < r->slice ? (int)left : r->slice;
        seconds += read_tokens(r, T, 0);
    }
    const double start = clock_s();
    model_next_logits(r->m, r->logits, r->x + (int64_t)(T - 1) * r->m->dims.C);
    return seconds + clock_s() - start;
}

static double decode_one(struct reading *r)
{
    const double seconds = read_tokens(r, 1, 1), start = clock_s();
    model_next_logits(r->m, r->logits, r->x);
    return seconds + clock_s() - start;
}

/* Tokens decoded in front of a context: whole mini-batches, so that reading continues in slices. */
static int decoded(const struct latency *l, const struct model *m)
{
    const int K = m->dims.K;
    return K > l->tokens ? l->tokens : (l->tokens + K - 1) / K * K;
}

static void measure(struct latency *l, struct system *s, int repetition)
{
    struct reading r;
    double seconds = 0;
    int64_t read = 0;

    reading_init(&r, s->m);
    for (int c = 0; c < l->contexts; c++) {
        const int64_t from = l->context[c] - decoded(l, s->m), at = (int64_t)c * l->repeat;
        read += from - stream_pos(r.stream);
        seconds += prefill_to(&r, from);
        s->prefill[at + repetition] = seconds / (double)read;
        for (int i = 0; stream_pos(r.stream) < l->context[c]; i++) {
            const double one = decode_one(&r);
            if (i < l->tokens) s->decode[(at + repetition) * l->tokens + i] = one;
        }
    }
    reading_done(&r);
}

/* Decoding must compute what reading at once computes. */
static int verify(const struct system *s)
{
    enum { T = 48, FIRST = 16 };
    struct reading all, some;
    double worst = 0, most = 0;

    reading_init(&all, s->m);
    reading_init(&some, s->m);
    prefill_to(&all, T);
    prefill_to(&some, FIRST);
    while (stream_pos(some.stream) < T) decode_one(&some);
    for (int v = 0; v < s->m->dims.V; v++) {
        worst = fmax(worst, fabs((double)(all.logits[v] - some.logits[v])));
        most = fmax(most, fabs((double)all.logits[v]));
    }
    reading_done(&all);
    reading_done(&some);
    if (most > 0 && worst <= 1e-2 * most) return OK;
    return fail(ERR_DATA, "%s: decoded logits differ by %g of %g from those read at once", s->name,
                worst, most);
}

/* --- results ------------------------------------------------------------------ */

/* Medians of context c; the arrays are sorted in passing. */
static double prefill_of(const struct latency *l, const struct system *s, int c)
{
    return bench_median(s->prefill + (int64_t)c * l->repeat, l->repeat);
}

static double decode_of(const struct latency *l, const struct system *s, int c)
{
    const int n = l->repeat * l->tokens;
    return bench_median(s->decode + (int64_t)c * n, n);
}

typedef double number(const struct latency *l, const struct system *s, int c);

static const struct system *with_layer(const struct latency *l, const char *layer)
{
    for (int i = 0; i < l->systems; i++)
        if (!strcmp(l->s[i].m->dims.layer, layer)) return &l->s[i];
    return NULL;
}

/* The context from which on TTT-Linear needs less than the Transformer, interpolated; 0: at every
 * length, -1: at none, NAN: they are not both there. */
static double crossing(const struct latency *l, number *f)
{
    const struct system *a = with_layer(l, "ttt_linear"), *b = with_layer(l, "attention");
    double before = 0;
    int c = l->contexts;

    if (!a || !b) return NAN;
    while (c > 0 && f(l, a, c - 1) < f(l, b, c - 1)) c--;
    if (c == 0) return 0;
    if (c == l->contexts) return -1;
    before = f(l, a, c - 1) - f(l, b, c - 1);
    const double now = f(l, b, c) - f(l, a, c);
    return (double)l->context[c - 1] +
           (double)(l->context[c] - l->context[c - 1]) * before / (before + now);
}

static void print_table(const struct latency *l, const char *what, number *f)
{
    printf("\n%s, ms a token\n  %8s", what, "context");
    for (int i = 0; i < l->systems; i++) printf(" %14s", l->s[i].name);
    for (int c = 0; c < l->contexts; c++) {
        printf("\n  %8lld", (long long)l->context[c]);
        for (int i = 0; i < l->systems; i++) printf(" %14.3f", 1e3 * f(l, &l->s[i], c));
    }
    printf("\n  %8s", "last/1st");
    for (int i = 0; i < l->systems; i++)
        printf(" %14.2f", f(l, &l->s[i], l->contexts - 1) / f(l, &l->s[i], 0));
    printf("\n");
    const double at = crossing(l, f);
    if (at == 0) printf("  TTT-Linear is faster than the Transformer at every length\n");
    else if (at < 0) printf("  TTT-Linear is slower than the Transformer at the longest\n");
    else if (at > 0) printf("  TTT-Linear is faster than the Transformer from %.0f tokens\n", at);
}

static json_t *numbers(const struct latency *l, const struct system *s, number *f)
{
    json_t *list = json_array();
    for (int c = 0; c < l->contexts; c++) json_array_append_new(list, json_real(f(l, s, c)));
    return list;
}

static json_t *crossing_json(const struct latency *l, number *f)
{
    const double at = crossing(l, f);
    return at >= 0 ? json_real(at) : json_null();
}

static void print_json(const struct latency *l, const struct bench_opts *o)
{
    json_t *contexts = json_array(), *systems = json_array();

    for (int c = 0; c < l->contexts; c++)
        json_array_append_new(contexts, json_integer(l->context[c]));
    for (int i = 0; i < l->systems; i++) {
        const struct system *s = &l->s[i];
        json_array_append_new(systems, json_pack(
            "{s:s, s:s, s:I, s:o, s:o}", "name", s->name, "layer", s->m->dims.layer, "parameters",
            (json_int_t)s->m->params.n, "prefill_s_per_token", numbers(l, s, prefill_of),
            "decode_s_per_token", numbers(l, s, decode_of)));
    }
    json_t *all = json_pack("{s:s, s:i, s:i, s:o, s:o, s:o, s:o}", "bench", "latency", "threads",
                            o->threads, "repeat", l->repeat, "context", contexts, "systems",
                            systems, "ttt_linear_faster_prefill_from",
                            crossing_json(l, prefill_of), "ttt_linear_faster_decode_from",
                            crossing_json(l, decode_of));
    char *text = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6));
    check(text);
    puts(text);
    free(text);
    json_decref(all);
}

static void report(const struct latency *l, const struct bench_opts *o)
{
    if (o->json) {
        print_json(l, o);
        return;
    }
    printf("one sequence, %d threads, real %s, medians of %d\n", o->threads, REAL_DTYPE, l->repeat);
    for (int i = 0; i < l->systems; i++)
        printf("  %-16s %s, %.1f M parameters\n", l->s[i].name, l->s[i].m->dims.layer,
               1e-6 * (double)l->s[i].m->params.n);
    print_table(l, "prefill", prefill_of);
    print_table(l, "decode", decode_of);
}

int cmd_bench_latency(int argc, char **argv)
{
    int64_t from = 1024, to = 32768, tokens = 32, repeat = 3, threads = 0;
    struct bench_opts o = { 0 };
    struct latency *l = mem_new(1, sizeof *l, "latency");
    struct arg_list sets = { 0 };
    struct arg_rest rest;
    int rc = OK;
    const struct arg args[] = {
        { "from", ARG_INT, &from, "N", "shortest context (1024)" },
        { "to", ARG_INT, &to, "N", "longest context (32768)" },
        { "tokens", ARG_INT, &tokens, "N", "tokens to decode after each context (32)" },
        { "repeat", ARG_INT, &repeat, "N", "number of sequences (3)" },
        { "threads", ARG_INT, &threads, "N", "number of threads; 0: OMP_NUM_THREADS or all cores" },
        { "set", ARG_LIST, &sets, "KEY=VALUE", "override a key of every system" },
        { "json", ARG_FLAG, &o.json, NULL, "one JSON object" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, usage, about));
    if (rest.n < 0) goto out;
    if (rest.n > MOST_SYSTEMS || tokens < 1 || tokens > 4096 || repeat < 1 || repeat > 1000 ||
        from < 2 * tokens || to < from || to > 1 << 24 || threads < 0 || threads > OPENMP_THREADS)
        TRY(fail(ERR_USAGE, "%s: at most %d files; --from must be twice --tokens or more, --to at "
                 "least --from", usage, MOST_SYSTEMS));
    if (threads) omp_set_num_threads((int)threads);
    o.threads = omp_get_max_threads();
    l->repeat = (int)repeat;
    l->tokens = (int)tokens;
    for (int64_t n = from; n <= to && l->contexts < MOST_CONTEXTS; n *= 2)
        l->context[l->contexts++] = n;
    TRY(add_systems(l, &rest, &sets));
    for (int i = 0; i < l->systems; i++) TRY(verify(&l->s[i]));
    for (int n = 0; n < l->repeat; n++)
        for (int i = 0; i < l->systems; i++) measure(l, &l->s[i], n);
    report(l, &o);
out:
    latency_done(l);
    mem_free(l);
    return rc;
}
