/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/isa.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/status.h"
#include "src/kernels/amx.h"

static const char *const sets[] = {
    [ISA_PLAIN] = "plain", [ISA_AVX2] = "avx2", [ISA_AVX512] = "avx512",
    [ISA_AVX512_BF16] = "avx512_bf16", [ISA_AMX] = "amx",
};
#define SETS ((int)(sizeof sets / sizeof *sets))

static int asked(void)
{
    const char *name = getenv("TTT_ISA");
    if (!name || !*name) return SETS - 1;
    for (int i = 0; i < SETS; i++)
        if (!strcmp(name, sets[i])) return i;
    return -1;
}

int isa_check(void)
{
    if (asked() >= 0) return OK;
    return fail(ERR_USAGE, "TTT_ISA is '%s'; it may be plain, avx2, avx512, avx512_bf16 or amx",
                getenv("TTT_ISA"));
}

static int there(enum isa isa)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    switch (isa) {
    case ISA_PLAIN: return 1;
    case ISA_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case ISA_AVX512:
        return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    case ISA_AVX512_BF16: return there(ISA_AVX512) && __builtin_cpu_supports("avx512bf16");
    default: return there(ISA_AVX512) && amx_usable();   /* with emulated tiles too */
    }
#else
    return isa == ISA_PLAIN;
#endif
}

/* Bit i: set i may be used, and is there.  Chosen once. */
static int usable(void)
{
    static int usable_sets;
    int found;

    #pragma omp atomic read
    found = usable_sets;
    if (found) return found;
    #pragma omp critical(isa_choice)
    {
        found = usable_sets;
        if (!found) {
            int best = asked();
            if (best < 0) best = SETS - 1;
            for (int i = 0; i <= best; i++) found |= there((enum isa)i) << i;
            #pragma omp atomic write
            usable_sets = found;
        }
    }
    return found;
}

int isa_has(enum isa isa) { return usable() >> isa & 1; }

enum isa isa_best(void) { return (enum isa)(31 - __builtin_clz((unsigned)usable())); }

const char *isa_name(enum isa isa) { return sets[isa]; }
