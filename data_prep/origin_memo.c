/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/origin_memo.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_prep/decoder.h"
#include "data_prep/format.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"

#define MAX_BYTES ((size_t)4 << 30)
#define TAIL 45  /* {"hash": "..."} and newline */

/* ---- writing */

static void put(FILE *f, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);
    check(text != NULL);
    fprintf(f, "%s\n", text);
    free(text);
    json_decref(line);
}

static json_t *shown(const char *path)
{
    char *text = text_visible_copy(path);
    json_t *j = json_string(text);
    mem_free(text);
    return j;
}

static json_t *hex(struct hash h)
{
    char text[HASH_HEX];
    hash_hex(text, h);
    return json_string(text);
}

int origin_write(const struct origin *o, const char *dir)
{
    char *text = NULL, *path = mem_format("%s/" ORIGIN_FILE, dir), digits[HASH_HEX];
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    int rc = OK;

    if (!f) TRY(fail(ERR_MEMORY, "out of memory: %s", path));
    put(f, json_pack("{s:I}", "began_ns", (json_int_t)o->began_ns));
    for (int i = 0; i < o->options; i++)
        put(f, json_pack("{s:s, s:o}", "option", o->option[i].name, "value",
                         shown(o->option[i].value)));
    for (int64_t i = 0; i < o->in.n; i++) {
        const struct input *x = o->in.v + i;
        put(f, json_pack("{s:o, s:s, s:s?, s:o, s:o, s:I, s:I}", "read", shown(x->path), "format",
                         x->format ? x->format->name : "ids", "compression", x->decoder ? x->decoder->name : NULL, "bytes",
                         x->known ? json_integer(x->size) : json_null(), "content",
                         x->known ? hex(x->content) : json_null(), "inode", (json_int_t)x->inode,
                         "changed_ns", (json_int_t)x->changed_ns));
    }
    for (int64_t i = 0; i < o->in.left_n; i++) {
        const struct left *x = o->in.left + i;
        put(f, json_pack("{s:o, s:s, s:I, s:I}", "left_out", shown(x->path), "why",
                         data_left_name(x->why), "files", (json_int_t)x->what.files, "bytes",
                         (json_int_t)x->what.bytes));
    }
    fflush(f);
    hash_hex(digits, hash_bytes(text, n));
    fprintf(f, "{\"hash\": \"%s\"}\n", digits);
    if (fclose(f) != 0) rc = fail(ERR_MEMORY, "out of memory: %s", path);
    if (rc == OK) rc = file_replace(path, text, n);
out:
    free(text);
    mem_free(path);
    return rc;
}

/* ---- reading */

static void read_line(struct memo_of_inputs *m, const char *line, size_t n)
{
    json_t *j = json_loadb(line, n, 0, NULL);
    const json_t *began = json_object_get(j, "began_ns");
    const char *name = json_string_value(json_object_get(j, "option"));
    const char *path = json_string_value(json_object_get(j, "read"));
    const char *value = json_string_value(json_object_get(j, "value"));
    const char *content = json_string_value(json_object_get(j, "content"));
    const char *format = json_string_value(json_object_get(j, "format"));
    const char *compression = json_string_value(json_object_get(j, "compression"));

    if (began) m->began_ns = json_integer_value(began);
    if (name && value && m->options < (int)(sizeof m->option / sizeof *m->option))
        m->option[m->options++] = (struct origin_option){ mem_string(name), mem_string(value) };
    if (path && content && format && compression) {
        if ((m->n & (m->n - 1)) == 0)
            m->v = mem_resize(m->v, m->n ? 2 * m->n : 1, sizeof *m->v, "inputs of then");
        struct input *x = m->v + m->n++;
        *x = (struct input){
            .path = mem_string(path),
            .format = format_of_name(format), .decoder = decoder_of_name(compression),
            .size = json_integer_value(json_object_get(j, "bytes")),
            .inode = (uint64_t)json_integer_value(json_object_get(j, "inode")),
            .changed_ns = json_integer_value(json_object_get(j, "changed_ns")),
        };
        x->known = hash_parse(&x->content, content) == OK;
    }
    json_decref(j);
}

/* Does the text end with the hash of everything before it? */
static int is_whole(const char *text, size_t n)
{
    char digits[HASH_HEX] = "";
    struct hash h;

    if (n < TAIL || memcmp(text + n - TAIL, "{\"hash\": \"", 10) != 0) return 0;
    memcpy(digits, text + n - TAIL + 10, HASH_HEX - 1);
    return hash_parse(&h, digits) == OK && hash_equal(h, hash_bytes(text, n - TAIL));
}

void origin_memo_read(struct memo_of_inputs *m, const char *dir)
{
    char *path = mem_format("%s/" ORIGIN_FILE, dir), *text = NULL;
    size_t n = 0;

    *m = (struct memo_of_inputs){ 0 };
    if (path_exists(path) && file_slurp(&text, &n, path, MAX_BYTES) == OK && is_whole(text, n)) {
        const char *end = text + n - TAIL;
        for (const char *line = text, *newline; line < end; line = newline + 1) {
            newline = memchr(line, '\n', (size_t)(end - line));
            if (!newline) break;
            read_line(m, line, (size_t)(newline - line));
        }
    }
    mem_free(text);
    mem_free(path);
}

void origin_memo_done(struct memo_of_inputs *m)
{
    for (int64_t i = 0; i < m->n; i++) mem_free(m->v[i].path);
    for (int i = 0; i < m->options; i++) {
        mem_free((char *)m->option[i].name);
        mem_free(m->option[i].value);
    }
    mem_free(m->v);
    *m = (struct memo_of_inputs){ 0 };
}

void origin_memo_use(const struct memo_of_inputs *m, struct input *x, int64_t i)
{
    if (i >= m->n) return;
    const struct input *then = m->v + i;
    if (!then->known || x->size < 0 || then->size != x->size || then->inode != x->inode ||
        then->changed_ns != x->changed_ns || x->changed_ns > m->began_ns - ORIGIN_MARGIN_NS)
        return;
    x->content = then->content;
    x->known = 1;
}
