/* SPDX-License-Identifier: Apache-2.0 */
/* conf_model.h -- what a run takes from the model that it starts from, row by row of
 * layers/dims_table.h.
 *
 * With train.init_from a run is the model that it begins with: a key of the section that is not
 * given (or `auto`) has the model's value, one that is given must have it too, unless
 * train.init_change names it.  A run that has a checkpoint of its own resumes from that, and takes
 * from there what is not given; conf_diff() has the rest.
 */
#ifndef CONF_MODEL_H
#define CONF_MODEL_H

#include "src/conf/conf.h"

struct conf_reader;

/* Take the values that are not given, and report those that differ; after the YAML was read and
 * before the checks of keys. */
void conf_adopt(struct conf_reader *r);

/* The dims as the section `model` gives them, also what no layer uses: for checks.  Its values that
 * follow from others are there, except head_dim; d [out] */
void conf_dims_given(const struct conf *c, struct dims *d);

/* Are the keys of c those of a model?  Asked again when its weights are read, since another
 * checkpoint of the run may be the newest by then.  OK, or ERR_CONFIG, all reported with
 * `source` */
int conf_is_model(const struct conf *c, const struct dims *d, const char *source);

/* Report what a run took from its model, what it changes of it, and that a model is not there
 * (yet). */
void conf_report_model(const struct conf *c);

#endif
