/* SPDX-License-Identifier: Apache-2.0 */
/* json_scan.h -- one pass over a JSON object on a line that finds the field that is asked for.
 *
 * Values are skipped as text, see json_field.h.  A bit a level says whether it is a list; the stack
 * does not grow with the depth.
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdint.h>

#include "data_prep/json_field.h"

enum json_kind { JSON_NOTHING, JSON_STRING, JSON_OBJECT, JSON_LIST, JSON_NUMBER, JSON_BOOLEAN,
                 JSON_NULL };

struct json_span { const char *p; int64_t n; };  /* raw bytes of the line */

/* What was found of a field. */
struct json_found {
    int              reached;  /* parts of its name that were found; 0: none  */
    enum json_kind   kind;     /* of the value at the last of them            */
    struct json_span raw;      /* inside of the string, if it is one          */
    int              repeats;  /* how many more times a part occurred         */
};

#define JSON_NAMES 6  /* keys of the line that are kept for a message */

struct json_scan {
    const struct json_path *path;
    const char       *begin, *p, *end;
    char             *why;               /* what is wrong: a counted string            */
    struct json_found exact, nested;     /* the field of the whole name; in objects    */
    struct { struct json_span key; enum json_kind kind; } names[JSON_NAMES];
    int               names_n, more_names;

    uint64_t          small[16], *grown; /* a bit a level: 1 for a list, 0 for an object */
    int64_t           depth, room;       /* levels that are open; that have a bit        */
    int               on;                /* objects on the way to the field, from the outermost:
                                            if it is `depth`, we are right in one        */
};

/* Scan a whole line of n bytes.  Thread-safe.
 * returns  1; or 0 and s->why, which the caller releases, when it is not one JSON object */
int json_scan(struct json_scan *s, const struct json_path *path, const char *line, int64_t n);

/* Column of a place on the line, from 1, in characters. */
int64_t json_column(const struct json_scan *s, const char *at);

#endif
