/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of Hugging Face, as sections: config.json, weights in one file or several, tokenizer. */
#include "src/base/status.h"
#include "src/infer/load.h"
#include "src/store/hf.h"
#include "src/store/hf_config.h"
#include "tests/fuzz/fuzz.h"

#define MOST_PARAMETERS 1000000   /* of a model that is made in a test */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *folder = fuzz_sections(data, n);
    struct dims d, again;

    if (hf_read_config(&d, folder) != OK) return 0;
    struct param_table t = { 0 };
    const int small = model_layout(&t, &d) == OK && t.total <= MOST_PARAMETERS;
    param_done(&t);
    if (!small) return 0;
    if (hf_config_can_write(&d) == OK) {
        json_t *config = hf_config_make(&d, NULL, 0);
        promise(hf_config_read(&again, config, "again") == OK);
        promise(again.C == d.C && again.L == d.L && again.H == d.H && again.V == d.V);
        json_decref(config);
    }

    struct model *m;
    struct load_info info;
    if (load_model(&m, &info, folder) == OK) model_free(m);
    load_done(&info);
    return 0;
}
