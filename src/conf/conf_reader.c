/* SPDX-License-Identifier: Apache-2.0 */
#include "src/conf/conf_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/encoding.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/base/utf8.h"

#define MAX_ERRORS 50  /* said; the rest is counted */

__attribute__((format(printf, 4, 0)))
static void complain(struct conf_reader *r, struct conf_place at, const char *key,
                     const char *format, va_list ap)
{
    char what[1024];

    if (r->errors++ >= MAX_ERRORS && !r->stopped) return;
    r->printed++;
    vsnprintf(what, sizeof what, format, ap);
    fail(ERR_CONFIG, "%s:%zu:%zu: %s%s%s", at.file, at.line, at.column, key ? key : "",
         key ? ": " : "", what);
}

void conf_complain(struct conf_reader *r, struct conf_place at, const char *key,
                   const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    complain(r, at, key, format, ap);
    va_end(ap);
}

void conf_refuse(struct conf_reader *r, const char *path, const char *format, ...)
{
    const int i = conf_find(r->schema, path);
    const struct conf_place top = { r->name, 1, 1 };
    va_list ap;

    check(i >= 0);
    if (r->bad[i]) return;
    va_start(ap, format);
    complain(r, r->where[i].line ? r->where[i] : top, path, format, ap);
    va_end(ap);
    r->bad[i] = 1;
}

void conf_unknown(struct conf_reader *r, struct conf_place at, const char *path)
{
    const struct conf_schema *s = r->schema;
    const char *dot = strrchr(path, '.'), *leaf = dot ? dot + 1 : path;
    struct nearest n = { .to = path };

    if (r->errors < MAX_ERRORS)  /* else it is only counted */
        for (int i = 0; i < s->count; i++) nearest_try(&n, s->keys[i].path);
    for (int i = s->count - 1; i >= 0; i--)  /* right name, wrong section */
        if (!strcmp(strrchr(s->keys[i].path, '.') + 1, leaf)) n.best = s->keys[i].path;
    conf_complain(r, at, path, "expected a known key, found an unknown one%s%s%s",
                  n.best ? " (did you mean " : "; ", n.best ? n.best : s->lists,
                  n.best ? "?)" : " lists them");
}

void conf_short(char out[64], const char *text)
{
    int n = 0;
    for (; *text && n < 50; text++) out[n++] = *text;
    while (n > 0 && *text && (*text & 0xc0) == 0x80) n--, text--;  /* no half character */
    strcpy(out + n, *text ? "..." : "");
}

void conf_reset_key(struct conf_reader *r, int i)
{
    const struct conf_key *k = &r->schema->keys[i];
    if (conf_is_list(k)) memset(conf_at(r->values, k), 0, k->size);
}

void conf_give(struct conf_reader *r, int i, const char *text, int plain, struct conf_place at)
{
    const struct conf_key *k = &r->schema->keys[i];
    char expected[256], found[64], entry[32] = "";

    r->where[i] = at;
    r->bad[i] = !conf_store(r->values, k, text, plain);
    if (!r->bad[i]) return;
    conf_expected(expected, sizeof expected, k);
    conf_short(found, text);
    if (plain && !*text) {
        conf_complain(r, at, k->path, "expected %s, found nothing", expected);
        return;
    }
    struct nearest n = { .to = text };
    if (k->type == CONF_ENUM)
        for (int j = 0; k->names[j]; j++) nearest_try(&n, k->names[j]);
    if (k->type == CONF_LAYER)
        for (int j = 0; conf_layer(j); j++) nearest_try(&n, conf_layer(j));
    const char *mark = plain ? "'" : "\"";
    if (k->type == CONF_LAYER && r->entry)
        snprintf(entry, sizeof entry, " in entry %d of the list", r->entry);
    conf_complain(r, at, k->path, "expected %s, found %s%s%s%s%s%s%s", expected, mark, found, mark,
                  entry, n.best ? " (did you mean " : "", n.best ? n.best : "", n.best ? "?)" : "");
}

/* Text must be UTF-8 without control characters: libyaml would guess UTF-16,
 * and a zero byte would end a string early.  It would also take a byte order
 * mark for a column, so that the second key does not stand below the first. */
int conf_readable(struct conf_reader *r, const char *name, const char **begin, size_t *bytes)
{
    const size_t mark = (size_t)utf8_mark(*begin, (int64_t)*bytes);
    const char *text = *begin += mark;
    const size_t n = *bytes -= mark, good = (size_t)utf8_valid(text, (int64_t)n);
    const struct encoding *e = encoding_of(text, (int64_t)n);
    struct conf_place at = { name, 1, 1 };

    if (e) {
        char *found = encoding_sentence(e, 0);
        conf_complain(r, at, NULL, "expected UTF-8, %s", found);
        mem_free(found);
        return 0;
    }
    for (size_t i = 0; i < good; i++) {
        const unsigned char b = (unsigned char)text[i];
        if (b == '\n') {
            at.line++;
            at.column = 1;
            continue;
        }
        if ((b < 0x20 && b != '\t' && b != '\r') || b == 0x7f) {
            conf_complain(r, at, NULL, "expected text, found the control character 0x%02x", b);
            return 0;
        }
        at.column += (b & 0xc0) != 0x80;
    }
    if (good == n) return 1;
    e = encoding_guess(text, (int64_t)n, (int64_t)good);
    char *found = e ? encoding_sentence(e, 0) : mem_string("");
    conf_complain(r, at, NULL, "expected UTF-8, found the byte 0x%02x%s%s",
                  (unsigned char)text[good], e ? "; " : "", found);
    mem_free(found);
    return 0;
}
