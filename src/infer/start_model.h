/* SPDX-License-Identifier: Apache-2.0 */
/* start_model.h -- what a configuration takes from the model that a run starts from: a checkpoint,
 * a run folder or a Hugging Face folder, found by store/model_at.h. */
#ifndef START_MODEL_H
#define START_MODEL_H

#include "src/conf/conf.h"

/* For conf_read() and conf_parse(). */
extern const struct conf_models start_models;

#endif
