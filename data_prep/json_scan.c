/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/json_scan.h"

#include <stdio.h>
#include <string.h>

#include "data_prep/json_text.h"
#include "src/base/mem.h"

/* Is a raw string, once decoded, this name? */
static int same_name(struct json_span raw, const char *name)
{
    const int64_t n = (int64_t)strlen(name);
    char text[256], *copy = text;
    int64_t got = 0, bad;

    if (!memchr(raw.p, '\\', (size_t)raw.n))
        return raw.n == n && memcmp(raw.p, name, (size_t)n) == 0;
    if (raw.n > 6 * n) return 0;  /* the longest escape of one byte has six */
    if (raw.n > (int64_t)sizeof text) copy = mem_new(raw.n, 1, "name of a field");
    const int same = !json_text(copy, &got, raw.p, raw.n, &bad) && got == n &&
                     memcmp(copy, name, (size_t)n) == 0;
    if (copy != text) mem_free(copy);
    return same;
}

int64_t json_column(const struct json_scan *s, const char *at)
{
    int64_t c = 1;
    for (const char *p = s->begin; p < at; p++) c += ((unsigned char)*p & 0xc0) != 0x80;
    return c;
}

static int wrong(struct json_scan *s, const char *expected)
{
    char found[32] = "the end of the line";

    if (s->p < s->end) {
        const unsigned char c = (unsigned char)*s->p;
        snprintf(found, sizeof found, c > ' ' && c < 127 ? "'%c'" : "the byte 0x%02x", c);
    }
    s->why = mem_format("not JSON: expected %s, found %s (column %lld)%s", expected, found,
                        (long long)json_column(s, s->p), s->p < s->end ? "" :
                        "; JSON lines hold one whole object on each line");
    return 0;
}

static void skip_space(struct json_scan *s)
{
    const char *p = s->p;
    while (p < s->end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) p++;
    s->p = p;
}

/* At the opening quote of a string: take its inside, and move past its closing quote. */
static int take_string(struct json_scan *s, struct json_span *raw)
{
    const char *begin = ++s->p;

    for (;;) {
        s->p += json_plain(s->p, s->end);
        if (s->p >= s->end) break;
        if (*s->p == '"') {
            *raw = (struct json_span){ begin, s->p++ - begin };
            return 1;
        }
        s->p += *s->p == '\\' ? 2 : 1;
    }
    s->p = s->end;
    return wrong(s, "a '\"' that ends the string");
}

static uint64_t *bits(struct json_scan *s) { return s->grown ? s->grown : s->small; }

static int is_list(struct json_scan *s)
{
    const int64_t i = s->depth - 1;
    return (int)(bits(s)[i / 64] >> (i % 64) & 1);
}

static int open_level(struct json_scan *s, int list)
{
    const int64_t i = s->depth;

    if (i == JSON_MAX_DEPTH) return wrong(s, "at most 1048576 levels of nesting");
    if (i == s->room) {
        uint64_t *more = mem_new(s->room / 32, sizeof *more, "levels of a JSON line");
        memcpy(more, bits(s), (size_t)s->room / 8);
        mem_free(s->grown);
        s->grown = more;
        s->room *= 2;
    }
    const uint64_t bit = (uint64_t)1 << (i % 64);
    bits(s)[i / 64] = list ? bits(s)[i / 64] | bit : bits(s)[i / 64] & ~bit;
    s->depth++;
    s->p++;
    return 1;
}

static void close_level(struct json_scan *s)
{
    if (s->on == s->depth) s->on--;
    s->depth--;
    s->p++;
}

static void note(struct json_found *f, int reached, enum json_kind kind)
{
    f->repeats += f->reached >= reached;
    f->reached = reached;
    f->kind = kind;
}

/* Which of the two paths to the field, the whole name and the nested one, match this key. */
enum { EXACT = 1, NESTED = 2 };

/* A key and its colon. */
static int take_key(struct json_scan *s, int *ways, struct json_span *key)
{
    const struct json_path *path = s->path;

    if (*s->p != '"') return wrong(s, "a key in quotes");
    if (!take_string(s, key)) return 0;
    *ways = (s->depth == 1 && same_name(*key, path->whole) ? EXACT : 0) |
            (s->on == s->depth && same_name(*key, path->part[s->depth - 1]) ? NESTED : 0);
    skip_space(s);
    if (s->p >= s->end || *s->p != ':') return wrong(s, "':'");
    s->p++;
    skip_space(s);
    return 1;
}

static enum json_kind kind_of(char c)
{
    switch (c) {
    case '"': return JSON_STRING;
    case '{': return JSON_OBJECT;
    case '[': return JSON_LIST;
    case 't': case 'f': return JSON_BOOLEAN;
    case 'n': return JSON_NULL;
    default: return JSON_NUMBER;  /* or nothing that there is */
    }
}

/* A number, true, null, or a word that is used as a number: NaN, -Infinity, 0x1p3. */
static int take_word(struct json_scan *s)
{
    static const char usual[] = "0123456789+-._"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *begin = s->p;

    while (s->p < s->end && *s->p && memchr(usual, *s->p, sizeof usual - 1)) s->p++;
    return s->p > begin ? 1 : wrong(s, "a value");
}

/* A value, or the beginning of an object or a list, to which the `ways` lead.
 * opened [out]: 1 if it is one of these. */
static int take_value(struct json_scan *s, int ways, int *opened)
{
    const enum json_kind kind = s->p < s->end ? kind_of(*s->p) : JSON_NOTHING;
    const int part = (int)s->depth;  /* the value's place in the name, from 1 */
    struct json_span raw = { NULL, 0 };

    *opened = kind == JSON_OBJECT || kind == JSON_LIST;
    if (ways & EXACT) note(&s->exact, 1, kind);
    if (ways & NESTED) note(&s->nested, part, kind);
    if (*opened) {
        if (ways & NESTED && kind == JSON_OBJECT && part < s->path->parts) s->on = part + 1;
        return open_level(s, kind == JSON_LIST);
    }
    if (kind == JSON_NOTHING) return wrong(s, "a value");
    if (kind != JSON_STRING) return take_word(s);
    if (!take_string(s, &raw)) return 0;
    if (ways & EXACT) s->exact.raw = raw;
    if (ways & NESTED) s->nested.raw = raw;
    return 1;
}

static void list_name(struct json_scan *s, struct json_span key)
{
    if (s->names_n == JSON_NAMES) {
        s->more_names = 1;
        return;
    }
    s->names[s->names_n].key = key;
    s->names[s->names_n++].kind = s->p < s->end ? kind_of(*s->p) : JSON_NOTHING;
}

/* The inside of the outermost object, to its end. */
static int take_object(struct json_scan *s)
{
    enum { OPENED, AFTER_VALUE, AFTER_COMMA } where = OPENED;

    while (s->depth > 0) {
        const int list = is_list(s);
        struct json_span key;
        int ways = 0, opened = 0;

        skip_space(s);
        if (s->p < s->end && *s->p == (list ? ']' : '}') && where != AFTER_COMMA) {
            close_level(s);
            where = AFTER_VALUE;
        } else if (where == AFTER_VALUE) {
            if (s->p >= s->end || *s->p != ',') return wrong(s, list ? "',' or ']'" : "',' or '}'");
            s->p++;
            where = AFTER_COMMA;
        } else {
            if (!list && s->p >= s->end) return wrong(s, "a key in quotes");
            if (!list && !take_key(s, &ways, &key)) return 0;
            if (!list && s->depth == 1) list_name(s, key);
            if (!take_value(s, ways, &opened)) return 0;
            where = opened ? OPENED : AFTER_VALUE;
        }
    }
    return 1;
}

static int take_line(struct json_scan *s)
{
    skip_space(s);
    if (s->p < s->end && *s->p == '[') {
        s->why = mem_string("not a JSON object but a list; where a file is one list of objects, "
                            "jq -c '.[]' writes them as JSON lines");
        return 0;
    }
    if (s->p >= s->end || *s->p != '{') return wrong(s, "'{', which begins an object");
    s->on = 1;
    if (!open_level(s, 0) || !take_object(s)) return 0;
    skip_space(s);
    return s->p == s->end ? 1 : wrong(s, "the end of the line after the object");
}

int json_scan(struct json_scan *s, const struct json_path *path, const char *line, int64_t n)
{
    *s = (struct json_scan){ .path = path, .begin = line, .p = line, .end = line + n,
                             .room = 1024 };
    const int good = take_line(s);
    mem_free(s->grown);
    s->grown = NULL;
    return good;
}
