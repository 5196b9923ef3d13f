/* SPDX-License-Identifier: Apache-2.0 */
/* ttt bench prep: tokens per second of ttt prep, compared with the SentencePiece library alone. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "data_prep/find.h"
#include "data_prep/format.h"
#include "data_prep/pipeline.h"
#include "data_prep/prep.h"
#include "data_prep/generated.h"
#include "mpi/bench/cmd_bench.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/data/dataset.h"
#include "src/data/sentencepiece_c.h"

static const char about[] =
    "Measure ttt prep on FILE... (without any, on --mb million bytes of generated words) with -j N\n"
    "threads: reading, encoding, compressing, hashing, fsync. The limit is the SentencePiece\n"
    "library on one thread, measured in the same run, with whole documents or with lines,\n"
    "whichever is faster. The shards are first read back and compared with what the library\n"
    "gives for whole documents.\n"
    "\n"
    "example\n"
    "  ttt bench prep corpus.txt --tokenizer tokenizer.model -j 8";

struct request {
    struct prep_options o;
    const char *dir;
    int64_t pieces, mb, repeat, threads;
    int json;
};

/* Documents as the library sees them, and its tokens of them all, <s> and </s> included. */
struct texts { char **text; int64_t *n, count; };
struct tokens { int32_t *v; int64_t n, room; };

/* --- text ------------------------------------------------------------------------- */

static int write_texts(const char *folder, int64_t mb)
{
    int rc = OK;

    TRY(dir_make(folder));
    for (int64_t i = 0; i < 4 * mb && rc == OK; i++) {
        int64_t n = 250000;
        char *path = mem_format("%s/%04lld.txt", folder, (long long)i), *text = generated_text(&n, i);
        rc = file_replace(path, text, (size_t)n);
        mem_free(text);
        mem_free(path);
    }
out:
    return rc;
}

static int choose(void *arg, const struct record *r)
{
    (void)arg;
    (void)r;
    return 0;
}

static int take(void *arg, struct doc *d)
{
    struct texts *t = arg;
    if ((t->count & (t->count - 1)) == 0) {
        const int64_t room = t->count ? 2 * t->count : 1;
        t->text = mem_resize(t->text, room, sizeof *t->text, "documents");
        t->n = mem_resize(t->n, room, sizeof *t->n, "documents");
    }
    t->text[t->count] = d->r.raw;
    t->n[t->count++] = d->r.n;
    d->r.raw = NULL;
    return OK;
}

static int read_texts(struct texts *t, const struct prep_options *o)
{
    struct inputs in = { 0 };
    int rc = OK;

    for (int i = 0; i < o->inputs_n; i++) {
        if (!strcmp(o->inputs[i], "-"))
            TRY(fail(ERR_USAGE, "ttt bench prep reads files several times: no standard input"));
        TRY(inputs_add(&in, o->inputs[i], NULL));
    }
    struct pipeline p = { .in = &in, .field = o->field, .threads = 1, .skip_bad = o->skip_bad,
                          .what = "reading", .choose = choose, .take = take, .arg = t };
    TRY(pipeline_run(&p));
out:
    inputs_done(&in);
    return rc;
}

/* --- the library alone ---------------------------------------------------------------- */

static void take_ids(void *arg, const int *ids, size_t n)
{
    struct tokens *t = arg;
    if (t->n + (int64_t)n > t->room) {
        t->room = 2 * t->room + (int64_t)n;
        t->v = mem_resize(t->v, t->room, sizeof *t->v, "tokens");
    }
    memcpy(t->v + t->n, ids, n * sizeof *ids);
    t->n += (int64_t)n;
}

/* How text goes to the library. */
enum cut { WHOLE, LINES, CUTS };

static int64_t cut_end(enum cut how, const char *text, int64_t n, int64_t from)
{
    const char *newline = how == LINES ? memchr(text + from, '\n', (size_t)(n - from)) : NULL;
    return newline ? newline - text + 1 : n;
}

/* Everything once; returns seconds, or less than 0 after an error.  Lines may have other tokens at
 * their ends than whole documents, which are compared. */
static double encode(struct tokens *out, const struct texts *x, enum cut how,
                     const struct tokenizer *t, const struct spm *s)
{
    const int32_t bos = tokenizer_bos(t), eos = tokenizer_eos(t);
    const double start = clock_s();
    char why[SPM_WHY];

    out->n = 0;
    for (int64_t i = 0; i < x->count; i++) {
        const char *text = x->text[i];
        take_ids(out, &bos, 1);
        for (int64_t from = 0, to; from < x->n[i]; from = to) {
            to = cut_end(how, text, x->n[i], from);
            if (spm_encode(s, text + from, (size_t)(to - from), take_ids, out, why) == 0) continue;
            fail(ERR_DATA, "SentencePiece can't encode: %s", why);
            return -1;
        }
        take_ids(out, &eos, 1);
    }
    return clock_s() - start;
}

/* --- ttt prep ------------------------------------------------------------------------- */

/* The shards hold exactly the ids that the library returns. */
static int verify(const char *set, const struct tokens *want)
{
    enum { N = 1 << 16 };
    struct dataset *d = NULL;
    int32_t *got = mem_new(N, sizeof *got, "tokens");
    int rc;

    TRY(dataset_open(&d, set));
    TRY(dataset_verify(d, NULL, NULL));
    if (dataset_tokens(d) != want->n)
        TRY(fail(ERR_DATA, "ttt prep made %lld tokens, the library %lld",
                 (long long)dataset_tokens(d), (long long)want->n));
    for (int64_t at = 0, n; at < want->n; at += n) {
        n = want->n - at < N ? want->n - at : N;
        TRY(dataset_read(d, got, at, n));
        for (int64_t i = 0; i < n; i++)
            if (got[i] != want->v[at + i])
                TRY(fail(ERR_DATA, "token %lld is %d, the library says %d", (long long)(at + i),
                         got[i], want->v[at + i]));
    }
out:
    dataset_close(d);
    mem_free(got);
    return rc;
}

/* ttt prep saves its own sign for a space, which the library would lose. */
static int same_signs(const struct texts *x)
{
    for (int64_t i = 0; i < x->count; i++)
        if (memmem(x->text[i], (size_t)x->n[i], "\xe2\x96\x81", 3))
            return fail(ERR_CONFIG, "document %lld holds U+2581, which SentencePiece can't tell "
                        "from a space: measure with other text", (long long)i);
    return OK;
}

struct work {
    struct request   *q;
    char             *folder, *made, *set, *model;
    struct texts      texts;
    struct tokens     whole, scratch;
    struct tokenizer *tokenizer;
    char             *bytes;     /* of the model's file */
    struct spm       *spm;
};

/* The tokenizer: the one that was named, or one that ttt prep trains first. */
static int get_tokenizer(struct work *w)
{
    struct prep_options *o = &w->q->o;
    char why[SPM_WHY], *trained = mem_format("%s/tokenizer.model", w->set);
    size_t n = 0;
    int rc;

    if (!o->tokenizer) {
        o->train_tokenizer = (int)w->q->pieces;
        TRY(prep_run(o));
        o->train_tokenizer = 0;
        TRY(file_slurp(&w->bytes, &n, trained, TOKENIZER_MAX_BYTES));
        TRY(file_replace(w->model, w->bytes, n));
        o->tokenizer = w->model;
    } else TRY(file_slurp(&w->bytes, &n, o->tokenizer, TOKENIZER_MAX_BYTES));
    TRY(tokenizer_open(&w->tokenizer, "sentencepiece", o->tokenizer));
    w->spm = spm_new(w->bytes, n, why);
    if (!w->spm) TRY(fail(ERR_DATA, "%s: %s", o->tokenizer, why));
out:
    mem_free(trained);
    return rc;
}

static int begin(struct work *w)
{
    struct prep_options *o = &w->q->o;
    int rc;

    TRY(bench_folder(&w->folder, w->q->dir));
    w->made = mem_format("%s/text", w->folder);
    w->set = mem_format("%s/set", w->folder);
    w->model = mem_format("%s/model", w->folder);
    o->out = w->set;
    if (!o->inputs_n) {
        TRY(write_texts(w->made, w->q->mb));
        o->inputs = &w->made;
        o->inputs_n = 1;
    }
    TRY(get_tokenizer(w));
    TRY(read_texts(&w->texts, o));
    TRY(same_signs(&w->texts));
    if (encode(&w->whole, &w->texts, WHOLE, w->tokenizer, w->spm) < 0) TRY(ERR_DATA);
    TRY(prep_run(o));
    TRY(verify(w->set, &w->whole));
out:
    return rc;
}

static void end(struct work *w)
{
    if (w->set && path_is_dir(w->set)) (void)dir_remove(w->set);
    if (w->made && path_is_dir(w->made)) (void)dir_remove(w->made);
    if (w->folder) (void)dir_remove(w->folder);
    for (int64_t i = 0; i < w->texts.count; i++) mem_free(w->texts.text[i]);
    void *all[] = { w->texts.text, w->texts.n, w->whole.v, w->scratch.v, w->bytes, w->folder,
                    w->made, w->set, w->model };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    tokenizer_close(w->tokenizer);
    spm_free(w->spm);
}

/* --- measuring -------------------------------------------------------------------------- */

/* Seconds of ttt prep, and of the library in each way. */
static void print(const struct work *w, double prep_s, const double alone_s[CUTS])
{
    const struct request *q = w->q;
    const double tokens = (double)w->whole.n, rate = tokens / prep_s;
    const double alone = tokens / fmin(alone_s[WHOLE], alone_s[LINES]);
    const double share = rate / alone / (double)q->threads;
    double bytes = 0;

    for (int64_t i = 0; i < w->texts.count; i++) bytes += (double)w->texts.n[i];
    printf(q->json
               ? "{\"bench\": \"prep\", \"documents\": %lld, \"text_bytes\": %.0f, \"tokens\": "
                 "%.0f, \"threads\": %lld, \"library_tok_per_s\": %.6g, \"whole_tok_per_s\": %.6g, "
                 "\"lines_tok_per_s\": %.6g, \"tok_per_s\": %.6g, \"share_of_library\": %.5g}\n"
               : "prep      %lld documents, %.0f bytes, %.0f tokens, %lld threads\n"
                 "  library   %9.0f tokens/s on one thread: whole documents %.0f, lines %.0f\n"
                 "  ttt prep  %9.0f tokens/s, shards and hashes included = %.3f of "
                 "as many times the library\n  verified  all tokens are the library's\n",
           (long long)w->texts.count, bytes, tokens, (long long)q->threads, alone,
           tokens / alone_s[WHOLE], tokens / alone_s[LINES], rate, share);
}

static int measure(struct work *w)
{
    const int n = (int)w->q->repeat;
    double *s = mem_new((CUTS + 1) * (int64_t)n, sizeof *s, "times"), *prep = s + CUTS * n;
    double alone[CUTS];
    int rc = OK;

    for (int i = 0; i < n; i++) {
        for (int c = 0; c < CUTS; c++) {
            s[c * n + i] = encode(&w->scratch, &w->texts, c, w->tokenizer, w->spm);
            if (s[c * n + i] < 0) TRY(ERR_DATA);
        }
        const double start = clock_s();
        TRY(prep_run(&w->q->o));
        prep[i] = clock_s() - start;
    }
    for (int c = 0; c < CUTS; c++) alone[c] = bench_median(s + c * n, n);
    print(w, bench_median(prep, n), alone);
out:
    mem_free(s);
    return rc;
}

int cmd_bench_prep(int argc, char **argv)
{
    struct request q = { .o = { .field = "text", .from_stdin = format_row(0), .restart = 1,
                                .skip_bad_max = 1,
                                .cut = { .block_tokens = 65536, .shard_tokens = 100000000,
                                         .level = 3 } },
                         .pieces = 8000, .mb = 8, .repeat = 3, .threads = omp_get_max_threads() };
    struct work w = { .q = &q };
    struct arg_rest rest;
    int rc;
    const struct arg args[] = {
        { "j", ARG_INT, &q.threads, "N", "number of threads of ttt prep (default all)" },
        { "tokenizer", ARG_TEXT, &q.o.tokenizer, "FILE", "a SentencePiece model" },
        { "pieces", ARG_INT, &q.pieces, "N",
          "pieces of the model that is trained without --tokenizer (8000)" },
        { "mb", ARG_INT, &q.mb, "N", "million bytes of words without FILE (8)" },
        { "field", ARG_TEXT, &q.o.field, "NAME", "field of a JSON line with the text (text)" },
        { "repeat", ARG_INT, &q.repeat, "N", "number of timed repetitions (3)" },
        { "dir", ARG_TEXT, &q.dir, "DIR", "folder for the files (default $TMPDIR or /tmp)" },
        { "json", ARG_FLAG, &q.json, NULL, "print one JSON object" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                   "ttt bench prep [FILE...]", about));
    if (rest.n < 0) return OK;
    if (q.threads < 1 || q.threads > 1024 || q.pieces < 260 || q.pieces > 1000000 || q.mb < 1 ||
        q.mb > 10000 || q.repeat < 1 || q.repeat > 1000)
        TRY(fail(ERR_USAGE, "ttt bench prep: -j, --pieces, --mb or --repeat is out of range"));
    q.o.inputs = rest.v;
    q.o.inputs_n = rest.n;
    q.o.threads = (int)q.threads;
    log_level(LOG_RUN);
    TRY(begin(&w));
    TRY(measure(&w));
out:
    end(&w);
    return rc;
}
