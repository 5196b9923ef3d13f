/* model_at.h -- what the user names as a model, found, and what it is; not its weights.
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

/* Is anything there?  Silent; it may be one that can't be read. */
int model_is_at(const char *path);

/* Of a run: the newest checkpoint of which every tile is right, or whose MANIFEST is. */
enum model_proof { MODEL_PROVED, MODEL_NAMED };

/* returns OK; ERR_MISSING, ERR_DATA, said; *m is empty then */
int model_at_open(struct model_at *m, const char *path, enum model_proof proof);
void model_at_close(struct model_at *m);

#endif
