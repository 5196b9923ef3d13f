/* SPDX-License-Identifier: Apache-2.0 */
/* plan_print.h -- forecasts for people, for programs, and for a trace viewer. */
#ifndef PLAN_PRINT_H
#define PLAN_PRINT_H

#include <jansson.h>

#include "src/forecast/forecast.h"

/* "config/rates/epyc-2core.yaml (assumed): ...", the machine of a forecast and its memory; a counted
 * string.  source: the file of its rates; "": assumed */
char *plan_machine(const struct rates *r, const char *source);

/* Print the forecast of one grid.  machine: plan_machine() */
void plan_text(const struct forecast *f, const struct cost *c, const struct rates *r,
               const char *machine);

/* The operations of a rank in order, with their predicted times; events must be there. */
void plan_show(const struct forecast *f, const struct cost *c, int rank);

/* The best of a list, at most `most`, as a table. */
void plan_best(const struct forecast *list, int count, int most);

/* The same as JSON objects, in an array if it is one. */
json_t *plan_json(const struct forecast *f, int slice_tokens, const struct rates *r,
                  const char *source);
void plan_json_print(json_t *all);

/* The events in Chrome's trace event format, under the names of a measured trace, which is
 * process 0: computing and messages as process 1, sums on the network as process 2.
 * returns OK or ERR_IO, reported */
int plan_trace(const struct forecast *f, const char *path);

#endif
