/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/prep.h"

#include <string.h>
#include <unistd.h>

#include "data_prep/document.h"
#include "data_prep/earlier.h"
#include "data_prep/find.h"
#include "data_prep/format.h"
#include "data_prep/pipeline.h"
#include "data_prep/report.h"
#include "data_prep/sample.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/data/spm_model.h"

struct prep {
    const struct prep_options *o;
    struct origin              origin;
    char                      *dirs[2];  /* of the sets: one, or train and val    */
    int                        sets_n;
    struct set                *sets[2];
    struct tokenizer          *tokenizer;
    char                      *model;    /* its file's content; NULL for bytes    */
    size_t                     model_n;
    struct pipeline           *pipe;     /* while it runs                         */
    struct sample             *sample;   /* while a tokenizer is being trained    */
    struct unspelled           unspelled;
    int                        lock;     /* descriptor of the folder, -1: none       */
};

/* Which set a document belongs to. */
static int set_of(const struct prep *p, const struct record *r)
{
    return p->sets_n == 2 && document_is_val(r->raw, r->n, p->o->val_fraction);
}

static int is_before(struct data_place a, struct data_place b)
{
    return a.file < b.file || (a.file == b.file && a.offset < b.offset);
}

/* ---- what is done with documents: a sample, or the sets */

static int choose_for_sample(void *arg, const struct record *r)
{
    return set_of(arg, r) == 0 ? 0 : -1;  /* held-out text teaches the tokenizer nothing */
}

static int take_for_sample(void *arg, struct doc *d)
{
    struct prep *p = arg;
    sample_add(p->sample, &d->r.raw, d->r.n);
    return OK;
}

static int choose_for_set(void *arg, const struct record *r)
{
    const struct prep *p = arg;
    const int s = set_of(p, r);
    return is_before(r->begin, set_next(p->sets[s])) ? -1 : s;  /* in already */
}

static int take_for_set(void *arg, struct doc *d)
{
    struct prep *p = arg;
    struct set *s = p->sets[d->choice];
    int rc = OK;

    TRY(FAILPOINT("prep.document"));
    TRY(set_begin_document(s));
    for (int64_t i = 0; i < d->chunk_n; i++) TRY(set_add(s, d->chunks[i].ids, d->chunks[i].count));
    report_hidden(&p->unspelled, s, d);
    set_skip(s, p->pipe->skipped);
    TRY(set_end_document(s, d->r.n, d->r.next));
out:
    return rc;
}

static int run(struct prep *p, const char *what, struct data_place from,
               int (*choose)(void *, const struct record *), int (*take)(void *, struct doc *),
               struct data_skipped *skipped)
{
    struct pipeline pipe = {
        .in = &p->origin.in, .skipped = *skipped, .from = from, .field = p->o->field,
        .threads = p->o->threads,
        .skip_bad = p->o->skip_bad, .tokenizer = p->tokenizer, .what = what,
        .silent = !p->tokenizer, .choose = choose, .take = take, .arg = p,
    };
    p->pipe = &pipe;
    const int rc = pipeline_run(&pipe);
    p->pipe = NULL;
    *skipped = pipe.skipped;
    return rc;
}

/* ---- the tokenizer */

static int train_tokenizer(struct prep *p, const char *path)
{
    char size[HUMAN_TEXT], whole[HUMAN_TEXT], took[HUMAN_TEXT];
    const double start = clock_s();
    struct data_skipped skipped = { 0 };
    int rc = OK;

    for (int64_t i = 0; i < p->origin.in.n; i++)
        if (!strcmp(p->origin.in.v[i].path, "-"))
            TRY(fail(ERR_CONFIG, "standard input can be read only once, but --train-tokenizer "
                     "reads the input twice: save it as a file"));
    p->sample = sample_new();
    TRY(run(p, "sample", (struct data_place){ 0 }, choose_for_sample, take_for_sample,
            &skipped));
    human_bytes(size, sample_bytes(p->sample));
    human_bytes(whole, sample_seen(p->sample));
    log_phase("tokenizer: training %d pieces on %s of %s", p->o->train_tokenizer, size, whole);
    TRY(tokenizer_train(&p->model, &p->model_n, p->o->train_tokenizer, sample_next, p->sample));
    TRY(file_replace(path, p->model, p->model_n));
    log_phase("tokenizer: done in %s", human_duration(took, clock_s() - start));
out:
    sample_free(p->sample);
    p->sample = NULL;
    return rc;
}

/* A set that was begun has its tokenizer in its folder. */
static int begun_tokenizer(struct prep *p, char **path)
{
    struct data_index x = { 0 };
    int rc = OK;

    for (int i = 0; i < p->sets_n && !*path; i++) {
        char *part = mem_format("%s/INDEX.part", p->dirs[i]);
        if (path_exists(part)) {
            rc = data_index_read(&x, part, 1);
            if (rc == OK && x.tokenizer_file[0])
                *path = mem_format("%s/%s", p->dirs[i], x.tokenizer_file);
            data_index_done(&x);
        }
        mem_free(part);
        if (rc != OK) return rc;
    }
    return OK;
}

/* Warn of a tokenizer that changes the text before it splits it; nothing else would show that. */
static void tell_changes(const char *path, const struct spm_model *m)
{
    if (!m->trims && !m->charsmap_n) return;
    log_warn("%s: the tokenizer changes text before it splits it: %s%s%s; ttt data cat shows the "
             "changed text, but bits per byte count the original bytes", path,
             m->trims ? "leading, trailing and repeated spaces are removed" : "",
             m->trims && m->charsmap_n ? ", and " : "",
             m->charsmap_n ? "a table replaces characters (in most models, newlines by spaces)" : "");
}

static int get_tokenizer(struct prep *p, int resuming)
{
    char *path = NULL;
    int rc = OK;

    if (p->o->train_tokenizer) {
        if (resuming) TRY(begun_tokenizer(p, &path));
        if (!path) {
            path = mem_format("%s/%s", p->dirs[0], SET_MODEL);
            TRY(dir_make(p->dirs[0]));
            TRY(train_tokenizer(p, path));
        }
    } else if (strcmp(p->o->tokenizer, "bytes") != 0) {
        path = mem_string(p->o->tokenizer);
    }
    if (path && !p->model) TRY(file_slurp(&p->model, &p->model_n, path, TOKENIZER_MAX_BYTES));
    TRY(tokenizer_open(&p->tokenizer, path ? "sentencepiece" : "bytes", path));
    if (path) tell_changes(path, tokenizer_model(p->tokenizer));
out:
    mem_free(path);
    return rc;
}

/* ---- what it is made from */

/* Everything that decides the bytes of the result, apart from the inputs and from a named
 * tokenizer.  --skip-bad is not part of it: after hours the user may meet a bad document and
 * decide to continue without it. */
static void list_options(struct prep *p)
{
    const struct prep_options *o = p->o;
    struct origin *g = &p->origin;
    char fraction[TEXT_DOUBLE];

    text_of_double(fraction, o->val_fraction);
    origin_option(g, "--train-tokenizer", "%d", o->train_tokenizer);
    origin_option(g, "--val-fraction", "%s", fraction);
    origin_option(g, "--field", "%s", o->field);
    origin_option(g, "--stdin", "%s", o->from_stdin->name);
    origin_option(g, "--block-tokens", "%lld", (long long)o->cut.block_tokens);
    origin_option(g, "--shard-tokens", "%lld", (long long)o->cut.shard_tokens);
    origin_option(g, "--level", "%d", o->cut.level);
}

/* The beginning of the INDEX of a new set. */
static struct data_index begin_index(const struct prep *p)
{
    const struct inputs *in = &p->origin.in;
    struct data_index x = {
        .options = origin_options_hash(&p->origin), .inputs = origin_inputs_hash(&p->origin),
        .read = { in->n, in->bytes },
    };

    for (int64_t i = 0; i < in->left_n; i++) {
        const struct left *l = in->left + i;
        x.left[l->why].files += l->what.files;
        x.left[l->why].bytes += l->what.bytes;
        struct input form;
        if (l->why != LEFT_UNREADABLE && !(l->why == LEFT_LINK && input_classify(&form, l->path)))
            continue;
        x.skipped.files += l->what.files;  /* --skip-bad */
        x.skipped.bytes += l->what.bytes;
        x.skipped.read_bytes += l->what.bytes;
    }
    return x;
}

/* ---- the whole */

static int finish(struct prep *p)
{
    int rc = OK;

    for (int i = 0; i < p->sets_n; i++)
        if (set_documents(p->sets[i]) == 0)
            TRY(fail(ERR_DATA, "%s: no document is left for this data set%s", p->dirs[i],
                     p->sets_n == 2 ? ": change --val-fraction" : ""));
    for (int i = 0; i < p->sets_n; i++) TRY(set_finish(p->sets[i]));
    for (int i = 0; i < p->sets_n; i++) TRY(set_settle(p->dirs[i]));
out:
    return rc;
}

/* More bad input than --skip-bad-max allows. */
static int check_skipped(const struct prep *p, struct data_skipped s)
{
    char text[REPORT_SKIPPED];

    if ((double)s.bytes <= p->o->skip_bad_max * (double)s.read_bytes) return OK;
    return fail(ERR_DATA, "%s: %s, more than --skip-bad-max %g%%: no data set was made; finished "
                "shards are kept, and the same command with a larger share resumes there", p->o->out,
                report_skipped(text, s), 100 * p->o->skip_bad_max);
}

static int make_sets(struct prep *p)
{
    const struct data_index begun = begin_index(p);
    struct data_skipped skipped = { 0 };
    struct data_place from = { 0 };
    char took[HUMAN_TEXT], text[REPORT_SKIPPED];
    const double start = clock_s();
    int rc = OK;

    for (int i = 0; i < p->sets_n; i++) {
        TRY(set_open(&p->sets[i], p->dirs[i], p->tokenizer, p->model, p->model_n, &begun,
                     p->o->cut));
        if (i == 0 || is_before(set_next(p->sets[i]), from)) {
            from = set_next(p->sets[i]);
            skipped = set_skipped(p->sets[i]);
        }
        if (set_documents(p->sets[i]))
            log_phase("%s: resuming after %lld documents", p->dirs[i],
                      (long long)set_documents(p->sets[i]));
    }
    TRY(run(p, "prep", from, choose_for_set, take_for_set, &skipped));
    TRY(check_skipped(p, skipped));
    for (int i = 0; i < p->sets_n; i++) set_skip(p->sets[i], skipped);
    TRY(finish(p));
    report_inputs(&p->origin.in, p->o->out);
    for (int i = 0; i < p->sets_n; i++) report_unk(p->sets[i], &p->unspelled);
    for (int i = 0; i < p->sets_n; i++)
        log_phase("%s: %lld documents, %lld tokens", p->dirs[i],
                  (long long)set_documents(p->sets[i]), (long long)set_tokens(p->sets[i]));
    log_phase("done in %s%s%s", human_duration(took, clock_s() - start),
              skipped.documents + skipped.files ? "; " : "", report_skipped(text, skipped));
out:
    return rc;
}

/* All that the work depends on, and what an earlier command left of it. */
static int prepare(struct prep *p, struct earlier *earlier)
{
    const struct prep_options *o = p->o;
    int rc = OK;

    p->origin.in.skip_bad = o->skip_bad;
    p->origin.in.field = o->field;
    for (int i = 0; i < o->inputs_n; i++)
        TRY(inputs_add(&p->origin.in, o->inputs[i], o->from_stdin));
    list_options(p);
    if (!o->train_tokenizer) TRY(get_tokenizer(p, 0));  /* it may be what --restart removes */
    TRY(earlier_lock(&p->lock, o->out));
    TRY(origin_digest(&p->origin, o->out, o->threads));
    *earlier = (struct earlier){ .origin = &p->origin, .tokenizer = p->tokenizer, .out = o->out,
                             .dirs = { p->dirs[0], p->dirs[1] }, .sets_n = p->sets_n,
                             .restart = o->restart };
    TRY(earlier_look(earlier));
    if (!earlier->done) rc = origin_write(&p->origin, o->out);
out:
    return rc;
}

int prep_run(const struct prep_options *o)
{
    struct prep p = { .o = o, .lock = -1, .sets_n = o->val_fraction > 0.0 ? 2 : 1 };
    char text[REPORT_SKIPPED];
    struct earlier earlier;
    int rc = OK;

    p.dirs[0] = mem_format("%s%s", o->out, p.sets_n == 2 ? "/train" : "");
    p.dirs[1] = mem_format("%s/val", o->out);
    TRY(prepare(&p, &earlier));
    if (earlier.done) {
        for (int i = 0; i < p.sets_n; i++) TRY(set_settle(p.dirs[i]));
        log_phase("%s: is complete already, from the same inputs with the same options: nothing "
                  "to do%s%s", o->out,
                  earlier.skipped.documents + earlier.skipped.files ? "; then " : "",
                  report_skipped(text, earlier.skipped));
    } else {
        if (o->train_tokenizer) TRY(get_tokenizer(&p, earlier.resuming));
        TRY(make_sets(&p));
    }
out:
    for (int i = 0; i < 2; i++) {
        set_close(p.sets[i]);
        mem_free(p.dirs[i]);
    }
    if (p.lock >= 0) close(p.lock);
    tokenizer_close(p.tokenizer);
    mem_free(p.model);
    mem_free(p.unspelled.where);
    origin_done(&p.origin);
    return rc;
}
