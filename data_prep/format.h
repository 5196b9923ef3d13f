/* SPDX-License-Identifier: Apache-2.0 */
/* format.h -- how documents stand in the content of a file.
 *
 *     source.h  ->  content.h  ->  a format of the table  ->  reader.h
 *
 * To add an input format, write one pair of files that fills in a struct format, and a row in
 * format.c.  Everything else follows: endings of names, --stdin, messages.  A compression is a row
 * of decoder.h, and goes with every format.
 */
#ifndef FORMAT_H
#define FORMAT_H

struct content;
struct json_path;
struct record;

struct format {
    const char *name;    /* of --stdin, in the table of inputs and in INPUTS: "jsonl" */
    const char *endings[3];  /* of file names, without that of a compression: ".jsonl"; NULL ends */
    int restart;         /* a place in the middle does not suffice: resuming reads it from its start */

    /* The next document: fills in raw, n, mark, line and bytes of `out`, and sets `bad` for one
     * that can't be read while those after it can; with `rest`, too, those after it are lost, and
     * the caller counts their bytes.  Without raw and bad the file has ended.
     * returns  OK; ERR_IO and ERR_MEMORY, reported; ERR_DATA as source_read() */
    int (*next)(struct content *c, struct record *out);

    /* Replace the raw bytes of a good record by its text, or spoil it.  Thread-safe.
     * field    where the format has named fields: the one that holds the text */
    void (*text)(struct record *r, const struct json_path *field);
};

/* Rows of the table; NULL past the last.  Local. */
const struct format *format_row(int i);

/* The number of a row, which INDEX keeps: rows are only appended.  Local. */
int format_number(const struct format *f);

/* By name; NULL if there is none.  Local. */
const struct format *format_of_name(const char *name);

/* "txt or jsonl", for messages; a counted string.  Local. */
char *format_names(void);

#endif
