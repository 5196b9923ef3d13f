/* SPDX-License-Identifier: Apache-2.0 */
#include "src/data/spm_json.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

#define SPACE "\xe2\x96\x81"  /* SPM_SPACE as UTF-8 */

/* A model that is being written. */
struct writer {
    const struct spm_model *m;
    int     literal;   /* spaces in pieces are plain spaces       */
    char   *bytes;     /* names of all pieces, one after another  */
    size_t *at;        /* (count + 1) where they begin            */
    json_t *ids;       /* name -> id                              */
    char   *doubt;
};

static void doubt(struct writer *w, const char *texts)
{
    char *both = w->doubt ? mem_format("%s; %s", w->doubt, texts) : mem_string(texts);
    mem_free(w->doubt);
    w->doubt = both;
}

static const char *name_of(const struct writer *w, int id, size_t *n)
{
    *n = w->at[id + 1] - w->at[id];
    return w->bytes + w->at[id];
}

static int holds(const struct spm_piece *p, const char *text)
{
    return memmem(p->text, (size_t)p->length, text, strlen(text)) != NULL;
}

/* Names of pieces; 0 if two are the same. */
static int make_names(struct writer *w, int literal)
{
    const struct spm_model *m = w->m;
    size_t n = 0, length;

    w->literal = literal;
    w->ids = json_object();
    for (int i = 0; i < m->count; i++) {
        const struct spm_piece *p = m->pieces + i;
        w->at[i] = n;
        for (int k = 0; k < p->length; n++) {
            const int space = literal && p->length - k >= 3 && !memcmp(p->text + k, SPACE, 3);
            w->bytes[n] = space ? ' ' : p->text[k];
            k += space ? 3 : 1;
        }
        w->at[i + 1] = n;
        const char *name = name_of(w, i, &length);
        json_object_setn_new(w->ids, name, length, json_integer(i));
    }
    return json_object_size(w->ids) == (size_t)m->count;
}

/* --- byte-pair encoding ------------------------------------------------------------ */

/* Is a text a piece that merges? */
static int can_merge(const struct writer *w, const char *text, size_t n)
{
    const json_t *id = json_object_getn(w->ids, text, n);
    return id && spm_merges(w->m->pieces + json_integer_value(id));
}

struct ranked { float score; int id; };

static int best_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static json_t *merges_of(const struct writer *w)
{
    const struct spm_model *m = w->m;
    struct ranked *order = mem_new(m->count, sizeof *order, "merges");
    json_t *list = json_array();
    int pieces = 0;

    for (int i = 0; i < m->count; i++)
        if (spm_merges(m->pieces + i))
            order[pieces++] = (struct ranked){ m->pieces[i].score, i };
    if (pieces > 1) qsort(order, (size_t)pieces, sizeof *order, best_first);
    for (int i = 0; i < pieces; i++) {
        size_t n, k = 0;
        int step;
        const char *name = name_of(w, order[i].id, &n);
        for (utf8_char(name, &step); (k += (size_t)step) < n; utf8_char(name + k, &step))
            if (can_merge(w, name, k) && can_merge(w, name + k, n - k))
                json_array_append_new(list, json_pack("[s%s%]", name, k, name + k, n - k));
    }
    mem_free(order);
    return list;
}

static json_t *bpe_model(const struct writer *w)
{
    size_t n = 0;
    const char *unknown = NULL;

    for (int i = 0; i < w->m->count && !unknown; i++)
        if (w->m->pieces[i].type == SPM_UNKNOWN) unknown = name_of(w, i, &n);
    return json_pack("{s:s, s:n, s:o, s:n, s:n, s:b, s:b, s:b, s:O, s:o}", "type", "BPE", "dropout",
                     "unk_token", unknown ? json_stringn(unknown, n) : json_null(),
                     "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 1,
                     "byte_fallback", w->m->byte_fallback, "ignore_merges", 0, "vocab", w->ids,
                     "merges", merges_of(w));
}

/* --- unigram ------------------------------------------------------------------------- */

/* Pieces that no text may become (control symbols, bytes) get a score that always loses. */
static json_t *unigram_model(const struct writer *w)
{
    json_t *vocab = json_array();
    double low = 0, high = -1e30;
    int unknown = 0;
    size_t n;

    for (int i = 0; i < w->m->count; i++) {
        const struct spm_piece *p = w->m->pieces + i;
        if (p->type == SPM_UNKNOWN) unknown = i;
        if (p->type != SPM_NORMAL) continue;
        if (p->score < low) low = p->score;
        if (p->score > high) high = p->score;
    }
    for (int i = 0; i < w->m->count; i++) {
        const struct spm_piece *p = w->m->pieces + i;
        const char *name = name_of(w, i, &n);
        double score = low - 1000;
        if (p->type == SPM_NORMAL) score = p->score;
        if (p->type == SPM_USER_DEFINED) score = p->length * high - 0.1;  /* SentencePiece's */
        json_array_append_new(vocab, json_pack("[s%f]", name, n, score));
    }
    return json_pack("{s:s, s:i, s:o, s:b}", "type", "Unigram", "unk_id", unknown, "vocab", vocab,
                     "byte_fallback", w->m->byte_fallback);
}

/* --- before and after the model ----------------------------------------------------------- */

static char *base64(const char *data, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = mem_new((int64_t)((n + 2) / 3 * 4 + 1), 1, "table of characters"), *to = text;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t x = 0;
        for (size_t k = 0; k < 3; k++)
            x = x << 8 | (i + k < n ? (unsigned char)data[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            *to++ = k <= n - i ? digit[x >> (18 - 6 * k) & 63] : '=';
    }
    *to = '\0';
    return text;
}

static json_t *replace(const char *kind, const char *pattern, const char *by)
{
    return json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", kind, pattern,
                     "content", by);
}

static json_t *normalizer(const struct writer *w)
{
    const struct spm_model *m = w->m;
    json_t *steps = json_array();

    if (m->charsmap_n) {
        char *text = base64(m->charsmap, m->charsmap_n);
        json_array_append_new(steps, json_pack("{s:s, s:s}", "type", "Precompiled",
                                               "precompiled_charsmap", text));
        mem_free(text);
    }
    if (m->trims) {
        json_array_append_new(steps, replace("Regex", "\\A +|[ " SPACE "]+\\z", ""));
        json_array_append_new(steps, replace("Regex", " {2,}", " "));
    }
    if (m->dummy_prefix)
        json_array_append_new(steps, json_pack("{s:s, s:s}", "type", "Prepend", "prepend", SPACE));
    if (!w->literal) json_array_append_new(steps, replace("String", " ", SPACE));
    if (json_array_size(steps))
        return json_pack("{s:s, s:o}", "type", "Sequence", "normalizers", steps);
    json_decref(steps);
    return json_null();
}

static json_t *decoder(const struct writer *w)
{
    json_t *steps = json_array();

    if (!w->literal) json_array_append_new(steps, replace("String", SPACE, " "));
    json_array_append_new(steps, json_pack("{s:s}", "type", "ByteFallback"));
    json_array_append_new(steps, json_pack("{s:s}", "type", "Fuse"));
    if (w->m->dummy_prefix)
        json_array_append_new(steps, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip", "content",
                                               " ", "start", 1, "stop", 0));
    return json_pack("{s:s, s:o}", "type", "Sequence", "decoders", steps);
}

json_t *spm_json_added(const char *text, size_t n, int special)
{
    return json_pack("{s:s%, s:b, s:b, s:b, s:b, s:b}", "content", text, n, "lstrip", 0,
                     "normalized", 0, "rstrip", 0, "single_word", 0, "special", special);
}

/* A symbol of one character that no other piece holds needs not be cut out first. */
static int stands_alone(const struct spm_model *m, const struct spm_piece *p)
{
    int step;
    utf8_char(p->text, &step);
    if (step != p->length) return 0;
    for (int i = 0; i < m->count; i++) {
        const struct spm_piece *q = m->pieces + i;
        if (q != p && spm_merges(q) && memmem(q->text, (size_t)q->length, p->text, (size_t)step))
            return 0;
    }
    return 1;
}

/* The library cuts added tokens out of a text first, and then normalises each part between them
 * as a text of its own. */
static json_t *added_tokens(struct writer *w)
{
    const struct spm_model *m = w->m;
    const int whole = m->dummy_prefix || m->trims;
    json_t *list = json_array();
    int apart = 0;
    size_t n;

    for (int i = 0; i < m->count; i++) {
        const struct spm_piece *p = m->pieces + i;
        const int user = p->type == SPM_USER_DEFINED;
        if (!user && p->type != SPM_CONTROL && p->type != SPM_UNKNOWN) continue;
        /* SentencePiece looks for symbols after spaces became SPACE: these are never found. */
        if (user && (holds(p, " ") || (w->literal && holds(p, SPACE)))) continue;
        if (user && whole && stands_alone(m, p)) continue;
        apart |= user && whole;
        const char *name = name_of(w, i, &n);
        json_t *token = spm_json_added(name, n, !user);
        json_object_set_new(token, "id", json_integer(i));
        json_array_append_new(list, token);
    }
    if (apart) doubt(w, "texts with user-defined symbols, where spaces around them differ");
    return list;
}

/* Name the texts that are known to differ. */
static void find_doubt(struct writer *w)
{
    const struct spm_model *m = w->m;
    int unused = 0;

    for (int i = 0; i < m->count; i++) unused |= m->pieces[i].type == SPM_UNUSED;
    if (m->lossless && !w->literal) doubt(w, "texts with U+2581");
    /* The library's model looks for all pieces in a text, these too. */
    if (m->kind == SPM_UNIGRAM)
        doubt(w, "texts that hold the name of a special token, such as </s>");
    if (m->kind == SPM_UNIGRAM)
        doubt(w, "runs of one character or pattern, where the sums of several ways are equal up to "
              "rounding");
    if (m->charsmap_n)
        doubt(w, "rare sequences of characters that have a common normal form");
    if (m->bpe && !m->distinct) doubt(w, "words where merges of equal score compete");
    if (unused) doubt(w, "words with pieces that are marked as unused");
}

json_t *spm_json(const struct spm_model *m, char **why)
{
    struct writer w = { .m = m };
    json_t *result = NULL;
    size_t bytes = 0;
    int plain = 1;

    *why = NULL;
    if (m->suffix || m->raw_spaces || m->kind == SPM_WORD || m->kind == 0) {
        *why = mem_string(m->suffix ? "a space belongs to the word before it"
                          : m->raw_spaces ? "spaces are not escaped" : "pieces are whole words");
        return NULL;
    }
    for (int i = 0; i < m->count; i++) {
        bytes += (size_t)m->pieces[i].length;
        plain &= !holds(m->pieces + i, " ");
    }
    w.bytes = mem_new((int64_t)bytes + 1, 1, "names of pieces");
    w.at = mem_new(m->count + 1, sizeof *w.at, "names of pieces");
    if (!(m->lossless && plain && make_names(&w, 1))) {
        json_decref(w.ids);
        if (!make_names(&w, 0)) *why = mem_string("two pieces have the same name");
    }
    if (!*why) {
        find_doubt(&w);
        json_t *added = added_tokens(&w);
        json_t *model = m->kind == SPM_UNIGRAM ? unigram_model(&w) : bpe_model(&w);
        result = json_pack("{s:s, s:n, s:n, s:o, s:o, s:n, s:n, s:o, s:o}", "version", "1.0",
                           "truncation", "padding", "added_tokens", added, "normalizer",
                           normalizer(&w), "pre_tokenizer", "post_processor", "decoder",
                           decoder(&w), "model", model);
        check(result);
        *why = w.doubt;
    }
    json_decref(w.ids);
    mem_free(w.bytes);
    mem_free(w.at);
    return result;
}
