/* SPDX-License-Identifier: Apache-2.0 */
/* YAML of a machine.  What is accepted is written and read back to the same text. */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/forecast/rates.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct rates rates, again;

    if (rates_read(&rates, fuzz_file(data, n)) != OK) return 0;
    char *text = rates_text(&rates);
    promise(rates_read(&again, fuzz_file(text, strlen(text))) == OK);
    char *same = rates_text(&again);
    promise(!strcmp(text, same));
    mem_free(text);
    mem_free(same);
    return 0;
}
