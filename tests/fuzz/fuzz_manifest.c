/* SPDX-License-Identifier: Apache-2.0 */
/* MANIFEST of a checkpoint.  What is accepted is written and read back to the same text. */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/manifest.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct manifest m, again;
    size_t sealed, bytes, same_bytes;
    char *text = fuzz_seal_text(data, n, "XXH3-128 ", &sealed);

    fuzz_folder();
    if (manifest_parse(&m, text, sealed, "input") == OK) {
        char *out = manifest_text(&bytes, &m);
        promise(out && manifest_parse(&again, out, bytes, "text") == OK);
        char *same = manifest_text(&same_bytes, &again);
        promise(same && bytes == same_bytes && !memcmp(out, same, bytes));
        manifest_done(&again);
        mem_free(out);
        mem_free(same);
    }
    manifest_done(&m);
    mem_free(text);
    return 0;
}
