#include "data_prep/document.h"

#include "data_prep/json_field.h"
#include "src/base/encoding.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/utf8.h"

static void spoil(struct record *r, char *why, int64_t line)
{
    r->bad = mem_format("%s:%lld: %s", r->input->path, (long long)line, why);
    mem_free(why);
    mem_free(r->raw);
    r->raw = NULL;
    r->n = 0;
}

static void take_field(struct record *r, const struct json_path *field)
{
    char *text;
    int64_t n;
    char *why = json_field(field, r->raw, r->n, r->mark, &text, &n, &r->repeats);

    if (why) {
        spoil(r, why, r->line);
        return;
    }
    mem_free(r->raw);
    r->raw = text;
    r->n = n;
}

/* A text file must be UTF-8 from its beginning to its end. */
static void check_text(struct record *r)
{
    const int64_t valid = utf8_valid(r->raw, r->n);
    int64_t line = r->line;

    if (valid == r->n) return;
    for (int64_t i = 0; i < valid; i++) line += r->raw[i] == '\n';
    spoil(r, encoding_complaint(r->raw, r->n, valid, r->mark, "file", r->input->size < 0), line);
}

void document_text(struct record *r, const struct json_path *field)
{
    if (r->bad) return;
    if (r->input->jsonl) take_field(r, field);
    else check_text(r);
    if (!r->bad && r->n == 0) spoil(r, mem_string("the document has no text"), r->line);
}

int document_is_val(const char *text, int64_t n, double fraction)
{
    return (double)(hash_bytes(text, (size_t)n).hi >> 11) * 0x1p-53 < fraction;
}
