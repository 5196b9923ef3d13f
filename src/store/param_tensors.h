/* SPDX-License-Identifier: Apache-2.0 */
/* param_tensors.h -- the parameter table as files see it. */
#ifndef PARAM_TENSORS_H
#define PARAM_TENSORS_H

#include "src/param/param.h"
#include "src/store/tensor.h"

/* list[0, t->count) = the parameters in flat array v, named prefix + name.  They borrow v. */
void param_tensors(struct tensor *list, const struct param_table *t, const char *prefix,
                   const real *v);

#endif
