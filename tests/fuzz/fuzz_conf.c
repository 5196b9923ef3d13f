/* SPDX-License-Identifier: Apache-2.0 */
/* YAML of a run.  What is accepted is written and read back to the same values. */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/conf/conf.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct conf conf, again;   /* large */

    fuzz_folder();
    if (conf_parse(&conf, (const char *)data, n, "input", NULL, 0, NULL) != OK) return 0;
    char *text = conf_text(&conf);
    promise(conf_parse(&again, text, strlen(text), "text", NULL, 0, NULL) == OK);
    char *same = conf_text(&again);
    promise(!strcmp(text, same));
    mem_free(text);
    mem_free(same);
    return 0;
}
