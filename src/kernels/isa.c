#include "src/kernels/isa.h"

#include <stdlib.h>
#include <string.h>

#include <libxsmm.h>
#include <oneapi/dnnl/dnnl.h>

#include "src/base/status.h"
#include "src/kernels/amx.h"

static const struct {
    const char *name;
    dnnl_cpu_isa_t dnnl;
    int xsmm;
} sets[] = {
    [ISA_PLAIN] = { "plain", dnnl_cpu_isa_sse41, LIBXSMM_TARGET_ARCH_GENERIC },
    [ISA_AVX2] = { "avx2", dnnl_cpu_isa_avx2, LIBXSMM_X86_AVX2 },
    [ISA_AVX512] = { "avx512", dnnl_cpu_isa_avx512_core_vnni, LIBXSMM_X86_AVX512_CORE },
    [ISA_AVX512_BF16] = { "avx512_bf16", dnnl_cpu_isa_avx512_core_bf16, LIBXSMM_X86_AVX512_CPX },
    [ISA_AMX] = { "amx", dnnl_cpu_isa_avx512_core_amx, LIBXSMM_X86_AVX512_CPX },
};
#define SETS ((int)(sizeof sets / sizeof *sets))

static int asked(void)
{
    const char *name = getenv("TTT_ISA");
    if (!name || !*name) return SETS - 1;
    for (int i = 0; i < SETS; i++)
        if (!strcmp(name, sets[i].name)) return i;
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
    __builtin_cpu_init();
    switch (isa) {
    case ISA_PLAIN: return 1;
    case ISA_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case ISA_AVX512:
        return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    case ISA_AVX512_BF16: return there(ISA_AVX512) && __builtin_cpu_supports("avx512bf16");
    default: return amx_usable();
    }
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
            if (best < SETS - 1) {
                dnnl_set_max_cpu_isa(sets[best].dnnl);  /* in vain once oneDNN has run */
                if (libxsmm_get_target_archid() > sets[best].xsmm)
                    libxsmm_set_target_archid(sets[best].xsmm);
            }
            for (int i = 0; i <= best; i++) found |= there((enum isa)i) << i;
            #pragma omp atomic write
            usable_sets = found;
        }
    }
    return found;
}

int isa_has(enum isa isa) { return usable() >> isa & 1; }

enum isa isa_best(void) { return (enum isa)(31 - __builtin_clz((unsigned)usable())); }

const char *isa_name(enum isa isa) { return sets[isa].name; }
