/* SPDX-License-Identifier: Apache-2.0 */
/* isa.h -- which instruction sets our products may use.
 *
 * TTT_ISA=plain|avx2|avx512|avx512_bf16|amx names the best set that may be used, for tests and for
 * comparing them; by default it is the best that the processor has.  It is read once.  Our own
 * products take the micro-kernels of that set (gemm_micro.h, smm_tile.h).  Kernels that the compiler cloned for several sets (CLONES, base/real.h) are chosen
 * when the program is loaded, whatever TTT_ISA says.
 */
#ifndef ISA_H
#define ISA_H

enum isa { ISA_PLAIN, ISA_AVX2, ISA_AVX512, ISA_AVX512_BF16, ISA_AMX };

/* The best set that may be used and that the processor has.  AMX is only had with the kernel's
 * permission, and if its products are as described (amx.h); who has it may lack AVX512_BF16.
 * Local. */
enum isa isa_best(void);

/* May this one be used, and is it there?  Local. */
int isa_has(enum isa isa);

const char *isa_name(enum isa isa);

/* OK, or ERR_USAGE, which is reported, if TTT_ISA names none of them.  Local. */
int isa_check(void);

#endif
