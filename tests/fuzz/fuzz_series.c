/* SPDX-License-Identifier: Apache-2.0 */
/* A series and the files of its runs, as sections: every member lies in the series' folder. */
#include <string.h>

#include "jobs/series.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct series s;   /* large */
    static const struct arg_list none;
    char *file = mem_format("%s/series.yaml", fuzz_sections(data, n));

    if (series_open(&s, file, &none) == OK) {
        promise(s.n >= 1 && s.n <= SERIES_MAX);
        for (int i = 0; i < s.n; i++) {
            promise(s.m[i].name[0] && !strchr(s.m[i].name, '/'));
            for (int k = 0; k < i; k++) promise(strcmp(s.m[i].name, s.m[k].name) != 0);
        }
    }
    series_close(&s);
    mem_free(file);
    return 0;
}
