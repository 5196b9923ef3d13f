/* SPDX-License-Identifier: Apache-2.0 */
/* rates_of_run.h -- whose rates a forecast of a run uses, the first that is there of:
 *
 *     --rates FILE         of the command line
 *     launch.rates         of the configuration
 *     RUN_DIR/rates.yaml   measured by `ttt launch --measure` on the nodes of this run
 *     what is assumed      config/rates/epyc-2core.yaml
 */
#ifndef RATES_OF_RUN_H
#define RATES_OF_RUN_H

#include "src/conf/conf.h"
#include "src/forecast/rates.h"

#define RATES_FILE "rates.yaml"

/* r        [out]
 * source   [out] the file; "" if rates are assumed
 * given    of the command line, or NULL
 * returns  OK; ERR_MISSING or ERR_CONFIG of the file, reported */
int rates_of_run(struct rates *r, char source[CONF_PATH], const char *given, const struct conf *c);

#endif
