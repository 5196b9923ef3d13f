/* SPDX-License-Identifier: Apache-2.0 */
/* data_index_read.c -- data_index_read(): the fixed spelling, checked letter by letter. */
#include "src/data/data_index.h"

#include <stdio.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define MAX_BYTES ((size_t)16 << 20)
#define MAX_DIGITS 18
#define MAX_NUMBER ((int64_t)999999999999999999)
#define TAIL 39  /* "hash: ", 32 digits, newline */

/* Reading: one place in the text, and the first thing that was wrong. */
struct index_text { const char *path, *p, *end; int line; int rc; };

static void wrong(struct index_text *r, const char *expected)
{
    if (r->rc != OK) return;
    const int n = (int)strcspn(r->p, "\n");
    r->rc = fail(ERR_DATA, "%s:%d: expected %s, found '%.*s'", r->path, r->line, expected,
                 n < 60 ? n : 60, r->p);
}

/* The text that must come now. */
static void literal(struct index_text *r, const char *text)
{
    const size_t n = strlen(text);
    if (r->rc != OK) return;
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, text, n) != 0) {
        wrong(r, text[0] == '\n' ? "end of line" : text);
        return;
    }
    r->p += n;
    for (size_t i = 0; i < n; i++) r->line += text[i] == '\n';
}

static int64_t number(struct index_text *r, int64_t max)
{
    int64_t x = 0;
    int digits = 0;

    if (r->rc != OK) return 0;
    for (; digits <= MAX_DIGITS && r->p[digits] >= '0' && r->p[digits] <= '9'; digits++)
        if (digits < MAX_DIGITS) x = 10 * x + (r->p[digits] - '0');
    if (digits == 0 || digits > MAX_DIGITS || x > max || (digits > 1 && r->p[0] == '0')) {
        wrong(r, "a whole number in range");
        return 0;
    }
    r->p += digits;
    return x;
}

/* A name that can't leave its folder: letters, digits, '-', '_', '.', and no
 * '.' in front. */
static void name(struct index_text *r, char *out, size_t room)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    if (r->rc != OK) return;
    const size_t n = strspn(r->p, allowed);
    if (n == 0 || n >= room || r->p[0] == '.') {
        wrong(r, "a plain file name");
        return;
    }
    memcpy(out, r->p, n);
    out[n] = '\0';
    r->p += n;
}

static struct hash digits(struct index_text *r)
{
    struct hash h = { 0, 0 };
    char text[HASH_HEX] = "";

    if (r->rc != OK) return h;
    strncpy(text, r->p, HASH_HEX - 1);
    if (hash_parse(&h, text) != OK) wrong(r, "a hash of 32 hexadecimal digits");
    else r->p += HASH_HEX - 1;
    return h;
}

static void read_shards(struct index_text *r, struct data_index *x)
{
    const struct data_index said = *x;

    x->tokens = x->documents = x->text_bytes = 0;
    while (r->rc == OK && r->p < r->end) {
        struct data_shard s = { .name = "" };
        literal(r, "  - {name: ");
        name(r, s.name, sizeof s.name);
        literal(r, ", size: ");
        s.sums.size = number(r, MAX_NUMBER);
        literal(r, ", tokens: ");
        s.sums.tokens = number(r, SHARD_MAX_TOKENS);
        literal(r, ", documents: ");
        s.sums.documents = number(r, SHARD_MAX_DOCUMENTS);
        literal(r, ", text_bytes: ");
        s.sums.text_bytes = number(r, (int64_t)1 << 44);
        literal(r, ", footer: ");
        s.sums.footer = digits(r);
        literal(r, "}\n");
        if (r->rc == OK && x->shard_count == INDEX_MAX_SHARDS) wrong(r, "fewer shards");
        if (r->rc == OK) data_index_add(x, s.name, &s.sums);
    }
    if (r->rc == OK && (x->tokens != said.tokens || x->documents != said.documents ||
                        x->text_bytes != said.text_bytes))
        r->rc = fail(ERR_DATA, "%s: the shards do not add up to the totals", r->path);
}

static int number_or_none(struct index_text *r, int none)
{
    if (r->rc != OK || *r->p != '~') return (int)number(r, INT32_MAX);
    literal(r, "~");
    return none;
}

static struct data_files read_files(struct index_text *r, const char *before)
{
    struct data_files x = { 0 };
    literal(r, before);
    literal(r, ": {files: ");
    x.files = number(r, MAX_NUMBER);
    literal(r, ", bytes: ");
    x.bytes = number(r, MAX_NUMBER);
    return x;
}

/* What the data set was made from; since format 2. */
static void read_origin(struct index_text *r, struct data_index *x)
{
    literal(r, "\noptions: ");
    x->options = digits(r);
    x->read = read_files(r, "\ninputs");
    literal(r, ", hash: ");
    x->inputs = digits(r);
    literal(r, "}\nleft_out:");
    for (int i = 0; i < LEFT_KINDS; i++) {
        literal(r, "\n  ");
        x->left[i] = read_files(r, data_left_name(i));
        literal(r, "}");
    }
    literal(r, "\nskipped: {documents: ");
    x->skipped.documents = number(r, MAX_NUMBER);
    literal(r, ", files: ");
    x->skipped.files = number(r, MAX_NUMBER);
    literal(r, ", bytes: ");
    x->skipped.bytes = number(r, MAX_NUMBER);
    literal(r, ", read_bytes: ");
    x->skipped.read_bytes = number(r, MAX_NUMBER);
    literal(r, "}");
}

static void read_format(struct index_text *r, struct data_index *x)
{
    literal(r, "# ttt data set\nformat: ");
    x->format = (int)number(r, INT32_MAX);
    if (r->rc == OK && x->format != 1 && x->format != INDEX_FORMAT)
        r->rc = fail(ERR_DATA, "%s: format %d; this ttt reads formats 1 to %d: the data set was "
                     "made by a newer one", r->path, x->format, INDEX_FORMAT);
}

static void read_fields(struct index_text *r, struct data_index *x)
{
    read_format(r, x);
    literal(r, "\ntokenizer: ");
    name(r, x->kind, sizeof x->kind);
    literal(r, "\ntokenizer_file: ");
    if (r->rc == OK && *r->p != '~') name(r, x->tokenizer_file, sizeof x->tokenizer_file);
    else literal(r, "~");
    literal(r, "\ntokenizer_hash: ");
    x->tokenizer = digits(r);
    literal(r, "\nvocab: ");
    x->vocab = (int)number(r, INT32_MAX);
    literal(r, "\nbos: ");
    x->bos = (int)number(r, INT32_MAX);
    literal(r, "\neos: ");
    x->eos = (int)number(r, INT32_MAX);
    x->unk = -1;
    if (x->format > 1) literal(r, "\nunk: "), x->unk = number_or_none(r, -1);
    literal(r, "\ntokens: ");
    x->tokens = number(r, MAX_NUMBER);
    literal(r, "\ndocuments: ");
    x->documents = number(r, MAX_NUMBER);
    literal(r, "\ntext_bytes: ");
    x->text_bytes = number(r, MAX_NUMBER);
    x->unk_tokens = x->unk_bytes = -1;
    if (x->format > 1) {
        literal(r, "\nunk_tokens: ");
        x->unk_tokens = number(r, MAX_NUMBER);
        literal(r, "\nunk_bytes: ");
        x->unk_bytes = number(r, MAX_NUMBER);
    }
    literal(r, "\ncontent: ");
    x->content = digits(r);
    if (x->format > 1) read_origin(r, x);
    if (x->part) {
        if (x->format == 1) literal(r, "\noptions: "), x->options = digits(r);
        literal(r, "\nnext_file: ");
        x->next.file = number(r, MAX_NUMBER);
        literal(r, "\nnext_offset: ");
        x->next.offset = number(r, MAX_NUMBER);
        literal(r, "\nnext_line: ");
        x->next.line = number(r, MAX_NUMBER);
    }
    literal(r, "\nshards:\n");
    read_shards(r, x);
    if (r->rc == OK && (x->bos >= x->vocab || x->eos >= x->vocab || x->unk >= x->vocab))
        r->rc = fail(ERR_DATA, "%s: bos %d, eos %d or unk %d is not below vocab %d", r->path,
                     x->bos, x->eos, x->unk, x->vocab);
}

int data_index_read(struct data_index *x, const char *path, int part)
{
    char *text = NULL;
    size_t n = 0;
    int rc = OK;

    *x = (struct data_index){ .part = part };
    TRY(file_slurp(&text, &n, path, MAX_BYTES));
    struct hash own = { 0, 0 };
    int whole = n > TAIL && memcmp(text + n - TAIL, "hash: ", 6) == 0 && text[n - 1] == '\n';
    if (whole) {
        text[n - 1] = '\0';
        whole = hash_parse(&own, text + n - TAIL + 6) == OK;
    }
    if (!whole) TRY(fail(ERR_DATA, "%s: does not end with its hash: cut or damaged", path));
    if (!hash_equal(own, hash_bytes(text, n - TAIL)))
        TRY(fail(ERR_DATA, "%s: damaged: its hash does not match its content", path));
    text[n - TAIL] = '\0';

    struct index_text r = { .path = path, .p = text, .end = text + n - TAIL, .line = 1 };
    read_fields(&r, x);
    rc = r.rc;
out:
    mem_free(text);
    return rc;
}
