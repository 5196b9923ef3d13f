/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/pipeline.h"

#include <stdio.h>
#include <unistd.h>

#include "data_prep/document.h"
#include "data_prep/json_field.h"
#include "src/base/clock.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define STAGES 4
#define BATCH_BYTES ((int64_t)256 << 10)    /* of raw text, a thread: dozens of chunks */
#define BATCH_MAX_BYTES ((int64_t)64 << 20)
#define BATCH_DOCS 16384
#define BAD_SHOWN 20                        /* the others are only counted      */

struct batch {
    struct doc   *docs;    /* BATCH_DOCS */
    int64_t       n;
    struct chunk *chunks;
    int64_t       chunk_n, chunk_room;
};

/* What the progress line shows. */
struct pace { double start_s, last_s; int tty; int64_t docs, bytes, tokens, taken_at_start; };

struct run {
    struct pipeline *p;
    struct reader   *reader;
    struct json_path field;
    struct batch     batches[STAGES];
    int              more;       /* input left                  */
    int              read_rc, take_rc;
    int64_t          repeated;   /* documents with the field more than once */
    int64_t          bad;        /* skipped                     */
    struct pace      shown;
};

static int read_batch(struct run *run, struct batch *b)
{
    int64_t want = BATCH_BYTES * run->p->threads, bytes = 0;

    if (want > BATCH_MAX_BYTES) want = BATCH_MAX_BYTES;
    while (run->more && b->n < BATCH_DOCS && bytes < want) {
        struct record r;
        const int rc = reader_next(run->reader, &r, &run->more);
        if (rc != OK) return rc;
        if (!run->more) break;
        bytes += r.n;
        b->docs[b->n++] = (struct doc){ .r = r };
    }
    return OK;
}

static void prepare(const struct run *run, struct doc *d)
{
    const struct pipeline *p = run->p;

    document_text(&d->r, &run->field);
    d->choice = d->r.bad ? -1 : p->choose(p->arg, &d->r);
    if (d->choice >= 0 || d->r.bad) return;
    mem_free(d->r.raw);
    d->r.raw = NULL;
}

static void add_chunk(struct batch *b, struct chunk c)
{
    if (b->chunk_n == b->chunk_room) {
        b->chunk_room = 2 * b->chunk_room + 64;
        b->chunks = mem_resize(b->chunks, b->chunk_room, sizeof *b->chunks, "chunks");
    }
    b->chunks[b->chunk_n++] = c;
}

/* The chunks of document i, as long as the tokenizer can encode each alone. */
static void cut_document(const struct tokenizer *t, struct batch *b, int64_t i)
{
    struct record *r = &b->docs[i].r;

    for (int64_t from = 0, to; from < r->n; from = to) {
        to = tokenizer_chunk(t, r->raw, r->n, from);
        if (to - from > TOKENIZER_MAX_WHOLE) {
            r->bad = mem_format("%s:%lld: a document of %lld bytes, but this tokenizer can't encode "
                                "a text in pieces; at most %lld bytes are allowed", r->input->path,
                                (long long)r->line, (long long)r->n,
                                (long long)TOKENIZER_MAX_WHOLE);
            return;
        }
        add_chunk(b, (struct chunk){ .doc = i, .from = from, .to = to });
    }
}

/* Cut the texts of a batch into the work of threads. */
static void cut(const struct tokenizer *t, struct batch *b)
{
    b->chunk_n = 0;
    for (int64_t i = 0; i < b->n; i++) {
        struct doc *d = b->docs + i;
        const int64_t first = b->chunk_n;
        if (t && d->choice >= 0) cut_document(t, b, i);
        d->chunk_n = b->chunk_n - first;
    }
    struct chunk *c = b->chunks;  /* now that they stay where they are; NULL: there is none */
    if (!c) return;
    for (int64_t i = 0; i < b->n; c += b->docs[i++].chunk_n) b->docs[i].chunks = c;
}

static void encode(const struct tokenizer *t, const struct batch *b, struct chunk *c)
{
    const struct record *r = &b->docs[c->doc].r;
    if (tokenizer_encode_chunk(t, r->raw, c->from, c->to, &c->ids, &c->count) != OK ||
        tokenizer_hidden(t, r->raw, c->from, c->to, c->ids, c->count, &c->hidden) != OK)
        c->count = -1;
}

static void empty(struct batch *b)
{
    for (int64_t i = 0; i < b->n; i++) {
        mem_free(b->docs[i].r.raw);
        mem_free(b->docs[i].r.bad);
    }
    for (int64_t i = 0; i < b->chunk_n; i++) mem_free(b->chunks[i].ids);
    b->n = b->chunk_n = 0;
}

static int take_bad(struct run *run, const struct record *r)
{
    struct pipeline *p = run->p;

    if (!p->skip_bad) return fail(ERR_DATA, "%s (--skip-bad leaves it out)", r->bad);
    p->skipped.documents += !r->rest;
    p->skipped.files += r->rest;
    p->skipped.bytes += r->bytes;
    if (run->bad++ < BAD_SHOWN && !p->silent) log_warn("%s: skipped", r->bad);
    return OK;
}

/* Warn of fields that are repeated in one object. */
static void take_repeated(struct run *run, const struct record *r)
{
    if (run->repeated++ == 0 && !run->p->silent)
        log_warn("%s:%lld: field '%s' occurs %d times in one object; its last value is used",
                 r->input->path, (long long)r->line, run->p->field, r->repeats + 1);
}

static int take_one(struct run *run, struct doc *d)
{
    int rc = OK;

    run->p->skipped.read_bytes += d->r.bytes;
    if (d->r.bad) {
        if (run->shown.tty) fputs("\033[K", stderr);  /* the progress line */
        return take_bad(run, &d->r);
    }
    if (d->choice < 0) return OK;
    if (d->r.repeats) take_repeated(run, &d->r);
    run->shown.docs++;
    run->shown.bytes += d->r.n;
    for (int64_t c = 0; c < d->chunk_n; c++) {
        if (d->chunks[c].count < 0)
            TRY(fail(ERR_DATA, "%s:%lld: can't be encoded", d->r.input->path,
                     (long long)d->r.line));
        run->shown.tokens += d->chunks[c].count;
    }
    TRY(run->p->take(run->p->arg, d));
out:
    return rc;
}

static int take_batch(struct run *run, struct batch *b)
{
    int rc = OK;
    for (int64_t i = 0; i < b->n && rc == OK; i++) rc = take_one(run, b->docs + i);
    empty(b);
    return rc;
}

/* Progress: on a terminal one line that is overwritten, elsewhere a line per minute. */
static void show(struct run *run, int last)
{
    struct pace *s = &run->shown;
    const double now = clock_s(), dt = now - s->start_s;
    if (!last && now - s->last_s < (s->tty ? 0.5 : 60.0)) return;
    if (last && !s->tty) return;

    const int64_t taken = reader_taken(run->reader) - s->taken_at_start;
    const int64_t left = run->p->in->bytes - s->taken_at_start - taken;
    char tokens[48] = "", rest[64] = "", eta[HUMAN_TEXT], line[200];
    if (run->p->tokenizer)
        snprintf(tokens, sizeof tokens, "  %.2f Mtok/s", 1e-6 * (double)s->tokens / dt);
    if (run->p->in->bytes > 0)
        snprintf(rest, sizeof rest, "  %3.0f%%  left %s",
                 100.0 * (double)reader_taken(run->reader) / (double)run->p->in->bytes,
                 human_duration(eta, taken ? dt * (double)left / (double)taken : -1.0));
    snprintf(line, sizeof line, "%s  %lld documents  %.1f MB/s%s%s", run->p->what,
             (long long)s->docs, 1e-6 * (double)s->bytes / dt, tokens, rest);
    s->last_s = now;
    if (s->tty) fprintf(stderr, "%-78s%s", line, last ? "\n" : "\r");
    else log_phase("%s", line);
}

/* Four batches, each in another stage.  The first two parts occupy one thread
 * each, which then helps with the rest. */
static void step(struct run *run, int64_t k)
{
    struct pipeline *p = run->p;
    struct batch *reading = run->batches + k % STAGES;
    struct batch *text = run->batches + (k + 3) % STAGES;
    struct batch *ids = run->batches + (k + 2) % STAGES;
    struct batch *done = run->batches + (k + 1) % STAGES;

#pragma omp parallel num_threads(p->threads)
    {
#pragma omp single nowait
        run->take_rc = take_batch(run, done);
#pragma omp single nowait
        run->read_rc = read_batch(run, reading);
#pragma omp for schedule(dynamic, 1) nowait
        for (int64_t i = 0; i < text->n; i++) prepare(run, text->docs + i);
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < ids->chunk_n; i++) encode(p->tokenizer, ids, ids->chunks + i);
    }
    cut(p->tokenizer, text);
}

int pipeline_run(struct pipeline *p)
{
    struct run *run = mem_new(1, sizeof *run, "pipeline");
    int rc = OK;

    run->p = p;
    run->more = 1;
    TRY(json_path_init(&run->field, p->field));
    run->reader = reader_new(p->in, p->from);
    run->shown = (struct pace){ .start_s = clock_s(), .last_s = clock_s(),
                                    .tty = isatty(STDERR_FILENO),
                                    .taken_at_start = reader_taken(run->reader) };
    for (int i = 0; i < STAGES; i++)
        run->batches[i].docs = mem_new(BATCH_DOCS, sizeof(struct doc), "batch of documents");

    int64_t after = 0;  /* steps since the input ended: three empty the pipeline */
    for (int64_t k = 0; after < STAGES; k++) {
        step(run, k);
        TRY(run->take_rc);
        TRY(run->read_rc);
        show(run, 0);
        after += !run->more;
    }
    if (run->bad > BAD_SHOWN && !p->silent)
        log_warn("%lld more bad documents or files were skipped",
                 (long long)(run->bad - BAD_SHOWN));
    if (run->repeated > 1 && !p->silent)
        log_warn("in total, %lld documents have a repeated field '%s'",
                 (long long)run->repeated, p->field);
out:
    if (rc == OK) show(run, 1);
    reader_free(run->reader);
    json_path_done(&run->field);
    for (int i = 0; i < STAGES; i++) {
        empty(run->batches + i);
        mem_free(run->batches[i].docs);
        mem_free(run->batches[i].chunks);
    }
    mem_free(run);
    return rc;
}
