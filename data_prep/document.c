#include "data_prep/document.h"

#include <jansson.h>
#include <string.h>

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

static void take_field(struct record *r, const char *field)
{
    json_error_t error;
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
    json_t *line = json_loadb(r->raw, (size_t)r->n, flags, &error);
    const json_t *value = json_object_get(line, field);

    if (!line) {
        spoil(r, mem_format("not JSON: %s (column %d)", error.text, error.column), r->line);
    } else if (!json_is_object(line)) {
        spoil(r, mem_string("not a JSON object"), r->line);
    } else if (!value) {
        spoil(r, mem_format("no field '%s'", field), r->line);
    } else if (!json_is_string(value)) {
        spoil(r, mem_format("field '%s' is not a string", field), r->line);
    } else {
        mem_free(r->raw);
        r->n = (int64_t)json_string_length(value);
        r->raw = memcpy(mem_new(r->n + 1, 1, "document"), json_string_value(value), (size_t)r->n);
    }
    json_decref(line);
}

void document_text(struct record *r, const char *field)
{
    if (r->bad) return;
    const int64_t valid = utf8_valid(r->raw, r->n);
    if (valid < r->n) {
        int64_t line = r->line;
        if (!r->input->jsonl)
            for (int64_t i = 0; i < valid; i++) line += r->raw[i] == '\n';
        spoil(r, mem_format("not UTF-8: byte 0x%02x at byte %lld of the %s",
                            (unsigned char)r->raw[valid], (long long)valid,
                            r->input->jsonl ? "line" : "file"), line);
        return;
    }
    if (r->input->jsonl) take_field(r, field);
    if (!r->bad && r->n == 0) spoil(r, mem_string("the document has no text"), r->line);
}

int document_is_val(const char *text, int64_t n, double fraction)
{
    return (double)(hash_bytes(text, (size_t)n).hi >> 11) * 0x1p-53 < fraction;
}
