/* SPDX-License-Identifier: Apache-2.0 */
/* peak.h -- the arithmetic peak of the cores: what registers alone reach, the limit of any product.
 *
 * No table of processors: a short loop of independent fused multiply-adds in registers, one for
 * each instruction set, by all threads at once.  In between each thread adds integers, every one to
 * the sum of those before, which takes a cycle each: that is the clock while vector units are busy.
 *
 *     fp32   AVX2, AVX-512, or what the compiler makes of fma() (double in the build for doubles)
 *     bf16   AMX or AVX512_BF16; without them as fp32, since operands are widened
 *
 * Every term of a loop is 1 x 1, so that its sums count its own operations.
 */
#ifndef PEAK_H
#define PEAK_H

#include <stdint.h>

#include "src/kernels/isa.h"

struct peak_loop {
    enum isa isa;
    int      in_bf16;
    int64_t  rounds;                 /* of a block, about 0.1 ms          */
    double   flops;                  /* of a round                        */
    double (*run)(int64_t rounds);   /* the sum of all sums: half of FLOPs */
};

/* The loop for products of such a precision with instruction sets up to isa.  It may be run where
 * isa_has() its isa.  Local. */
const struct peak_loop *peak_loop(enum isa isa, int in_bf16);

struct peak {
    const struct peak_loop *loop;
    int    threads;
    double gflops;   /* of all threads together             */
    double ghz;      /* clock under that load, a mean of threads */
};

/* The best of `trials` >= 1 of 4 ms each, after one that is not counted; of a few more if something
 * else runs on the cores.  Local; threads inside. */
void peak_measure(struct peak *p, int in_bf16, int trials);

/* A core's. */
double peak_flops_per_cycle(const struct peak *p);

#endif
