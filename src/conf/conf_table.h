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
    CONF_LAYER    /* char[], the name of a sequence layer          */
};

struct conf_key {
    const char    *path;       /* "optim.lr"                                   */
    size_t         offset, size;
    enum conf_type type;
    const char    *preset;     /* default, as it would be written; NULL: must be given */
    double         min, max;   /* numbers; max of a text is its field's size   */
    const char    *unit;       /* "" or what the number counts                 */
    const char    *help;
    const char    *names[4];   /* CONF_ENUM, ends with NULL                    */
};

/* A key whose preset is "auto" takes "auto", stored as this number. */
#define CONF_AUTO (-1)

extern const struct conf_key conf_keys[];
extern const int conf_key_count;

/* Row of a path, or -1. */
int conf_find(const char *path);

/* Sections (parts of paths before the dot) by number; NULL past the last. */
#define CONF_MAX_SECTIONS 16
const char *conf_section(int i);

/* Sequence layers by number; NULL past the last. */
const char *conf_layer(int i);

int conf_takes_auto(const struct conf_key *k);

/* Field of a row. */
static inline void *conf_at(struct conf *c, const struct conf_key *k)
{
    return (char *)c + k->offset;
}

/* Store `text` (plain: written without quotes) into the field of row k.
 * returns 1, or 0 if the text is not a value of this key */
int conf_store(struct conf *c, const struct conf_key *k, const char *text, int plain);

/* The value of row k as it would be written.  Returns out. */
const char *conf_show(char *out, size_t room, const struct conf *c, const struct conf_key *k);

/* "a whole number from 1 to 8": what a value of row k must be.  Returns out. */
const char *conf_expected(char *out, size_t room, const struct conf_key *k);

#endif
