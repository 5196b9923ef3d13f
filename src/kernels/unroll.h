/* SPDX-License-Identifier: Apache-2.0 */
/* unroll.h -- UNROLL(n) before a loop of at most n turns: it is written out, so that sums which are
 * elements of an array stay in registers.  Compilers say it differently. */
#ifndef UNROLL_H
#define UNROLL_H

#define UNROLL_PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#define UNROLL(n) UNROLL_PRAGMA(clang loop unroll(full))
#else
#define UNROLL(n) UNROLL_PRAGMA(GCC unroll n)
#endif

#endif
