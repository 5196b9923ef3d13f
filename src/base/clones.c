/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/clones.h"

int clones_set;

#ifdef __x86_64__
#define HAS(feature) __builtin_cpu_supports(feature)

/* What tells a processor of a level from those below it. */
__attribute__((constructor)) static void choose(void)
{
    __builtin_cpu_init();
    if (HAS("avx2") && HAS("fma") && HAS("bmi") && HAS("bmi2")) clones_set = 3;
#ifndef TTT_V3
    if (clones_set && HAS("avx512f") && HAS("avx512bw") && HAS("avx512cd") && HAS("avx512dq") &&
        HAS("avx512vl"))
        clones_set = 4;
#endif
}
#endif
