/* SPDX-License-Identifier: Apache-2.0 */
/* clones.h -- which version runs of a function that clones.awk made several of.
 *
 * Only where the compiler cannot choose itself (CLONES in base/real.h): with gcc nothing uses this.
 */
#ifndef CLONES_H
#define CLONES_H

/* 4 for x86-64-v4 (AVX-512), 3 for x86-64-v3 (AVX2), else 0.  Set before main() begins. */
extern int clones_set;

#endif
