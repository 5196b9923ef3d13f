/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/rng.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/real.h"

uint64_t rng_key(uint64_t seed, const char *name)
{
    return XXH3_64bits_withSeed(name, strlen(name), seed);
}

void rng_bits(uint32_t out[4], uint64_t key, uint64_t i)
{
    uint32_t c0 = (uint32_t)i, c1 = (uint32_t)(i >> 32), c2 = 0, c3 = 0;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);

    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0; out[1] = c1; out[2] = c2; out[3] = c3;
}

enum { MANY = 64 };  /* counters at once: several vectors of them hide each other's latency */

/* rng_bits() for MANY counters, word after word. */
static inline void philox(uint32_t c[4][MANY], uint64_t key, uint64_t first)
{
    for (int i = 0; i < MANY; i++) {
        c[0][i] = (uint32_t)(first + (uint64_t)i);
        c[1][i] = (uint32_t)((first + (uint64_t)i) >> 32);
        c[2][i] = c[3][i] = 0;
    }
    for (uint32_t round = 0; round < 10; round++) {
        const uint32_t k0 = (uint32_t)key + round * 0x9E3779B9u;
        const uint32_t k1 = (uint32_t)(key >> 32) + round * 0xBB67AE85u;
        for (int i = 0; i < MANY; i++) {
            const uint64_t p0 = (uint64_t)0xD2511F53u * c[0][i];
            const uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2][i];
            c[0][i] = (uint32_t)(p1 >> 32) ^ c[1][i] ^ k0;
            c[2][i] = (uint32_t)(p0 >> 32) ^ c[3][i] ^ k1;
            c[1][i] = (uint32_t)p1;
            c[3][i] = (uint32_t)p0;
        }
    }
}

CLONES
static void many(uint32_t *restrict out, uint64_t key, uint64_t first)
{
    uint32_t c[4][MANY];

    philox(c, key, first);
    for (int i = 0; i < MANY; i++)
        for (int j = 0; j < 4; j++) out[4 * i + j] = c[j][i];
}

void rng_fill(uint32_t *out, int n, uint64_t key, uint64_t first)
{
    int i = 0;
    for (; n - i >= MANY; i += MANY) many(out + 4 * (int64_t)i, key, first + (uint64_t)i);
    for (; i < n; i++) rng_bits(out + 4 * (int64_t)i, key, first + (uint64_t)i);
}

uint64_t rng_u64(uint64_t key, uint64_t i)
{
    uint32_t b[4];
    rng_bits(b, key, i);
    return (uint64_t)b[1] << 32 | b[0];
}

static inline double double_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x < 2^52, with what every processor has vectors for. */
static inline double small_double(uint64_t x)
{
    return double_of(x | UINT64_C(0x4330000000000000)) - 0x1p52;
}

static inline double unit(uint64_t bits) { return (small_double(bits >> 12) + 0.5) * 0x1p-52; }

double rng_uniform(uint64_t key, uint64_t i) { return unit(rng_u64(key, i)); }

double rng_normal(uint64_t key, uint64_t i)
{
    uint32_t b[4];
    rng_bits(b, key, i);
    const double u = unit((uint64_t)b[1] << 32 | b[0]), v = unit((uint64_t)b[3] << 32 | b[2]);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

/* --- many normal numbers -------------------------------------------------------
 *
 * Logarithm and cosine of the library one by one take 50 ns a number.  The series below are
 * good to 2^-50; where that leaves no doubt of the number rounded to real, it is that of
 * rng_normal(), whose own error is smaller still.  Where it does, once in 300,000 numbers,
 * rng_normal() is asked. */

#define DOUBT 0x1p-44  /* relative */
#define QUARTER 1e-6   /* cosines below it lose digits */

static inline uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* log of u in (0,1): 2 artanh((m - 1) / (m + 1)) for m = u 2^-e in (1/sqrt 2, sqrt 2). */
static inline double log_series(double u)
{
    const uint64_t root = UINT64_C(0x3fe6a09e667f3bcd), one = UINT64_C(0x3ff) << 52;
    const uint64_t x = bits_of(u) + (one - root);
    const double m = double_of((x & ((UINT64_C(1) << 52) - 1)) + root);
    const double s = (m - 1) / (m + 1), z = s * s;
    double sum = 1.0 / 21;

    sum = sum * z + 1.0 / 19;
    sum = sum * z + 1.0 / 17;
    sum = sum * z + 1.0 / 15;
    sum = sum * z + 1.0 / 13;
    sum = sum * z + 1.0 / 11;
    sum = sum * z + 1.0 / 9;
    sum = sum * z + 1.0 / 7;
    sum = sum * z + 1.0 / 5;
    sum = sum * z + 1.0 / 3;
    return (small_double(x >> 52) - 1023) * 0.6931471805599453 + 2 * (s + s * z * sum);
}

/* cos of t in [0, 2 pi]: sine or cosine of t less quarters, at most pi/4. */
static inline double cos_series(double t)
{
    const double shifted = t * 0.6366197723675814 + 0x1.8p52, n = shifted - 0x1.8p52;
    const uint64_t q = bits_of(shifted);
    const double r = t - n * 1.57079632673412561417 - n * 6.07710050650619224932e-11, z = r * r;
    double c = 1.0 / 20922789888000, s = 1.0 / 355687428096000;

    c = c * z - 1.0 / 87178291200;
    c = c * z + 1.0 / 479001600;
    c = c * z - 1.0 / 3628800;
    c = c * z + 1.0 / 40320;
    c = c * z - 1.0 / 720;
    c = c * z + 1.0 / 24;
    c = c * z - 1.0 / 2;
    s = s * z - 1.0 / 1307674368000;
    s = s * z + 1.0 / 6227020800;
    s = s * z - 1.0 / 39916800;
    s = s * z + 1.0 / 362880;
    s = s * z - 1.0 / 5040;
    s = s * z + 1.0 / 120;
    s = s * z - 1.0 / 6;
    c = 1 + z * c;
    s = r + r * z * s;
    const double x = q & 1 ? s : c;
    return (q + 1) & 2 ? -x : x;
}

/* MANY numbers; returns whether any is in doubt. */
CLONES
static int normals(real *restrict out, uint64_t key, uint64_t first, double scale)
{
    uint32_t b[4][MANY];
    int doubt = 0;

    philox(b, key, first);
    for (int i = 0; i < MANY; i++) {
        const double u = unit((uint64_t)b[1][i] << 32 | b[0][i]);
        const double v = unit((uint64_t)b[3][i] << 32 | b[2][i]);
        const double c = cos_series(6.283185307179586 * v);
        const double x = scale * (sqrt(-2.0 * log_series(u)) * c);
        out[i] = (real)x;
        doubt |= (fabs(c) < QUARTER) | ((real)(x * (1 - DOUBT)) != (real)(x * (1 + DOUBT)));
    }
    return doubt;
}

void rng_normals(real *out, int64_t n, uint64_t key, uint64_t first, double scale)
{
    for (int64_t i = 0; i < n; i += MANY) {
        const int whole = n - i >= MANY && sizeof(real) == sizeof(float);
        if (whole && !normals(out + i, key, first + (uint64_t)i, scale)) continue;
        for (int64_t k = i; k < i + MANY && k < n; k++)
            out[k] = (real)(scale * rng_normal(key, first + (uint64_t)k));
    }
}
