/* SPDX-License-Identifier: Apache-2.0 */
/* model_at.h -- find the model that a user names, and what kind it is; its weights are not read.
 *
 * A Hugging Face folder is one that holds config.json; a checkpoint one that holds MANIFEST; a run
 * folder one that holds ckpt/, of which the newest checkpoint counts.
 */
#ifndef MODEL_AT_H
#define MODEL_AT_H

#include <jansson.h>

#include "src/layers/dims.h"
#include "src/store/ckpt.h"

struct model_at {
    struct dims  dims;
    json_t      *config;  /* config.json of a Hugging Face folder; NULL: it is a checkpoint */
    struct ckpt *ckpt;    /* opened; NULL: it is a Hugging Face folder                     */
};

/* Is there a model?  No message; it may be one that cannot be read. */
int model_is_at(const char *path);

/* Of a run, the newest checkpoint of which every tile is verified, or only the MANIFEST. */
enum model_proof { MODEL_PROVED, MODEL_NAMED };

/* Open it.  Local.  returns OK; ERR_MISSING or ERR_DATA, reported, and *m is empty then */
int model_at_open(struct model_at *m, const char *path, enum model_proof proof);
void model_at_close(struct model_at *m);

#endif
