/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/json_field.h"

#include <stdio.h>
#include <string.h>

#include "data_prep/json_scan.h"
#include "data_prep/json_text.h"
#include "src/base/encoding.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

#define NAME_BYTES 40  /* of a key in a message */

/* In the order of enum json_kind. */
static const char *const kind_names[] = { "nothing", "a string", "an object", "a list", "a number",
                                          "true or false", "null" };

/* --- the name -------------------------------------------------------------------------- */

int json_path_init(struct json_path *path, const char *field)
{
    char *out = mem_string(field);

    *path = (struct json_path){ .whole = mem_string(field) };
    path->part[path->parts++] = out;
    for (const char *p = field; *p; p++) {
        if (*p == '.' && path->parts == JSON_MAX_PARTS) {
            json_path_done(path);
            return fail(ERR_USAGE, "--field %s: at most %d names with dots between them", field,
                        JSON_MAX_PARTS);
        }
        if (*p == '.') {
            *out++ = '\0';
            path->part[path->parts++] = out;
        } else {
            p += *p == '\\' && (p[1] == '.' || p[1] == '\\');
            *out++ = *p;
        }
    }
    *out = '\0';
    return OK;
}

void json_path_done(struct json_path *path)
{
    mem_free(path->whole);
    mem_free(path->part[0]);  /* the others are in the same block */
    *path = (struct json_path){ 0 };
}

/* --- the field ------------------------------------------------------------------------- */

static const char *const chat = "; a conversation must become one text first, as the chat "
                                "template of the model does it";

/* A key as it is on the line, without control characters. */
static void show_name(char out[NAME_BYTES + 4], struct json_span key)
{
    int64_t n = key.n < NAME_BYTES ? key.n : NAME_BYTES;

    n = utf8_valid(key.p, n);
    for (int64_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)key.p[i];
        out[i] = c < ' ' || c == 127 ? '?' : (char)c;
    }
    strcpy(out + n, n < key.n ? "..." : "");
}

static char *no_field(const struct json_scan *s)
{
    char text[JSON_NAMES * (NAME_BYTES + 40)] = "", name[NAME_BYTES + 4];
    size_t n = 0;
    int lists = 0, objects = 0;

    if (s->nested.reached)
        return mem_format("no field '%s': '%s' is %s%s", s->path->whole,
                          s->path->part[s->nested.reached - 1], kind_names[s->nested.kind],
                          s->nested.kind == JSON_OBJECT ? " without it" : "");
    for (int i = 0; i < s->names_n; i++) {
        const enum json_kind kind = s->names[i].kind;
        show_name(name, s->names[i].key);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s'%s'", i ? ", " : "", name);
        if (kind != JSON_STRING)
            n += (size_t)snprintf(text + n, sizeof text - n, " (%s)", kind_names[kind]);
        objects |= kind == JSON_OBJECT;
        lists |= kind == JSON_LIST && (!strcmp(name, "messages") || !strcmp(name, "conversations"));
    }
    const char *hint = lists ? chat : objects ? "; a field in an object is --field OBJECT.NAME" : "";
    return mem_format("no field '%s'; the line has %s%s%s", s->path->whole,
                      n ? text : "no field at all", s->more_names ? " and more" : "", hint);
}

static char *take_text(const struct json_scan *s, struct json_span raw, int64_t before, char **text,
                       int64_t *n)
{
    const char *field = s->path->whole, *why = NULL;
    const int64_t valid = utf8_valid(raw.p, raw.n);
    int64_t bad = 0;

    if (valid < raw.n) {
        before += raw.p - s->begin;
        char *wrong = encoding_complaint(raw.p, raw.n, valid, before, "line", 0);
        char *out = mem_format("field '%s' is %s", field, wrong);
        mem_free(wrong);
        return out;
    }
    *text = mem_new(raw.n + 1, 1, "document");
    why = json_text(*text, n, raw.p, raw.n, &bad);
    if (!why) {
        (*text)[*n] = '\0';
        return NULL;
    }
    mem_free(*text);
    *text = NULL;
    *n = 0;
    return mem_format("field '%s' is not a JSON string: %s (column %lld)", field, why,
                      (long long)json_column(s, raw.p + bad));
}

char *json_field(const struct json_path *path, const char *line, int64_t n, int64_t before,
                 char **text, int64_t *text_n, int *repeats)
{
    struct json_scan s;

    *text = NULL;
    *text_n = 0;
    *repeats = 0;
    if (!json_scan(&s, path, line, n)) return s.why;
    const struct json_found *f = s.exact.reached ? &s.exact : &s.nested;
    if (f == &s.nested && f->reached < path->parts) return no_field(&s);
    if (f->kind != JSON_STRING)
        return mem_format("field '%s' is %s, expected a string%s", path->whole,
                          kind_names[f->kind], f->kind == JSON_LIST ? chat : "");
    *repeats = f->repeats;
    return take_text(&s, f->raw, before, text, text_n);
}
