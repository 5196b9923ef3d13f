/* SPDX-License-Identifier: Apache-2.0 */
/* origin.h -- what a data set is made from, so that the same command recognises its work.
 *
 * INDEX holds a hash of the options and one of the inputs.  That of the inputs covers, in order,
 * the form, the size and a hash of the whole content of each: names and times do not count.
 *
 *     DIR/INPUTS   {"began_ns": 1...}                            when contents were looked at
 *                  {"option": "--field", "value": "text"}
 *                  {"read": "in/a.txt", "format": "txt", "compression": "none", "bytes": 81,
 *                   "content": "0f...", "inode": 7, "changed_ns": 1...}
 *                  {"left_out": "in/a.gz", "why": "other_format", "files": 1, "bytes": 57}
 *                  {"hash": "5c..."}                              of the lines before
 *
 * names them one by one, for people and programs.  For ttt prep it is a memo: it tells in which
 * option or file another command differs, and saves reading a file again whose inode, size and
 * time of the last change (ctime, which `touch` and `cp -p` can't set) are those of then, if that
 * time was well before the content was looked at: clocks have ticks, and differ between machines.
 *  Without INPUTS, INDEX alone still tells whether all is the same.
 */
#ifndef ORIGIN_H
#define ORIGIN_H

#include "data_prep/input.h"

#define ORIGIN_FILE "INPUTS"

struct origin_option { const char *name; char *value; };

struct origin {
    struct inputs        in;
    struct origin_option option[16];
    int                  options;
    int64_t              began_ns;  /* when origin_digest() began */
};

/* Add an option with its value, as printf writes it.  Local. */
void origin_option(struct origin *o, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Hash the content of every input with `threads` threads.  Local.
 *
 * dir      may hold INPUTS of an earlier command
 * returns  OK; ERR_MISSING or ERR_IO for an input that can't be read, reported; with in.skip_bad
 *          it is left out instead */
int origin_digest(struct origin *o, const char *dir, int threads);

struct hash origin_options_hash(const struct origin *o);
struct hash origin_inputs_hash(const struct origin *o);

/* Replace dir/INPUTS.  Local.  returns OK, ERR_IO or ERR_MEMORY, reported */
int origin_write(const struct origin *o, const char *dir);

/* What differs from the command that wrote dir/INPUTS: a counted sentence, or NULL if INPUTS does
 * not tell.  Local. */
char *origin_difference(const struct origin *o, const char *dir);

void origin_done(struct origin *o);

#endif
