/* SPDX-License-Identifier: Apache-2.0 */
#include "src/data/spm_model.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/bytes.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

#define MAX_PIECES 4000000

/* One field of a protocol buffer message: a number, or bytes. */
struct field { int number, wire; uint64_t value; const char *bytes; size_t n; };

struct message { const char *p, *end; int broken; };

static uint64_t varint(struct message *m)
{
    uint64_t x = 0;
    for (int shift = 0; shift < 64 && m->p < m->end; shift += 7) {
        const unsigned char b = (unsigned char)*m->p++;
        x |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return x;
    }
    m->broken = 1;
    return 0;
}

/* The next field; 0 at the end or where the message is broken. */
static int next_field(struct message *m, struct field *f)
{
    *f = (struct field){ 0 };
    if (m->broken || m->p == m->end) return 0;
    const uint64_t key = varint(m);
    f->wire = (int)(key & 7);
    f->number = key >> 3 <= 0x1fffffff ? (int)(key >> 3) : 0;
    if (f->number == 0) m->broken = 1;
    if (f->wire == 0) {
        f->value = varint(m);
    } else if (f->wire == 1 || f->wire == 2 || f->wire == 5) {
        const uint64_t n = f->wire == 1 ? 8 : f->wire == 5 ? 4 : varint(m);
        if (n > (uint64_t)(m->end - m->p)) m->broken = 1;
        if (m->broken) return 0;
        f->bytes = m->p;
        f->n = (size_t)n;
        m->p += n;
    } else {
        m->broken = 1;
    }
    return !m->broken;
}

static struct message inside(const struct field *f)
{
    if (f->wire != 2) return (struct message){ .broken = 1 };
    return (struct message){ f->bytes, f->bytes + f->n, 0 };
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* SentencePiece { piece = 1, score = 2, type = 3 } */
static int read_piece(struct spm_model *m, const struct field *f)
{
    struct message in = inside(f);
    struct spm_piece p = { .type = SPM_NORMAL, .text = "" };

    for (struct field x; next_field(&in, &x);) {
        if (x.number == 1 && x.wire == 2 && x.n < 65536) p.text = x.bytes, p.length = (int)x.n;
        if (x.number == 2 && x.wire == 5) {
            const uint32_t bits = get_u32(x.bytes);
            memcpy(&p.score, &bits, sizeof bits);
        }
        if (x.number == 3 && x.wire == 0) p.type = x.value <= SPM_BYTE ? (int)x.value : 0;
    }
    if (in.broken || p.type == 0 || p.length == 0 || utf8_valid(p.text, p.length) != p.length)
        return ERR_DATA;
    if (p.type == SPM_BYTE) {
        const int high = p.length == 6 ? hex_digit(p.text[3]) : -1;
        const int low = p.length == 6 ? hex_digit(p.text[4]) : -1;
        if (high < 0 || low < 0 || memcmp(p.text, "<0x", 3) != 0 || p.text[5] != '>')
            return ERR_DATA;
        p.byte = (uint8_t)(high << 4 | low);
        m->byte_id[p.byte] = m->count;
    }
    if (p.type == SPM_UNKNOWN) m->unk = m->count;
    const int n = m->count;
    if (n == MAX_PIECES) return ERR_DATA;
    if ((n & (n - 1)) == 0)
        m->pieces = mem_resize(m->pieces, n ? 2 * n : 1, sizeof *m->pieces, "pieces");
    m->pieces[m->count++] = p;
    return OK;
}

/* TrainerSpec { model_type = 3 (BPE is 2), treat_whitespace_as_suffix = 24,
 * byte_fallback = 35 } */
static int read_trainer(struct spm_model *m, const struct field *f)
{
    struct message in = inside(f);
    for (struct field x; next_field(&in, &x);) {
        if (x.wire != 0) continue;
        if (x.number == 3) m->kind = x.value <= SPM_CHAR ? (int)x.value : 0;
        if (x.number == 24) m->suffix = x.value != 0;
        if (x.number == 35) m->byte_fallback = x.value != 0;
    }
    return in.broken ? ERR_DATA : OK;
}

/* NormalizerSpec { precompiled_charsmap = 2, add_dummy_prefix = 3,
 * remove_extra_whitespaces = 4, escape_whitespaces = 5 } */
static int read_normalizer(struct spm_model *m, const struct field *f)
{
    struct message in = inside(f);
    for (struct field x; next_field(&in, &x);) {
        if (x.number == 2 && x.wire == 2) m->charsmap = x.bytes, m->charsmap_n = x.n;
        if (x.wire != 0) continue;
        if (x.number == 3) m->dummy_prefix = x.value != 0;
        if (x.number == 4) m->trims = x.value != 0;
        if (x.number == 5) m->raw_spaces = !x.value;
    }
    return in.broken ? ERR_DATA : OK;
}

static uint64_t pair_key(uint32_t a, uint32_t b)
{
    return ((uint64_t)(a == ' ' ? SPM_SPACE : a) << 21 | (b == ' ' ? SPM_SPACE : b)) + 1;
}

/* The place of a pair in the set: where it is, or the free place it would take. */
static uint64_t *find_pair(const struct spm_model *m, uint64_t key)
{
    uint64_t i = key * 0x9e3779b97f4a7c15ULL >> 32;
    while (m->pairs[i & m->pairs_mask] && m->pairs[i & m->pairs_mask] != key) i++;
    return m->pairs + (i & m->pairs_mask);
}

int spm_merges(const struct spm_piece *p)
{
    return p->type == SPM_NORMAL || p->type == SPM_USER_DEFINED || p->type == SPM_UNUSED;
}

/* Every two neighbours inside a piece.  returns 1 if none of them is a newline
 * with something after it, or with a space before it. */
static int collect_pairs(struct spm_model *m)
{
    int64_t bytes = 0;
    int newline_alone = 1;

    for (int i = 0; i < m->count; i++)
        if (spm_merges(m->pieces + i)) bytes += m->pieces[i].length;
    for (m->pairs_mask = 1023; (int64_t)m->pairs_mask < 2 * bytes; )
        m->pairs_mask = 2 * m->pairs_mask + 1;
    m->pairs = mem_new((int64_t)m->pairs_mask + 1, sizeof *m->pairs, "neighbours in pieces");
    for (int i = 0; i < m->count; i++) {
        const struct spm_piece *p = m->pieces + i;
        if (!spm_merges(p)) continue;
        int at = 0, step;
        uint32_t before = utf8_char(p->text, &step);
        while ((at += step) < p->length) {
            const uint32_t c = utf8_char(p->text + at, &step);
            const uint64_t key = pair_key(before, c);
            *find_pair(m, key) = key;
            newline_alone &= before != '\n' && key != pair_key(' ', '\n');
            before = c;
        }
    }
    return newline_alone;
}

static int by_score(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int distinct_scores(const struct spm_model *m)
{
    float *scores = mem_new(m->count, sizeof *scores, "scores");
    int n = 0, distinct = 1;

    for (int i = 0; i < m->count; i++) {
        const int type = m->pieces[i].type;
        if (type == SPM_NORMAL || type == SPM_UNUSED) scores[n++] = m->pieces[i].score;
    }
    if (n > 1) qsort(scores, (size_t)n, sizeof *scores, by_score);
    for (int i = 1; i < n; i++) distinct &= scores[i - 1] < scores[i];
    mem_free(scores);
    return distinct;
}

int spm_model_read(struct spm_model *m, const char *bytes, size_t n, const char *path)
{
    struct message in = { bytes, bytes + n, 0 };
    int rc = OK, all_bytes = 1;

    *m = (struct spm_model){ .kind = SPM_UNIGRAM, .dummy_prefix = 1, .trims = 1, .unk = -1 };
    for (int b = 0; b < 256; b++) m->byte_id[b] = -1;
    for (struct field f; rc == OK && next_field(&in, &f);) {
        if (f.number == 1) rc = read_piece(m, &f);
        if (f.number == 2) rc = read_trainer(m, &f);
        if (f.number == 3) rc = read_normalizer(m, &f);
    }
    if (rc != OK || in.broken || m->count == 0)
        return fail(ERR_DATA, "%s: not a SentencePiece model, or damaged", path);

    for (int b = 0; b < 256; b++) all_bytes &= m->byte_id[b] >= 0;
    if (m->byte_fallback && !all_bytes)
        return fail(ERR_DATA, "%s: declares byte fallback, but pieces of some bytes are "
                    "missing", path);
    const int newline_alone = collect_pairs(m);
    m->bpe = m->kind == SPM_BPE;
    m->plain = !m->suffix && !m->raw_spaces && !m->charsmap_n;
    m->distinct = distinct_scores(m);
    m->cuttable = m->bpe && m->byte_fallback && m->plain && !m->trims && m->distinct &&
                  (!m->dummy_prefix || newline_alone);
    m->lossless = m->cuttable && !m->dummy_prefix;
    return OK;
}

void spm_model_done(struct spm_model *m)
{
    mem_free(m->pieces);
    mem_free(m->pairs);
    m->pieces = NULL;
    m->pairs = NULL;
}

int spm_model_cut(const struct spm_model *m, uint32_t a, uint32_t b)
{
    return *find_pair(m, pair_key(a, b)) == 0;
}
