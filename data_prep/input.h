/* input.h -- which files are read, in which order, and what was left out. */
#ifndef INPUT_H
#define INPUT_H

#include <stdint.h>

#include "src/base/hash.h"
#include "src/data/data_index.h"

struct input {
    char   *path;            /* "-" is standard input                         */
    int     jsonl;           /* one document a line; else one document a file */
    int     zst;             /* compressed; -1: look at the first bytes       */
    int64_t size;            /* -1 for standard input                         */
    int64_t changed_ns;      /* time of its last change (ctime)               */
    uint64_t inode;
    struct hash content;     /* of its bytes, if `known`: origin_digest()     */
    int     known, error;    /* error: errno of reading it                    */
};

struct stat;

/* Something in a folder that is not read. */
struct left { char *path; enum data_left why; struct data_files what; };

struct inputs {
    struct input *v;      /* a counted block                         */
    int64_t       n;
    int64_t       bytes;  /* of all files                            */
    struct left  *left;   /* a counted block                         */
    int64_t       left_n;
    int           skip_bad;  /* [in] what can't be read is left out  */
};

/* Append what the user named: a file of one of the formats, whatever else its name; a folder,
 * which is searched (folder.h); "-", whose form is `stdin_jsonl`.
 * returns OK, ERR_MISSING, ERR_CONFIG (a file of another kind), ERR_IO */
int inputs_add(struct inputs *in, const char *path, int stdin_jsonl);

void inputs_done(struct inputs *in);

/* ---- for folder.c */

#define INPUT_FORMATS ".txt, .jsonl, .txt.zst or .jsonl.zst"

/* What a name says about a file, small or capital letters; 0 if it is none of ours. */
int input_classify(struct input *x, const char *path);

/* Append a regular file of form x. */
void inputs_append(struct inputs *in, struct input x, const struct stat *st, const char *path);
void inputs_leave(struct inputs *in, const char *path, enum data_left why,
                  struct data_files what);

#endif
