#include "data_prep/prep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "data_prep/document.h"
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

struct prep {
    const struct prep_options *o;
    struct inputs              in;
    char                      *dirs[2];  /* of the sets: one, or train and val    */
    int                        sets_n;
    struct set                *sets[2];
    struct tokenizer          *tokenizer;
    char                      *model;    /* its file's content; NULL for bytes    */
    size_t                     model_n;
    struct hash                options;  /* of all that decides the output        */
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

/* ---- the two things that are done with documents */

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
    TRY(set_end_document(s, d->r.n, d->r.next));
out:
    return rc;
}

static int run(struct prep *p, const char *what, struct data_place from,
               int (*choose)(void *, const struct record *), int (*take)(void *, struct doc *),
               int64_t *bad)
{
    struct pipeline pipe = {
        .in = &p->in, .from = from, .field = p->o->field, .threads = p->o->threads,
        .skip_bad = p->o->skip_bad, .tokenizer = p->tokenizer, .what = what,
        .silent = !p->tokenizer, .choose = choose, .take = take, .arg = p,
    };
    const int rc = pipeline_run(&pipe);
    *bad = pipe.bad;
    return rc;
}

/* ---- the tokenizer */

static int train_tokenizer(struct prep *p, const char *path)
{
    char size[HUMAN_TEXT], whole[HUMAN_TEXT], took[HUMAN_TEXT];
    const double start = clock_s();
    int64_t bad;
    int rc = OK;

    for (int64_t i = 0; i < p->in.n; i++)
        if (!strcmp(p->in.v[i].path, "-"))
            TRY(fail(ERR_CONFIG, "standard input can be read once only, and --train-tokenizer "
                     "reads the input twice: put it into a file"));
    p->sample = sample_new();
    TRY(run(p, "sample", (struct data_place){ 0 }, choose_for_sample, take_for_sample, &bad));
    human_bytes(size, sample_bytes(p->sample));
    human_bytes(whole, sample_seen(p->sample));
    log_phase("tokenizer: learning %d pieces from %s of %s", p->o->train_tokenizer, size, whole);
    TRY(tokenizer_train(&p->model, &p->model_n, p->o->train_tokenizer, sample_next, p->sample));
    TRY(file_replace(path, p->model, p->model_n));
    log_phase("tokenizer: done in %s", human_duration(took, clock_s() - start));
out:
    sample_free(p->sample);
    p->sample = NULL;
    return rc;
}

/* A set that was begun brings its tokenizer along. */
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
out:
    mem_free(path);
    return rc;
}

/* ---- what is there already */

/* Everything that decides the bytes of the result, apart from the tokenizer,
 * which the sets compare themselves.  Not --skip-bad: whoever meets a bad document
 * after hours may decide to go on without it. */
static struct hash hash_options(const struct prep *p)
{
    const struct prep_options *o = p->o;
    char inputs[HASH_HEX];
    hash_hex(inputs, inputs_hash(&p->in));
    char *text = mem_format("1 %d %.17g %s %d %lld %lld %d %s", o->train_tokenizer,
                            o->val_fraction, o->field, o->stdin_jsonl,
                            (long long)o->cut.block_tokens, (long long)o->cut.shard_tokens,
                            o->cut.level, inputs);
    const struct hash h = hash_bytes(text, strlen(text));
    mem_free(text);
    return h;
}

/* Look at the three folders that a prep may have made.
 * done [out]: nothing is left to do.  resuming [out]: a set was begun. */
static int look(struct prep *p, int *done, int *resuming)
{
    char *three[3] = { mem_string(p->o->out), mem_format("%s/train", p->o->out),
                       mem_format("%s/val", p->o->out) };
    int rc = OK, complete = 0, parts = 0;

    for (int i = 0; i < 3; i++) {
        const int ours = p->sets_n == 1 ? i == 0 : i > 0;
        char *part = mem_format("%s/INDEX.part", three[i]);
        const enum set_state state = set_look(three[i]);
        if (p->o->restart && rc == OK) rc = set_remove(three[i]);
        else if (!ours && state != SET_NONE && rc == OK)
            rc = fail(ERR_CONFIG, "%s: holds a data set that was made %s --val-fraction; choose "
                      "another folder, or --restart to replace it", three[i],
                      i ? "with" : "without");
        if (ours) complete += state == SET_COMPLETE;
        if (ours) parts += path_exists(part);
        mem_free(part);
    }
    for (int i = 0; i < 3; i++) mem_free(three[i]);
    if (rc != OK || p->o->restart) return rc;

    *done = complete == p->sets_n && parts > 0;
    *resuming = parts > 0;
    if (complete == 0 || parts > 0) return OK;
    return fail(ERR_CONFIG, "%s: a complete data set is there; choose another folder, or --restart "
                "to replace it", p->o->out);
}

/* One prep in a folder at a time.  Not every file system has locks: then the user
 * has to take care. */
static int lock(struct prep *p)
{
    int rc = OK;

    TRY(dir_make(p->o->out));
    p->lock = open(p->o->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->lock >= 0 && flock(p->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        TRY(fail(ERR_OWNER, "%s: another ttt prep is at work in it", p->o->out));
out:
    return rc;
}

/* ---- the whole */

static int finish(struct prep *p)
{
    int rc = OK;

    for (int i = 0; i < p->sets_n; i++)
        if (set_documents(p->sets[i]) == 0)
            TRY(fail(ERR_DATA, "%s: no document for it%s", p->dirs[i],
                     p->sets_n == 2 ? ": change --val-fraction" : ""));
    for (int i = 0; i < p->sets_n; i++) TRY(set_finish(p->sets[i]));
    for (int i = 0; i < p->sets_n; i++) TRY(set_settle(p->dirs[i]));
out:
    return rc;
}

static int make_sets(struct prep *p, int resuming)
{
    struct data_place from = { 0 };
    char took[HUMAN_TEXT];
    const double start = clock_s();
    int64_t bad = 0;
    int rc = OK;

    for (int64_t i = 0; i < p->in.n; i++)
        if (resuming && !strcmp(p->in.v[i].path, "-"))
            TRY(fail(ERR_CONFIG, "%s: what came from standard input can't be gone on with; use "
                     "--restart", p->o->out));
    for (int i = 0; i < p->sets_n; i++) {
        TRY(set_open(&p->sets[i], p->dirs[i], p->tokenizer, p->model, p->model_n, p->options,
                     p->o->cut));
        if (i == 0 || is_before(set_next(p->sets[i]), from)) from = set_next(p->sets[i]);
        if (set_documents(p->sets[i]))
            log_phase("%s: going on after %lld documents", p->dirs[i],
                      (long long)set_documents(p->sets[i]));
    }
    TRY(run(p, "prep", from, choose_for_set, take_for_set, &bad));
    TRY(finish(p));
    for (int i = 0; i < p->sets_n; i++)
        log_phase("%s: %lld documents, %lld tokens", p->dirs[i],
                  (long long)set_documents(p->sets[i]), (long long)set_tokens(p->sets[i]));
    for (int i = 0; i < p->sets_n; i++) report_unk(p->sets[i], &p->unspelled);
    log_phase("done in %s, %lld bad documents skipped", human_duration(took, clock_s() - start),
              (long long)bad);
out:
    return rc;
}

int prep_run(const struct prep_options *o)
{
    struct prep p = { .o = o, .lock = -1, .sets_n = o->val_fraction > 0.0 ? 2 : 1 };
    int done = 0, resuming = 0, rc = OK;

    p.dirs[0] = mem_format("%s%s", o->out, p.sets_n == 2 ? "/train" : "");
    p.dirs[1] = mem_format("%s/val", o->out);
    for (int i = 0; i < o->inputs_n; i++) TRY(inputs_add(&p.in, o->inputs[i], o->stdin_jsonl));
    p.options = hash_options(&p);
    if (!o->train_tokenizer) TRY(get_tokenizer(&p, 0));  /* it may be what --restart removes */
    TRY(lock(&p));
    TRY(look(&p, &done, &resuming));
    if (done) {
        for (int i = 0; i < p.sets_n; i++) TRY(set_settle(p.dirs[i]));
        log_phase("%s: was complete", o->out);
    } else {
        if (o->train_tokenizer) TRY(get_tokenizer(&p, resuming));
        TRY(make_sets(&p, resuming));
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
    inputs_done(&p.in);
    return rc;
}
