/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/start_model.h"

#include "src/base/status.h"
#include "src/store/model_at.h"

static int dims_at(struct dims *d, const char *path)
{
    struct model_at m;
    const int rc = model_at_open(&m, path, MODEL_NAMED);

    if (rc != OK) return rc;
    *d = m.dims;
    model_at_close(&m);
    return OK;
}

const struct conf_models start_models = { model_is_at, dims_at };
