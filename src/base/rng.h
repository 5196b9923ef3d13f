/* SPDX-License-Identifier: Apache-2.0 */
/* rng.h -- random numbers as a function: (seed, name, index) -> number.
 *
 * Philox4x32-10 (Salmon et al., SC'11): no state, so any process can compute
 * any element, and the initial weights are the same bits on every grid.
 */
#ifndef RNG_H
#define RNG_H

#include <stdint.h>

#include "src/base/real.h"

/* A stream of random numbers: hash of seed and name. */
uint64_t rng_key(uint64_t seed, const char *name);

/* 128 random bits for counter i of a stream. */
void rng_bits(uint32_t out[4], uint64_t key, uint64_t i);

/* out (4n): rng_bits() of counters first .. first + n - 1, one after the other; faster. */
void rng_fill(uint32_t *out, int n, uint64_t key, uint64_t first);

/* A 64-bit number. */
uint64_t rng_u64(uint64_t key, uint64_t i);

/* Uniform in (0, 1), 52 bits; never 0 and never 1. */
double rng_uniform(uint64_t key, uint64_t i);

/* Standard normal by Box-Muller in double, which gives two independent values for
 * a counter; the first is used.  |x| < 8.6. */
double rng_normal(uint64_t key, uint64_t i);

/* out (n): scale * rng_normal() of counters first, first + 1, ..., rounded: the same bits, and in
 * the float tree several times as fast. */
void rng_normals(real *out, int64_t n, uint64_t key, uint64_t first, double scale);

#endif
