/* SPDX-License-Identifier: Apache-2.0 */
#include "src/bench/product_library.h"

#ifdef TTT_LIBXSMM

#include <libxsmm.h>

#include "src/kernels/isa.h"

#ifdef TTT_F64
#define DISPATCH libxsmm_dmmdispatch
typedef libxsmm_dmmfunction code;
#else
#define DISPATCH libxsmm_smmdispatch
typedef libxsmm_smmfunction code;
#endif

/* As far as TTT_ISA allows. */
static void limit(void)
{
    static const int sets[] = {
        [ISA_PLAIN] = LIBXSMM_TARGET_ARCH_GENERIC, [ISA_AVX2] = LIBXSMM_X86_AVX2,
        [ISA_AVX512] = LIBXSMM_X86_AVX512_CORE, [ISA_AVX512_BF16] = LIBXSMM_X86_AVX512_CPX,
        [ISA_AMX] = LIBXSMM_X86_AVX512_CPX,
    };
    const int most = sets[isa_best()];
    if (libxsmm_get_target_archid() > most) libxsmm_set_target_archid(most);
}

/* The code for a shape.  libxsmm counts columns first: its C' = B' A' is our C = A B. */
static code dispatch(const struct product_shape *s)
{
    const libxsmm_blasint b = s->M, a = product_lda(s), c = s->M;
    const real alpha = 1, beta = 0;
    const int flags = s->transpose_A ? LIBXSMM_GEMM_FLAG_TRANS_B : 0, prefetch = 0;
    return DISPATCH(s->M, s->N, s->K, &b, &a, &c, &alpha, &beta, &flags, &prefetch);
}

int libxsmm_can(const struct timed_product *p)
{
    limit();
    return p->s.small && !p->s.in_bf16 && isa_best() > ISA_PLAIN && dispatch(&p->s);
}

void libxsmm_run(struct timed_product *p)
{
    const code f = dispatch(&p->s);
    for (int i = p->times; i > 0; i--) f(p->B, p->A, p->C);
}

#else

int libxsmm_can(const struct timed_product *p) { (void)p; return 0; }
void libxsmm_run(struct timed_product *p) { (void)p; }

#endif
