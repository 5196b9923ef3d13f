/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of hosts, from an option and from a file; times of SLURM. */
#include <string.h>

#include "jobs/launch.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct host *h = NULL;
    int count = 0;
    char *text = mem_format("%.*s", (int)n, (const char *)data);

    fuzz_folder();
    promise(conf_slurm_time(text) >= -1);
    for (int file = 0; file < 2; file++) {
        const int rc = file ? hosts_read(&h, &count, fuzz_file(data, n))
                            : hosts_parse(&h, &count, text);
        if (rc == OK)
            for (int i = 0; i < count; i++) promise(h[i].name[0] && h[i].slots >= 1);
        if (rc == OK) mem_free(h);
        h = NULL;
    }
    mem_free(text);
    return 0;
}
