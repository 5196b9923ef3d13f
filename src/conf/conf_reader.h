/* SPDX-License-Identifier: Apache-2.0 */
/* conf_reader.h -- the steps from text to a checked struct.
 *
 *     defaults -> YAML -> overrides -> the model it starts from -> checks between keys
 *              -> values for "auto"
 *
 * The YAML of a file may begin with "base: FILE" or "base: [FILE, FILE]": these are read before its
 * own keys, which replace theirs.  A stored configuration is whole and has no base.
 *
 * Nothing stops at the first error: every error is reported, and keys that are
 * wrong are left out of later checks.
 */
#ifndef CONF_READER_H
#define CONF_READER_H

#include "src/conf/conf_table.h"

#define CONF_MAX_KEYS 128
#define CONF_MAX_BASES 32

struct conf_place { const char *file; size_t line, column; };  /* from 1; line 0: nowhere */

/* A file may have bases; a configuration that a run stored is complete. */
enum conf_origin { FROM_TEXT, FROM_FILE, FROM_RUN };

struct conf_reader {
    const struct conf_schema *schema;
    void        *values;                /* the struct that is filled             */
    const char  *name;                  /* of the file, for messages             */
    struct conf_place where[CONF_MAX_KEYS];  /* where a key was given; line 0: it was not */
    int          bad[CONF_MAX_KEYS];    /* its value is not usable               */
    int          entry;                 /* of a list that is being read, from 1; 0: none */
    int          errors, printed;       /* all; those that were printed           */
    int          rc;                    /* not OK: instead of ERR_CONFIG          */
    int          stopped;               /* the rest of the file was not read     */
    enum conf_origin origin;
    const struct conf_models *models;   /* NULL: none is looked at                */
    int          depth, n_bases;        /* bases that are being read, and all so far  */
    char        *bases[CONF_MAX_BASES]; /* their paths; owned                    */
};

/* Report what is wrong at a place; `key` may be NULL. */
void conf_complain(struct conf_reader *r, struct conf_place at, const char *key,
                   const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Report, once, that the value of a key cannot be used, with the place where it was given. */
void conf_refuse(struct conf_reader *r, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Report a key that is in no row. */
void conf_unknown(struct conf_reader *r, struct conf_place at, const char *path);

/* The beginning of a text that is shown in a message. */
void conf_short(char out[64], const char *text);

#define CONF_MAX_FILE ((size_t)1 << 20)

/* Before key number i gets a new value: a list becomes empty. */
void conf_reset_key(struct conf_reader *r, int i);

/* Give key number i the value `text` found at a place. */
void conf_give(struct conf_reader *r, int i, const char *text, int plain, struct conf_place at);

/* The YAML part (conf_yaml.c) of file `name`: text is valid UTF-8 without zero bytes. */
void conf_yaml(struct conf_reader *r, const char *name, const char *text, size_t n);

/* Give list number i the texts of a YAML list in brackets, "[a, b]". */
void conf_yaml_list(struct conf_reader *r, int i, const char *text, struct conf_place at);

/* Is the text UTF-8 without control characters?  If not, it is reported.
 * text, n  [in,out] a byte order mark at the beginning is left out */
int conf_readable(struct conf_reader *r, const char *name, const char **text, size_t *n);

/* The text of the base `path` of the file that `at` is in (conf_base.c).  Its name is then the last
 * one of r->bases.
 * n        [out] bytes
 * returns  a counted block, or NULL, reported */
char *conf_base(struct conf_reader *r, const char *path, struct conf_place at, size_t *n);
void conf_bases_done(struct conf_reader *r);

/* Checks between keys of a run, and values for "auto" (conf_check.c). */
void conf_check(struct conf_reader *r);

/* Whatever files, counters and sums of the program cannot hold (conf_limits.c), of a configuration
 * without other mistakes. */
void conf_check_limits(struct conf_reader *r);

/* The part about SLURM (conf_launch.c): no value may change the meaning of the batch script that it
 * is written into. */
void conf_check_launch(struct conf_reader *r);

#endif
