#include "src/kernels/isa.h"

#include <stdlib.h>
#include <string.h>

#include <libxsmm.h>
#include <oneapi/dnnl/dnnl.h>

#include "src/base/status.h"

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

static int has(enum isa isa)
{
    __builtin_cpu_init();
    switch (isa) {
    case ISA_PLAIN: return 1;
    case ISA_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case ISA_AVX512:
        return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    /* oneDNN knows what the system allows, too; libxsmm may have been told of less. */
    default: return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)sets[isa].dnnl) ==
                        (unsigned)sets[isa].dnnl &&
                    libxsmm_get_target_archid() >= sets[isa].xsmm;
    }
}

enum isa isa_best(void)
{
    static int best = -1;
    int found;

    #pragma omp atomic read
    found = best;
    if (found >= 0) return (enum isa)found;
    #pragma omp critical(isa_choice)
    {
        if (best < 0) {
            int i = asked();
            if (i < 0) i = SETS - 1;
            if (i < SETS - 1) {
                dnnl_set_max_cpu_isa(sets[i].dnnl);  /* in vain once oneDNN has run */
                if (libxsmm_get_target_archid() > sets[i].xsmm)
                    libxsmm_set_target_archid(sets[i].xsmm);
            }
            while (!has((enum isa)i)) i--;
            #pragma omp atomic write
            best = i;
        }
        found = best;
    }
    return (enum isa)found;
}

const char *isa_name(enum isa isa) { return sets[isa].name; }
