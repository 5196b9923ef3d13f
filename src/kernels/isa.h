/* isa.h -- which instruction sets our products and the libraries may use.
 *
 * TTT_ISA=plain|avx2|avx512|avx512_bf16|amx names the best one that may be used, for tests and
 * for comparing them; by default the best that the processor has.  Products of our own take the
 * micro-kernels of that set (gemm_micro.h); plain also keeps small products in our own C.  It is
 * read once; kernels of our own that the compiler cloned are chosen when the program is loaded,
 * whatever this says.
 */
#ifndef ISA_H
#define ISA_H

enum isa { ISA_PLAIN, ISA_AVX2, ISA_AVX512, ISA_AVX512_BF16, ISA_AMX };

/* The best that may be used and is there. */
enum isa isa_best(void);
const char *isa_name(enum isa isa);

/* OK or ERR_USAGE, said, if TTT_ISA is none of them. */
int isa_check(void);

#endif
