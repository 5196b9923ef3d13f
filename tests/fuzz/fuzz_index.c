/* SPDX-License-Identifier: Apache-2.0 */
/* INDEX and INDEX.part of a data set.  What is accepted is written again byte for byte. */
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/data_index.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t sealed, bytes;
    char *text = fuzz_seal_text(data, n, "hash: ", &sealed), *again = NULL;
    char *path = mem_format("%s/INDEX", fuzz_folder());

    for (int part = 0; part < 2; part++) {
        struct data_index x;
        fuzz_put("INDEX", text, sealed);
        if (data_index_read(&x, path, part) == OK) {
            promise(data_index_write(&x, path) == OK);
            promise(file_slurp(&again, &bytes, path, sealed + 1) == OK);
            promise(bytes == sealed && !memcmp(again, text, sealed));
            mem_free(again);
        }
        data_index_done(&x);
    }
    mem_free(path);
    mem_free(text);
    return 0;
}
