/* SPDX-License-Identifier: Apache-2.0 */
/* What squeue and sacct print about two jobs, as sections `squeue` and `sacct`. */
#include <math.h>
#include <string.h>

#include "jobs/slurm_ask.h"
#include "src/base/mem.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slurm_fact f[3] = { { .id = "123" }, { .id = "123_4" }, { .id = "" } };
    struct sections rest = sections_of(data, n);
    struct section s;
    char odd[64];

    fuzz_folder();
    while (section_next(&s, &rest)) {
        char *text = mem_format("%.*s", (int)s.n, (const char *)s.data);
        memset(odd, 0, sizeof odd);
        const int good = !strcmp(s.name, "sacct") ? slurm_read_history(f, 3, text, odd)
                                                  : slurm_read_queue(f, 3, text, odd);
        promise(good || odd[0]);
        promise(memchr(odd, '\0', sizeof odd));
        mem_free(text);
    }
    for (int i = 0; i < 3; i++) {
        promise((int)f[i].state >= 0 && f[i].state < SLURM_STATES);
        promise(memchr(f[i].word, '\0', sizeof f[i].word));
        promise(memchr(f[i].why, '\0', sizeof f[i].why));
        promise(isnan(f[i].began) || fabs(f[i].began) < 1e15);
    }
    promise(f[2].state == SLURM_NONE);
    return 0;
}
