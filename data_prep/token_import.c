/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/token_import.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data_prep/decoder.h"
#include "data_prep/earlier.h"
#include "data_prep/token_file.h"
#include "data_prep/token_megatron.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define BLOCK 65536  /* ids in memory */

struct import {
    const struct token_import *o;
    struct origin      origin;
    struct tokenizer  *tokenizer;
    struct token_file *files;      /* one for each input of the command line    */
    int                files_n, lock;
    struct set        *set;
    int64_t            empty;      /* documents without a token, which are left out */
};

/* One file while it is read. */
struct reading {
    const struct token_file *f;
    enum token_ends ends;
    int32_t *ids;          /* BLOCK                                            */
    int64_t  at;           /* the next id                                      */
    int64_t  number;       /* of the open or next document, empty ones counted */
    int64_t  end;          /* where the open document ends, if that is known; else -1 */
    int64_t  begun;        /* ids of the open document so far; -1: none is open */
    int64_t  text_bytes, unk;
    int      marked;       /* an id was met that ends or begins a document     */
};

static const char *const names[] = { "auto", "eos", "bos", "index", "rows", "file" };

const char *token_ends_name(int i)
{
    return i >= 0 && i < (int)(sizeof names / sizeof *names) ? names[i] : NULL;
}

/* ---- documents */

static enum token_ends ends_of(const struct token_import *o, const struct token_file *f)
{
    if (o->ends != ENDS_FORM) return o->ends;
    if (f->form == TOKENS_MEGATRON) return ENDS_INDEX;
    return f->form == TOKENS_LLMC ? ENDS_BOS : ENDS_EOS;
}

static int check_ends(const struct token_import *o, const struct token_file *f)
{
    if (o->ends == ENDS_INDEX && f->form != TOKENS_MEGATRON)
        return fail(ERR_CONFIG, "%s: --documents index needs a Megatron index (.idx), which this "
                    "file does not have", f->path);
    if (o->ends == ENDS_ROWS && !f->row)
        return fail(ERR_CONFIG, "%s: --documents rows needs a 2-D array, which this file is not",
                    f->path);
    return OK;
}

/* Find the end of the document that begins at r->at, where no id tells it.  Megatron's index may
 * list empty documents: they are passed over. */
static int find_end(struct import *m, struct reading *r)
{
    const struct token_file *f = r->f;
    int rc = OK;

    r->end = -1;
    if (r->ends == ENDS_FILE) r->end = f->tokens;
    if (r->ends == ENDS_ROWS) r->end = r->at + f->row;
    while (r->ends == ENDS_INDEX) {
        if (r->number < f->documents) TRY(token_megatron_end(f, r->number, &r->end));
        if (r->end < r->at || r->end > f->tokens)
            TRY(fail(ERR_IO, "%s: changed while it was read", f->index_path));
        if (r->end > r->at) break;
        r->number++;
        m->empty++;
    }
out:
    return rc;
}

/* How many of the n ids belong to the open document, and whether it ends with them. */
static int64_t belong(const struct import *m, struct reading *r, const int32_t *ids, int64_t n,
                      int *ended)
{
    const int bos = tokenizer_bos(m->tokenizer), eos = tokenizer_eos(m->tokenizer);
    int64_t k = 0;

    if (r->end >= 0) {
        k = r->end - r->at < n ? r->end - r->at : n;
        *ended = r->at + k == r->end;
        return k;
    }
    for (*ended = 0; k < n && !*ended; k++) {
        if (ids[k] != (r->ends == ENDS_BOS ? bos : eos)) continue;
        r->marked = 1;
        *ended = r->ends == ENDS_EOS || r->begun + k > 0;
        if (*ended && r->ends == ENDS_BOS) break;
    }
    return k;
}

static int add(struct import *m, struct reading *r, const int32_t *ids, int64_t n)
{
    const int unk = tokenizer_unk(m->tokenizer);
    char *text = NULL;
    int64_t bytes = 0;
    int rc = OK;

    TRY(set_add(m->set, ids, n));
    if (tokenizer_has_text(m->tokenizer))
        TRY((r->begun ? tokenizer_decode_more : tokenizer_decode)(m->tokenizer, ids, n, &text,
                                                                  &bytes));
    for (int64_t i = 0; i < n && unk >= 0; i++) r->unk += ids[i] == unk;
    r->text_bytes += bytes;
    r->begun += n;
    r->at += n;
out:
    mem_free(text);
    return rc;
}

static int end_document(struct import *m, struct reading *r, int64_t file)
{
    const struct data_place next = { file, r->at, ++r->number };

    set_hidden(m->set, r->unk, 0);
    const int rc = set_end_ids(m->set, r->text_bytes, next);
    r->text_bytes = r->unk = 0;
    r->begun = -1;
    return rc;
}

/* The documents in the next n ids. */
static int take_block(struct import *m, struct reading *r, int64_t n, int64_t file)
{
    int rc = OK, ended = 0;

    for (int64_t i = 0, k; i < n; i += k) {
        if (r->begun < 0) {
            TRY(FAILPOINT("import.document"));
            TRY(find_end(m, r));
            TRY(set_begin_ids(m->set));
            r->begun = 0;
        }
        k = belong(m, r, r->ids + i, n - i, &ended);
        TRY(add(m, r, r->ids + i, k));
        if (ended) TRY(end_document(m, r, file));
    }
out:
    return rc;
}

static int take_file(struct import *m, int64_t i, int32_t *ids, struct data_place from)
{
    const struct token_file *f = m->files + i;
    struct reading r = { .f = f, .ends = ends_of(m->o, f), .ids = ids, .begun = -1, .end = -1 };
    char form[TOKEN_FILE_TEXT];
    int rc = OK;

    if (from.file == i) {
        r.at = from.offset;
        r.number = from.line;
    }
    log_phase("%s: %s, %lld tokens, documents by %s", f->path, token_file_text(form, f),
              (long long)f->tokens, names[r.ends]);
    while (r.at < f->tokens) {
        const int64_t n = f->tokens - r.at < BLOCK ? f->tokens - r.at : BLOCK;
        TRY(token_file_read(f, ids, r.at, n, tokenizer_vocab(m->tokenizer)));
        TRY(take_block(m, &r, n, i));
    }
    if (r.begun >= 0) TRY(end_document(m, &r, i));
    if (!r.marked && r.end < 0 && r.number == 1)
        log_warn("%s: the id that %s documents, %d, does not occur in it: the whole file is one "
                 "document", f->path, r.ends == ENDS_BOS ? "begins" : "ends",
                 r.ends == ENDS_BOS ? tokenizer_bos(m->tokenizer) : tokenizer_eos(m->tokenizer));
    m->empty += r.ends == ENDS_INDEX ? f->documents - r.number : 0;
out:
    return rc;
}

/* ---- the whole */

static int append_input(struct inputs *in, const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return fail(ERR_IO, "%s: can't be examined: %s", path, strerror(errno));
    inputs_append(in, (struct input){ .decoder = decoder_row(0) }, &st, path);
    return OK;
}

static int open_files(struct import *m)
{
    const struct token_import *o = m->o;
    int rc = OK;

    m->files = mem_new(o->inputs_n, sizeof *m->files, "files of token ids");
    for (int i = 0; i < o->inputs_n; i++) {
        struct token_file *f = m->files + i;
        m->files_n = i + 1;
        TRY(token_file_open(f, o->inputs[i], o->type));
        TRY(check_ends(o, f));
        TRY(append_input(&m->origin.in, f->path));
        if (f->index_path) TRY(append_input(&m->origin.in, f->index_path));
    }
out:
    return rc;
}

static int open_tokenizer(struct import *m)
{
    const char *name = m->o->tokenizer;

    if (!name) return tokenizer_open(&m->tokenizer, m->o->ids_kind, NULL);
    if (!strcmp(name, "bytes")) return tokenizer_open(&m->tokenizer, "bytes", NULL);
    return tokenizer_open(&m->tokenizer, "sentencepiece", name);
}

static void list_options(struct import *m)
{
    const struct token_import *o = m->o;
    struct origin *g = &m->origin;

    origin_option(g, "import", "ids");
    origin_option(g, "--documents", "%s", names[o->ends]);
    origin_option(g, "--dtype", "%s", o->type ? o->type->name : "auto");
    origin_option(g, "--block-tokens", "%lld", (long long)o->cut.block_tokens);
    origin_option(g, "--shard-tokens", "%lld", (long long)o->cut.shard_tokens);
    origin_option(g, "--level", "%d", o->cut.level);
}

static int make_set(struct import *m)
{
    const struct data_index begun = {
        .options = origin_options_hash(&m->origin), .inputs = origin_inputs_hash(&m->origin),
        .read = { m->origin.in.n, m->origin.in.bytes },
    };
    const double start = clock_s();
    char took[HUMAN_TEXT];
    int32_t *ids = NULL;
    size_t model_n = 0;
    int rc = OK;

    const char *model = tokenizer_file(m->tokenizer, &model_n);
    TRY(set_open(&m->set, m->o->out, m->tokenizer, model, model_n, &begun, m->o->cut));
    if (set_documents(m->set))
        log_phase("%s: resuming after %lld documents", m->o->out,
                  (long long)set_documents(m->set));
    const struct data_place from = set_next(m->set);
    ids = mem_new(BLOCK, sizeof *ids, "token ids");
    for (int64_t i = from.file; i < m->files_n; i++) TRY(take_file(m, i, ids, from));
    TRY(set_finish(m->set));
    TRY(set_settle(m->o->out));
    if (m->empty)
        log_warn("%s: %lld documents without a token were left out", m->o->out,
                 (long long)m->empty);
    log_phase("%s: %lld documents, %lld tokens, in %s", m->o->out,
              (long long)set_documents(m->set), (long long)set_tokens(m->set),
              human_duration(took, clock_s() - start));
out:
    mem_free(ids);
    return rc;
}

int token_import_run(const struct token_import *o)
{
    struct import m = { .o = o, .lock = -1 };
    struct earlier earlier;
    int rc = OK;

    TRY(open_files(&m));
    list_options(&m);
    TRY(open_tokenizer(&m));
    TRY(earlier_lock(&m.lock, o->out));
    TRY(origin_digest(&m.origin, o->out, o->threads));
    earlier = (struct earlier){ .origin = &m.origin, .tokenizer = m.tokenizer, .out = o->out,
                                .dirs = { (char *)o->out }, .sets_n = 1, .restart = o->restart };
    TRY(earlier_look(&earlier));
    if (earlier.done) {
        TRY(set_settle(o->out));
        log_phase("%s: is complete already, from the same inputs with the same options: nothing "
                  "to do", o->out);
    } else {
        TRY(origin_write(&m.origin, o->out));
        TRY(make_set(&m));
    }
out:
    for (int i = 0; i < m.files_n; i++) token_file_close(m.files + i);
    mem_free(m.files);
    set_close(m.set);
    if (m.lock >= 0) close(m.lock);
    tokenizer_close(m.tokenizer);
    origin_done(&m.origin);
    return rc;
}
