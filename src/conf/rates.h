/* rates.h -- a machine as a YAML file: what `ttt bench rates` measures and `ttt plan` reads.
 *
 * Same rules, errors and overrides as for a run (conf.h).
 */
#ifndef RATES_H
#define RATES_H

#include "src/model/cost.h"

/* NULL: what is assumed of a machine that nobody measured.
 * returns OK, ERR_MISSING or ERR_CONFIG, said */
int rates_read(struct rates *r, const char *file);

/* As YAML, with what each key means; a counted string. */
char *rates_text(const struct rates *r);

#endif
