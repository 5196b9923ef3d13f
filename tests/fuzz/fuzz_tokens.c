/* SPDX-License-Identifier: Apache-2.0 */
/* Files of token ids, as sections: t.npy; t.bin alone; t.idx with t.bin.  What is accepted lies in
 * its file, can be read to its end, and has documents in order. */
#include <string.h>

#include "data_prep/token_file.h"
#include "data_prep/token_megatron.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "tests/fuzz/fuzz.h"

static void look(const char *folder, const char *name)
{
    char *path = mem_format("%s/%s", folder, name);
    struct token_file f;
    int32_t ids[16];

    if (token_file_open(&f, path, NULL) == OK) {
        promise(f.tokens > 0 && f.at >= 0);
        promise(f.at + f.tokens * f.type->bytes == f.size);
        promise(f.row >= 0 && (f.row == 0 || f.tokens % f.row == 0));
        const int64_t n = f.tokens < 16 ? f.tokens : 16;
        const int rc = token_file_read(&f, ids, f.tokens - n, n, 1000);
        promise(rc == OK || rc == ERR_DATA);
        for (int64_t i = 0; i < n && rc == OK; i++) promise(ids[i] >= 0 && ids[i] < 1000);
        for (int64_t i = 0, before = 0, end; i < f.documents; i++, before = end) {
            promise(token_megatron_end(&f, i, &end) == OK);
            promise(end >= before && end <= f.tokens);
            promise(i < f.documents - 1 || end == f.tokens);
        }
    }
    token_file_close(&f);
    mem_free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *folder = fuzz_sections(data, n);

    look(folder, "t.npy");
    look(folder, "t.bin");
    return 0;
}
