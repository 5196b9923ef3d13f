/* SPDX-License-Identifier: Apache-2.0 */
/* smm_x86.h -- sums of small products for AVX2 and AVX-512.  Local. */
#ifndef SMM_X86_H
#define SMM_X86_H

#include "src/kernels/isa.h"
#include "src/kernels/smm.h"

/* The product of an instruction set, or NULL. */
typedef void smm_x86_fn(const struct smm_sum *s);
smm_x86_fn *smm_x86(enum isa isa);

#endif
