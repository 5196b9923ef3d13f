/* SPDX-License-Identifier: Apache-2.0 */
/* input.h -- the list of files that are read, in order, and of what was left out (find.h makes
 * it). */
#ifndef INPUT_H
#define INPUT_H

#include <stdint.h>

#include "src/base/hash.h"
#include "src/data/data_index.h"

struct decoder;
struct format;
struct stat;

struct input {
    char   *path;            /* "-" is standard input                         */
    const struct format  *format;   /* how documents stand in it; NULL: ids   */
    const struct decoder *decoder;  /* NULL: look at the first bytes          */
    int64_t size;            /* -1 for standard input                         */
    int64_t changed_ns;      /* time of its last change (ctime)               */
    uint64_t inode;
    struct hash content;     /* of its bytes, if `known`: origin_digest()     */
    int     known, error;    /* error: errno of reading it                    */
};

/* Something in a folder that is not read. */
struct left { char *path; enum data_left why; struct data_files what; };

struct inputs {
    struct input *v;      /* a counted block                         */
    int64_t       n;
    int64_t       bytes;  /* of all files                            */
    struct left  *left;   /* a counted block                         */
    int64_t       left_n;
    int           skip_bad;  /* [in] what can't be read is left out  */
    const char   *field;     /* [in] column of tables; NULL: "text"; borrowed */
};

/* Take the format and the compression of a file from its name, in small or capital letters.
 * Local.
 *
 * x        [out] format and decoder
 * returns  1, or 0 if the name ends like none of our formats */
int input_classify(struct input *x, const char *path);

/* The endings that input_classify() knows: ".txt or .jsonl (also with .zst or .gz)".  A counted
 * string.  Local. */
char *input_endings(void);

/* Append an input, a regular file for which stat() said `st`, or standard input (st NULL).  Local.
 *
 * x        format and decoder; the rest is filled in */
void inputs_append(struct inputs *in, struct input x, const struct stat *st, const char *path);

/* Append to the list of what is not read.  Local. */
void inputs_leave(struct inputs *in, const char *path, enum data_left why,
                  struct data_files what);

void inputs_done(struct inputs *in);

#endif
