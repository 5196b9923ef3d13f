/* SPDX-License-Identifier: Apache-2.0 */
#include "src/data/token.h"

#include <stdio.h>
#include <string.h>

#include "src/base/encoding.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/base/utf8.h"
#include "src/data/memo.h"
#include "src/data/sentencepiece_c.h"
#include "src/data/spm_model.h"

#define CHUNK ((int64_t)4 << 10)        /* a chunk has at least so many bytes ...    */
#define CHUNK_MAX ((int64_t)256 << 10)  /* ... and at most so many, if it can be cut */

enum { BYTES_BOS = 256, BYTES_EOS, BYTES_VOCAB };

struct tokenizer {
    struct spm      *spm;    /* NULL: bytes */
    char            *bytes;  /* the model file */
    struct spm_model model;
    size_t           n_bytes;
    int              vocab, bos, eos, pad, unk;
    struct hash      hash;
    struct memos    *memos;
    char             ids[TOKENIZER_IDS_KIND];  /* the kind, if only numbers are known; else ""  */
    int64_t          newline_ids;  /* ids of a lone newline, if text may be cut */
};

struct ids { int32_t *v; int64_t n, room; };

static void reserve(struct ids *ids, int64_t n)
{
    if (ids->v && ids->n + n <= ids->room) return;
    ids->room = 2 * ids->room + n + 64;
    ids->v = mem_resize(ids->v, ids->room, sizeof *ids->v, "token ids");
}

static void append(struct ids *ids, const int *v, int64_t n)
{
    reserve(ids, n);
    for (int64_t i = 0; i < n; i++) ids->v[ids->n + i] = v[i];
    ids->n += n;
}

static void take_ids(void *arg, const int *v, size_t n) { append(arg, v, (int64_t)n); }

static int open_spm(struct tokenizer *t, const char *path)
{
    char why[SPM_WHY] = "";
    size_t n = 0;
    int rc = OK;

    TRY(file_slurp(&t->bytes, &n, path, TOKENIZER_MAX_BYTES));
    t->n_bytes = n;
    t->hash = hash_bytes(t->bytes, n);
    TRY(spm_model_read(&t->model, t->bytes, n, path));
    t->spm = spm_new(t->bytes, n, why);
    if (!t->spm) TRY(fail(ERR_DATA, "%s: not a usable SentencePiece model: %s", path, why));
    t->vocab = spm_vocab(t->spm);
    t->bos = spm_bos(t->spm);
    t->eos = spm_eos(t->spm);
    t->pad = spm_pad(t->spm);
    t->unk = spm_unk(t->spm);
    if (t->vocab != t->model.count)
        TRY(fail(ERR_DATA, "%s: holds %d pieces, but the library counts %d", path, t->model.count,
                 t->vocab));
    if (t->bos < 0 || t->eos < 0 || t->bos >= t->vocab || t->eos >= t->vocab)
        TRY(fail(ERR_CONFIG, "%s: the model has no %s, and documents need both <s> and </s>; "
                 "train one with --train-tokenizer", path, t->bos < 0 ? "<s>" : "</s>"));
    if (t->model.cuttable) {
        t->memos = memos_new();
        struct ids ids = { 0 };
        if (spm_encode(t->spm, "\n", 1, take_ids, &ids, why) != 0)
            rc = fail(ERR_DATA, "%s: %s", path, why);
        t->newline_ids = ids.n;
        mem_free(ids.v);
    }
out:
    return rc;
}

/* Kind "ids-V-BOS-EOS": three numbers, spelt as tokenizer_ids_kind() does. */
static int open_ids(struct tokenizer *t, const char *kind)
{
    int64_t v[3] = { 0, 0, 0 };
    const char *p = kind + 4;

    for (int i = 0; i < 3 && p; i++) {
        p = text_whole(v + i, p);
        if (p && i < 2) p = *p == '-' ? p + 1 : NULL;
    }
    if (p && v[0] > 0 && v[0] <= TOKENIZER_MAX_IDS && v[1] >= 0 && v[1] < v[0] && v[2] >= 0 &&
        v[2] < v[0])
        tokenizer_ids_kind(t->ids, (int)v[0], (int)v[1], (int)v[2]);
    if (!t->ids[0] || strcmp(t->ids, kind) != 0)
        return fail(ERR_CONFIG, "tokenizer '%s': expected ids-V-BOS-EOS, a size of at most %d and "
                    "two ids below it", kind, TOKENIZER_MAX_IDS);
    t->vocab = (int)v[0];
    t->bos = (int)v[1];
    t->eos = (int)v[2];
    t->pad = t->unk = -1;
    t->hash = hash_bytes(kind, strlen(kind));
    return OK;
}

const char *tokenizer_ids_kind(char out[TOKENIZER_IDS_KIND], int vocab, int bos, int eos)
{
    check(vocab > 0 && vocab <= TOKENIZER_MAX_IDS && bos >= 0 && bos < vocab && eos >= 0 &&
          eos < vocab);
    snprintf(out, TOKENIZER_IDS_KIND, "ids-%d-%d-%d", vocab, bos, eos);
    return out;
}

int tokenizer_has_text(const struct tokenizer *t) { return !t->ids[0]; }

static int no_text(void)
{
    return fail(ERR_CONFIG, "the data set was imported with --vocab: its tokenizer is not known, "
                "so there are only ids and no text; import it with --tokenizer FILE");
}

int tokenizer_open(struct tokenizer **out, const char *kind, const char *path)
{
    struct tokenizer *t = mem_new(1, sizeof *t, "tokenizer");
    int rc = OK;

    if (!strcmp(kind, "bytes")) {
        t->vocab = BYTES_VOCAB;
        t->bos = BYTES_BOS;
        t->eos = BYTES_EOS;
        t->pad = t->unk = -1;
        t->hash = hash_bytes("bytes", 5);
    } else if (!strncmp(kind, "ids-", 4)) {
        TRY(open_ids(t, kind));
    } else if (!strcmp(kind, "sentencepiece") && path) {
        TRY(open_spm(t, path));
    } else {
        TRY(fail(ERR_CONFIG, "tokenizer '%s' is neither bytes nor a sentencepiece model", kind));
    }
out:
    if (rc != OK) {
        tokenizer_close(t);
        t = NULL;
    }
    *out = t;
    return rc;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t) return;
    spm_free(t->spm);
    spm_model_done(&t->model);
    memos_free(t->memos);
    mem_free(t->bytes);
    mem_free(t);
}

const char *tokenizer_kind(const struct tokenizer *t)
{
    return t->spm ? "sentencepiece" : t->ids[0] ? t->ids : "bytes";
}

int tokenizer_vocab(const struct tokenizer *t) { return t->vocab; }
int tokenizer_bos(const struct tokenizer *t) { return t->bos; }
int tokenizer_eos(const struct tokenizer *t) { return t->eos; }
int tokenizer_pad(const struct tokenizer *t) { return t->pad; }
int tokenizer_unk(const struct tokenizer *t) { return t->unk; }
struct hash tokenizer_hash(const struct tokenizer *t) { return t->hash; }

const struct spm_model *tokenizer_model(const struct tokenizer *t)
{
    return t->spm ? &t->model : NULL;
}

const char *tokenizer_file(const struct tokenizer *t, size_t *n)
{
    *n = t->n_bytes;
    return t->bytes;
}

/* ---- chunks */

static int is_inner(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

static int64_t character_at_or_after(const char *text, int64_t n, int64_t at)
{
    while (at < n && is_inner(text[at])) at++;
    return at;
}

/* The first place after byte `at` where a cut does not change the ids, or the first character at or
 * after `end`. */
static int64_t cut_behind(const struct tokenizer *t, const char *text, int64_t end, int64_t at)
{
    int step;
    uint32_t before = utf8_char(text + at, &step);
    while ((at += step) < end) {
        const uint32_t c = utf8_char(text + at, &step);
        if (spm_model_cut(&t->model, before, c)) break;
        before = c;
    }
    return at;
}

int64_t tokenizer_chunk(const struct tokenizer *t, const char *text, int64_t n, int64_t from)
{
    if (n - from <= CHUNK) return n;
    if (!t->spm) return from + CHUNK;
    if (!t->model.cuttable) return n;

    const int64_t end = n - from < CHUNK_MAX ? n : from + CHUNK_MAX;
    const int64_t at = cut_behind(t, text, end, character_at_or_after(text, n, from + CHUNK - 4));
    return at < n ? at : n;
}

/* The ids of text as the library gives them.  After a cut the library would
 * put its dummy space again; a newline in front takes that, and its ids go. */
static int encode_run(const struct tokenizer *t, const char *text, int64_t n, int behind_cut,
                      struct ids *out)
{
    char why[SPM_WHY] = "", *copy = NULL;
    struct ids ids = { 0 };
    int64_t skip = 0;
    int rc = OK;

    if (behind_cut && t->model.dummy_prefix) {
        copy = mem_new(n + 1, 1, "text after a cut");
        copy[0] = '\n';
        memcpy(copy + 1, text, (size_t)n);
        text = copy;
        n++;
        skip = t->newline_ids;
    }
    if (spm_encode(t->spm, text, (size_t)n, take_ids, skip ? &ids : out, why) != 0)
        TRY(fail(ERR_DATA, "SentencePiece can't encode: %s", why));
    if (skip) append(out, ids.v + skip, ids.n - skip);
out:
    mem_free(ids.v);
    mem_free(copy);
    return rc;
}

/* A model that otherwise gives back every byte would make a space of U+2581, its
 * own sign for one; so that character goes in as three bytes. */
static int encode_escaped(const struct tokenizer *t, const char *text, int64_t n, struct ids *out)
{
    static const char sign[] = "\xe2\x96\x81";
    int rc = OK;

    while (n > 0) {
        const char *p = memmem(text, (size_t)n, sign, 3);
        const int64_t run = p ? p - text : n;
        if (run) TRY(encode_run(t, text, run, 0, out));
        if (p)
            for (int i = 0; i < 3; i++) append(out, &t->model.byte_id[(unsigned char)sign[i]], 1);
        text += run + (p ? 3 : 0);
        n -= run + (p ? 3 : 0);
    }
out:
    return rc;
}

/* The shortest text that may be cut off.  The first one of a document may get a space in front. */
static int encode_word(const struct tokenizer *t, struct memo *memo, const char *text, int64_t n,
                       int first, struct ids *out)
{
    const int64_t before = out->n;
    struct memo_entry *e = NULL;
    int known = 0, rc;

    if (n <= MEMO_TEXT && !(first && t->model.dummy_prefix)) e = memo_find(memo, text, n, &known);
    if (known) {
        append(out, e->ids, e->count);
        return OK;
    }
    if (t->model.lossless) rc = encode_escaped(t, text, n, out);
    else rc = encode_run(t, text, n, !first, out);
    if (rc == OK && e) memo_put(e, text, n, out->v + before, out->n - before);
    return rc;
}

static int encode_words(const struct tokenizer *t, const char *text, int64_t from, int64_t to,
                        struct ids *out)
{
    struct memo *memo = memos_take(t->memos);
    int rc = OK;

    for (int64_t at = from, end; rc == OK && at < to; at = end) {
        end = cut_behind(t, text, to, at);
        rc = encode_word(t, memo, text + at, end - at, at == 0, out);
    }
    memos_give(t->memos, memo);
    return rc;
}

static int encode_chunk(const struct tokenizer *t, const char *text, int64_t from, int64_t to,
                        struct ids *out)
{
    if (t->ids[0]) return no_text();
    if (t->spm && !t->model.cuttable && to - from > TOKENIZER_MAX_WHOLE)
        return fail(ERR_DATA, "a text of %lld bytes is too long for this tokenizer, which can't "
                    "take texts in pieces; at most %lld", (long long)(to - from),
                    (long long)TOKENIZER_MAX_WHOLE);
    if (t->model.cuttable) return encode_words(t, text, from, to, out);
    if (t->spm) return encode_run(t, text + from, to - from, from > 0, out);

    reserve(out, to - from);
    for (int64_t i = from; i < to; i++) out->v[out->n++] = (unsigned char)text[i];
    return OK;
}

static int hand_over(int rc, struct ids *ids, int32_t **v, int64_t *count)
{
    if (rc != OK) {
        mem_free(ids->v);
        *ids = (struct ids){ 0 };
    } else {
        reserve(ids, 0);
    }
    *v = ids->v;
    *count = ids->n;
    return rc;
}

int tokenizer_encode_chunk(const struct tokenizer *t, const char *text, int64_t from, int64_t to,
                           int32_t **ids, int64_t *count)
{
    struct ids out = { 0 };
    return hand_over(encode_chunk(t, text, from, to, &out), &out, ids, count);
}

int tokenizer_encode(const struct tokenizer *t, const char *text, int64_t n, int32_t **ids,
                     int64_t *count)
{
    struct ids out = { 0 };
    const int64_t valid = t->spm ? utf8_valid(text, n) : n;
    int rc = OK;

    if (valid < n) {
        char *wrong = encoding_complaint(text, n, valid, 0, "text", 0);
        rc = fail(ERR_DATA, "the text is %s", wrong);
        mem_free(wrong);
    }
    for (int64_t from = 0, to; rc == OK && from < n; from = to) {
        to = tokenizer_chunk(t, text, n, from);
        rc = encode_chunk(t, text, from, to, &out);
    }
    return hand_over(rc, &out, ids, count);
}

static void take_hidden(void *arg, size_t from, size_t to)
{
    struct hidden *h = arg;
    if (to <= from) return;
    if (h->bytes == 0) h->at = (int64_t)from, h->n = (int64_t)(to - from);
    h->bytes += (int64_t)(to - from);
}

int tokenizer_hidden(const struct tokenizer *t, const char *text, int64_t from, int64_t to,
                     const int32_t *ids, int64_t count, struct hidden *out)
{
    char why[SPM_WHY] = "";

    *out = (struct hidden){ 0 };
    for (int64_t i = 0; i < count; i++) out->tokens += ids[i] == t->unk;
    if (out->tokens == 0) return OK;
    if (spm_unknown(t->spm, text + from, (size_t)(to - from), take_hidden, out, why) != 0)
        return fail(ERR_DATA, "SentencePiece can't encode: %s", why);
    out->at += from;
    return OK;
}

const char *hidden_text(char out[HIDDEN_TEXT], const char *text, const struct hidden *h)
{
    const int64_t n = utf8_valid(text + h->at, h->n < HIDDEN_TEXT - 4 ? h->n : HIDDEN_TEXT - 4);

    for (int64_t i = 0; i < n; i++) {
        const char c = text[h->at + i];
        out[i] = c == 127 || (unsigned char)c < ' ' ? '?' : c;
    }
    memcpy(out + n, n < h->n ? "..." : "", n < h->n ? 4 : 1);
    return out;
}

/* ---- and back */

struct text { char *p; int64_t n, room; };

static void put(struct text *out, const char *p, int64_t n)
{
    if (out->n + n + 1 > out->room) {
        out->room = 2 * out->room + n + 64;
        out->p = mem_resize(out->p, out->room, 1, "decoded text");
    }
    memcpy(out->p + out->n, p, (size_t)n);
    out->n += n;
    out->p[out->n] = '\0';
}

static void put_piece(struct text *out, const struct spm_piece *p, int at_start)
{
    if (p->type == SPM_BYTE) {
        put(out, (const char *)&p->byte, 1);
    } else if (p->type == SPM_UNKNOWN) {
        put(out, " \xe2\x81\x87 ", 5);  /* a double question mark, as the library does */
    } else if (p->type != SPM_CONTROL) {
        for (int at = 0, step; at < p->length; at += step) {
            if (utf8_char(p->text + at, &step) != SPM_SPACE) put(out, p->text + at, step);
            else if (at > 0 || !at_start) put(out, " ", 1);
        }
    }
}

/* at_start: the dummy space would come first, and is not text. */
static int decode(const struct tokenizer *t, const int32_t *ids, int64_t count, int at_start,
                  char **text, int64_t *n)
{
    struct text out = { 0 };
    int rc = OK;

    put(&out, "", 0);
    if (t->ids[0]) TRY(no_text());
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= t->vocab)
            TRY(fail(ERR_DATA, "token id %d is not in a vocabulary of %d", ids[i], t->vocab));
        if (ids[i] == t->bos || ids[i] == t->eos) {
            at_start = t->model.dummy_prefix;
            continue;
        }
        const char byte = (char)ids[i];
        if (t->spm) put_piece(&out, t->model.pieces + ids[i], at_start);
        else put(&out, &byte, 1);
        at_start = 0;
    }
out:
    if (rc != OK) {
        mem_free(out.p);
        out = (struct text){ 0 };
    }
    *text = out.p;
    *n = out.n;
    return rc;
}

int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int64_t count, char **text,
                     int64_t *n)
{
    return decode(t, ids, count, t->model.dummy_prefix, text, n);
}

int tokenizer_decode_more(const struct tokenizer *t, const int32_t *ids, int64_t count,
                          char **text, int64_t *n)
{
    return decode(t, ids, count, 0, text, n);
}
