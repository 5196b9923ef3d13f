/* input.h -- which files are read, in which order. */
#ifndef INPUT_H
#define INPUT_H

#include <stdint.h>

#include "src/base/hash.h"

struct input {
    char   *path;            /* "-" is standard input                         */
    int     jsonl;           /* one document a line; else one document a file */
    int     zst;             /* compressed; -1: look at the first bytes       */
    int64_t size, mtime_ns;  /* -1 for standard input                         */
};

struct inputs {
    struct input *v;      /* a counted block */
    int64_t       n;
    int64_t       bytes;  /* of all files    */
};

/* Append what the user named: a file; a folder, which is searched in the order of
 * names for *.txt, *.jsonl and both with .zst; "-", whose form is `stdin_jsonl`.
 * returns OK, ERR_MISSING, ERR_CONFIG (a file of another kind) */
int inputs_add(struct inputs *in, const char *path, int stdin_jsonl);

/* Of paths, sizes and times, in order. */
struct hash inputs_hash(const struct inputs *in);

void inputs_done(struct inputs *in);

#endif
