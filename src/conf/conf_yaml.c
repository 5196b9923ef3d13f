/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML of a configuration: sections with keys, nothing else.  Events only;
 * a document tree is never built, so that no file can make one grow. */
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "src/base/status.h"
#include "src/base/text.h"
#include "src/base/mem.h"
#include "src/conf/conf_reader.h"

#define MAX_DEPTH 16
#define MAX_EVENTS 20000
#define MAX_SCALAR 4096

struct yaml {
    yaml_parser_t  parser;
    struct conf_reader *r;
    const char    *name, *text;  /* of the file */
    struct conf_place   at;           /* line 0: it is a file; else the place of all that is read */
    int            depth, events;
    int            documents, base;
    size_t         sections[CONF_MAX_SECTIONS];  /* line of each; 0: not seen */
};

static struct conf_place place_of(const struct yaml *y, yaml_mark_t mark)
{
    if (y->at.line) return y->at;
    return (struct conf_place){ y->name, mark.line + 1, mark.column + 1 };
}

/* A limit is passed: nothing more is read. */
static int stop(struct yaml *y, yaml_event_t *e, const char *limit)
{
    y->r->stopped = 1;
    conf_complain(y->r, place_of(y, e->start_mark), NULL, "expected %s, found more", limit);
    yaml_event_delete(e);
    return 0;
}

/* The parser gave up: say where and why. */
static void syntax(struct yaml *y)
{
    const yaml_parser_t *p = &y->parser;
    struct conf_place at = place_of(y, p->problem_mark);

    y->r->stopped = 1;  /* and said, however much was said before */
    if (p->error == YAML_READER_ERROR && !y->at.line) {  /* it gives an offset only */
        at.line = at.column = 1;
        for (size_t i = 0; i < p->problem_offset; i++) {
            if (y->text[i] == '\n') at.line++, at.column = 1;
            else at.column += (y->text[i] & 0xc0) != 0x80;
        }
    }
    conf_complain(y->r, at, NULL, "expected YAML, found a mistake in it: %s",
                  p->problem ? p->problem : "out of memory");
}

static const yaml_char_t *anchor_of(const yaml_event_t *e, const yaml_char_t **tag)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        *tag = e->data.scalar.tag;
        return e->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        *tag = e->data.sequence_start.tag;
        return e->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        *tag = e->data.mapping_start.tag;
        return e->data.mapping_start.anchor;
    default:
        *tag = NULL;
        return NULL;
    }
}

static void start(struct yaml *y, const char *text, size_t n)
{
    if (!yaml_parser_initialize(&y->parser)) leave(fail(ERR_MEMORY, "out of memory: YAML parser"));
    yaml_parser_set_encoding(&y->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&y->parser, (const unsigned char *)text, n);
}

/* The next event, or 0 when reading has ended. */
static int next(struct yaml *y, yaml_event_t *e)
{
    const yaml_char_t *tag = NULL;

    memset(e, 0, sizeof *e);
    if (y->r->stopped) return 0;
    if (!yaml_parser_parse(&y->parser, e)) {
        syntax(y);
        return 0;
    }
    if (++y->events > MAX_EVENTS) return stop(y, e, "at most 20000 keys and values");
    if (e->type == YAML_MAPPING_START_EVENT || e->type == YAML_SEQUENCE_START_EVENT) y->depth++;
    if (e->type == YAML_MAPPING_END_EVENT || e->type == YAML_SEQUENCE_END_EVENT) y->depth--;
    if (y->depth > MAX_DEPTH) return stop(y, e, "at most 16 levels");

    const struct conf_place at = place_of(y, e->start_mark);
    if (e->type == YAML_ALIAS_EVENT)
        conf_complain(y->r, at, NULL, "expected a value, found an alias (*); write it out");
    if (anchor_of(e, &tag))
        conf_complain(y->r, at, NULL, "expected no anchor (&), found one");
    if (tag) conf_complain(y->r, at, NULL, "expected no tag (!), found one");
    if (e->type != YAML_SCALAR_EVENT) return 1;
    if (e->data.scalar.length > MAX_SCALAR) return stop(y, e, "at most 4096 bytes in a value");
    if (memchr(e->data.scalar.value, 0, e->data.scalar.length))
        conf_complain(y->r, at, NULL, "expected text, found a zero byte (\\0)");
    return 1;
}

/* Read over a value whose first event is e, and delete it. */
static void skip(struct yaml *y, yaml_event_t *e)
{
    const int opens = e->type == YAML_MAPPING_START_EVENT || e->type == YAML_SEQUENCE_START_EVENT;
    const int outside = y->depth - 1;

    yaml_event_delete(e);
    while (opens && y->depth > outside && next(y, e)) yaml_event_delete(e);
}

static const char *kind(const yaml_event_t *e)
{
    return e->type == YAML_SEQUENCE_START_EVENT ? "a list"
         : e->type == YAML_MAPPING_START_EVENT  ? "keys and values" : "a single value";
}

/* One entry of list number i. */
static void read_entry(struct yaml *y, int i, const yaml_event_t *e)
{
    const struct conf_key *k = &y->r->schema->keys[i];
    const struct conf_place at = place_of(y, e->start_mark);
    char expected[256];

    if (e->type == YAML_SCALAR_EVENT && e->data.scalar.length) {
        conf_give(y->r, i, (const char *)e->data.scalar.value,
                  e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE, at);
    } else if (e->type != YAML_ALIAS_EVENT) {
        conf_complain(y->r, at, k->path, "expected %s, found %s in it",
                      conf_expected(expected, sizeof expected, k),
                      e->type == YAML_SCALAR_EVENT ? "an empty one" : kind(e));
        y->r->bad[i] = 1;
    }
}

/* A list of layers has a layer at least, and has room for a number of them. */
static int check_layers(struct yaml *y, int i, struct conf_place list, int entries)
{
    const struct conf_key *k = &y->r->schema->keys[i];

    if (k->type != CONF_LAYER || (entries > 0 && entries <= PATTERN_LAYERS)) return 1;
    if (entries > PATTERN_LAYERS)
        conf_complain(y->r, list, k->path, "expected a list of at most %d layers, found %d",
                      PATTERN_LAYERS, entries);
    else conf_complain(y->r, list, k->path, "expected a layer at least, found an empty list");
    return 0;
}

/* A list of texts, whose first event is e, to its end. */
static void read_list(struct yaml *y, int i, yaml_event_t *e)
{
    const int layers = y->r->schema->keys[i].type == CONF_LAYER;
    const struct conf_place list = place_of(y, e->start_mark);
    int bad = 0, entries = 0;

    yaml_event_delete(e);
    conf_reset_key(y->r, i);
    while (next(y, e) && e->type != YAML_SEQUENCE_END_EVENT) {
        y->r->entry = ++entries;
        if (!layers || entries <= PATTERN_LAYERS) read_entry(y, i, e);
        bad |= y->r->bad[i];
        skip(y, e);
    }
    y->r->entry = 0;
    y->r->where[i] = list;
    y->r->bad[i] = bad || !check_layers(y, i, list, entries);
}

static void read_value(struct yaml *y, const char *path, struct conf_place key, yaml_event_t *e)
{
    const int i = conf_find(y->r->schema, path);
    char expected[256];

    if (i < 0) {
        conf_unknown(y->r, key, path);
    } else if (y->r->where[i].file == y->name) {
        conf_complain(y->r, key, path, "expected once, found again; first in line %zu",
                      y->r->where[i].line);
    } else if (e->type == YAML_SCALAR_EVENT) {
        conf_reset_key(y->r, i);
        conf_give(y->r, i, (const char *)e->data.scalar.value,
                  e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE, place_of(y, e->start_mark));
    } else if (e->type == YAML_SEQUENCE_START_EVENT && conf_is_list(&y->r->schema->keys[i])) {
        read_list(y, i, e);
    } else {
        y->r->where[i] = place_of(y, e->start_mark);
        y->r->bad[i] = 1;
        if (e->type != YAML_ALIAS_EVENT)
            conf_complain(y->r, y->r->where[i], path, "expected %s, found %s",
                          conf_expected(expected, sizeof expected, &y->r->schema->keys[i]),
                          kind(e));
    }
    skip(y, e);
}

/* Index of a section, or -1. */
static int section_number(const struct conf_schema *s, const char *name)
{
    for (int i = 0; s->sections[i]; i++)
        if (!strcmp(s->sections[i], name)) return i;
    return -1;
}

static void unknown_section(struct yaml *y, struct conf_place key, const char *name)
{
    const struct conf_schema *s = y->r->schema;
    struct nearest n = { .to = name };

    if (strchr(name, '.') && (conf_find(s, name) >= 0 || section_number(s, name) >= 0)) {
        conf_complain(y->r, key, name, "expected a section, found a path; write '%.*s:' and "
                      "below it, indented, '%s:'", (int)strcspn(name, "."), name,
                      strchr(name, '.') + 1);
        return;
    }
    for (int i = 0; s->sections[i]; i++) nearest_try(&n, s->sections[i]);
    for (int i = 0; !n.best && i < s->count; i++)
        if (!strcmp(strrchr(s->keys[i].path, '.') + 1, name)) n.best = s->keys[i].path;
    conf_complain(y->r, key, name, "expected a section, found an unknown one%s%s%s",
                  n.best ? " (did you mean " : "", n.best ? n.best : "", n.best ? "?)" : "");
}

static void read_keys(struct yaml *y, const char *section);

/* What follows the key of a section. */
static void read_section(struct yaml *y, const char *name, struct conf_place key, yaml_event_t *e)
{
    const int number = section_number(y->r->schema, name);

    if (number < 0) {
        unknown_section(y, key, name);
    } else if (y->sections[number]) {
        conf_complain(y->r, key, name, "expected once, found again; first in line %zu",
                      y->sections[number]);
    } else {
        y->sections[number] = key.line;
        if (e->type == YAML_MAPPING_START_EVENT) {
            yaml_event_delete(e);
            read_keys(y, y->r->schema->sections[number]);
            return;
        }
        if (e->type != YAML_ALIAS_EVENT &&
            !(e->type == YAML_SCALAR_EVENT && !e->data.scalar.length))  /* all commented out */
            conf_complain(y->r, place_of(y, e->start_mark), name,
                          "expected keys and values, found %s", kind(e));
    }
    skip(y, e);
}

static void read_one_base(struct conf_reader *r, const char *path, struct conf_place at)
{
    size_t n = 0;
    char *file = conf_base(r, path, at, &n);
    const char *text = file;

    if (!file) return;
    const char *name = r->bases[r->n_bases - 1];
    r->depth++;
    if (conf_readable(r, name, &text, &n)) conf_yaml(r, name, text, n);
    r->depth--;
    mem_free(file);
}

/* The value of `base` whose first event is e: a file, or a list of files. */
static void read_base(struct yaml *y, struct conf_place key, yaml_event_t *e)
{
    const int list = e->type == YAML_SEQUENCE_START_EVENT;
    int first = 1;

    for (int i = 0; y->r->schema->sections[i]; i++) first &= !y->sections[i];
    if (y->base++) first = 0;
    if (!first) {
        conf_complain(y->r, key, "base", "expected once, in front of all sections");
        skip(y, e);
        return;
    }
    if (list) yaml_event_delete(e);
    while (!list || next(y, e)) {
        const struct conf_place at = place_of(y, e->start_mark);
        if (e->type == YAML_SEQUENCE_END_EVENT) break;
        if (e->type == YAML_SCALAR_EVENT && e->data.scalar.length)
            read_one_base(y->r, (const char *)e->data.scalar.value, at);
        else if (e->type != YAML_ALIAS_EVENT)
            conf_complain(y->r, at, "base", "expected a file or a list of files, found %s",
                          e->type == YAML_SCALAR_EVENT ? "nothing" : kind(e));
        if (!list) break;
        skip(y, e);
    }
    skip(y, e);
}

/* The inside of a mapping, to its end.  section NULL: the top. */
static void read_keys(struct yaml *y, const char *section)
{
    yaml_event_t e;
    char path[128];

    while (next(y, &e) && e.type != YAML_MAPPING_END_EVENT) {
        const struct conf_place key = place_of(y, e.start_mark);
        if (e.type == YAML_SCALAR_EVENT)
            snprintf(path, sizeof path, "%s%s%.80s", section ? section : "", section ? "." : "",
                     (const char *)e.data.scalar.value);
        else if (e.type != YAML_ALIAS_EVENT)
            conf_complain(y->r, key, section, "expected a key, found %s", kind(&e));
        const int usable = e.type == YAML_SCALAR_EVENT;
        skip(y, &e);
        if (!next(y, &e)) return;
        if (!usable) skip(y, &e);
        else if (!section && !strcmp(path, "base")) read_base(y, key, &e);
        else if (section && section_number(y->r->schema, path) < 0) read_value(y, path, key, &e);
        else if (!section && strchr(path, '.')) {
            unknown_section(y, key, path);
            skip(y, &e);
        } else read_section(y, path, key, &e);
    }
    yaml_event_delete(&e);
}

void conf_yaml_list(struct conf_reader *r, int i, const char *text, struct conf_place at)
{
    struct yaml y = { .r = r, .name = at.file, .text = text, .at = at };
    const int stopped = r->stopped;  /* of the file */
    yaml_event_t e;
    int lists = 0;

    r->stopped = 0;
    start(&y, text, strlen(text));
    while (next(&y, &e) && e.type != YAML_STREAM_END_EVENT) {
        if (e.type == YAML_SEQUENCE_START_EVENT && !lists++) read_list(&y, i, &e);
        else yaml_event_delete(&e);
    }
    yaml_event_delete(&e);
    yaml_parser_delete(&y.parser);
    r->bad[i] |= r->stopped;
    r->stopped = stopped;
}

void conf_yaml(struct conf_reader *r, const char *name, const char *text, size_t n)
{
    struct yaml y = { .r = r, .name = name, .text = text };
    yaml_event_t e;

    start(&y, text, n);
    while (next(&y, &e) && e.type != YAML_STREAM_END_EVENT) {
        const struct conf_place at = place_of(&y, e.start_mark);
        if (e.type == YAML_DOCUMENT_START_EVENT && y.documents++)
            stop(&y, &e, "one document");
        else if (e.type == YAML_MAPPING_START_EVENT) {
            yaml_event_delete(&e);
            read_keys(&y, NULL);
        } else if (e.type == YAML_SCALAR_EVENT || e.type == YAML_SEQUENCE_START_EVENT) {
            if (e.type != YAML_SCALAR_EVENT || e.data.scalar.length)
                conf_complain(r, at, NULL, "expected keys and values, found %s", kind(&e));
            skip(&y, &e);
        } else {
            yaml_event_delete(&e);
        }
    }
    yaml_event_delete(&e);
    yaml_parser_delete(&y.parser);
}
