/* SPDX-License-Identifier: Apache-2.0 */
/* conf_table.h -- one row per key: everything else follows from the rows. */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

#include <stddef.h>

#include "src/conf/conf.h"

enum conf_type {
    CONF_INT,     /* int or int64_t, by the size of the field      */
    CONF_DOUBLE,
    CONF_BOOL,    /* int 0 or 1                                    */
    CONF_ENUM,    /* int, an index into names                      */
    CONF_TEXT,    /* char[], UTF-8 without control characters      */
    CONF_WORD,    /* char[], harmless ASCII characters             */
    CONF_LIST,    /* char[], texts of a YAML list, with \n between */
    CONF_LAYER    /* char[], a sequence layer or a YAML list of them, as layers/pattern.h has it */
};

struct conf_key {
    const char    *path;       /* "optim.lr"                                   */
    size_t         offset, size;
    enum conf_type type;
    const char    *preset;     /* default, as it would be written; NULL: must be given */
    double         min, max;   /* numbers; max of a text is its field's size   */
    const char    *unit;       /* "" or what the number counts                 */
    const char    *help;
    const char    *names[8];   /* CONF_ENUM, ends with NULL                    */
};

/* A key whose preset is "auto" takes "auto", stored as this number. */
#define CONF_AUTO (-1)

extern const struct conf_key conf_keys[];
extern const int conf_key_count;

/* A kind of file: its keys, and the struct it is read into. */
#define CONF_MAX_SECTIONS 16
struct conf_schema {
    const struct conf_key *keys;
    int                    count;
    const char            *sections[CONF_MAX_SECTIONS + 1];  /* parts of paths before the last dot */
    size_t                 size;                             /* of the struct                 */
    const char            *lists;                            /* command that prints all keys  */
};
extern const struct conf_schema conf_run;  /* struct conf */

/* Row of a path, or -1. */
int conf_find(const struct conf_schema *s, const char *path);

/* conf_read() and conf_parse() for any kind of file. */
int schema_read(const struct conf_schema *s, void *values, const char *file, char *const *sets,
                int n_sets);
int schema_parse(const struct conf_schema *s, void *values, const char *text, size_t n,
                 const char *name, char *const *sets, int n_sets);

/* All values as YAML, section by section; `help`: with what each key means.  A counted string. */
char *schema_text(const struct conf_schema *s, const void *values, int help);

/* Sequence layers by number; NULL past the last. */
const char *conf_layer(int i);

int conf_takes_auto(const struct conf_key *k);

/* May it be a YAML list? */
int conf_is_list(const struct conf_key *k);

/* Is its value text, so that an empty one is a value? */
int conf_is_text(const struct conf_key *k);

/* Field of a row. */
static inline void *conf_at(void *values, const struct conf_key *k)
{
    return (char *)values + k->offset;
}

/* Store `text` (plain: written without quotes) into the field of row k; of a list, after the texts
 * that it has already.
 * returns 1, or 0 if the text is not a value of this key */
int conf_store(void *values, const struct conf_key *k, const char *text, int plain);

/* The value of row k as it would be written.  Returns out. */
const char *conf_show(char *out, size_t room, const void *values, const struct conf_key *k);

/* "a whole number from 1 to 8": what a value of row k must be.  Returns out. */
const char *conf_expected(char *out, size_t room, const struct conf_key *k);

#endif
