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

/* rng_bits() for 16 counters: as above, element by element. */
CLONES
static void sixteen(uint32_t *restrict out, uint64_t key, uint64_t first)
{
    enum { N = 16 };
    uint32_t c[4][N];

    for (int i = 0; i < N; i++) {
        c[0][i] = (uint32_t)(first + (uint64_t)i);
        c[1][i] = (uint32_t)((first + (uint64_t)i) >> 32);
        c[2][i] = c[3][i] = 0;
    }
    for (uint32_t round = 0; round < 10; round++) {
        const uint32_t k0 = (uint32_t)key + round * 0x9E3779B9u;
        const uint32_t k1 = (uint32_t)(key >> 32) + round * 0xBB67AE85u;
        for (int i = 0; i < N; i++) {
            const uint64_t p0 = (uint64_t)0xD2511F53u * c[0][i];
            const uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2][i];
            c[0][i] = (uint32_t)(p1 >> 32) ^ c[1][i] ^ k0;
            c[2][i] = (uint32_t)(p0 >> 32) ^ c[3][i] ^ k1;
            c[1][i] = (uint32_t)p1;
            c[3][i] = (uint32_t)p0;
        }
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < 4; j++) out[4 * i + j] = c[j][i];
}

void rng_fill(uint32_t *out, int n, uint64_t key, uint64_t first)
{
    int i = 0;
    for (; i + 16 <= n; i += 16) sixteen(out + 4 * i, key, first + (uint64_t)i);
    for (; i < n; i++) rng_bits(out + 4 * i, key, first + (uint64_t)i);
}

uint64_t rng_u64(uint64_t key, uint64_t i)
{
    uint32_t b[4];
    rng_bits(b, key, i);
    return (uint64_t)b[1] << 32 | b[0];
}

static double unit(uint64_t bits) { return ((double)(bits >> 12) + 0.5) * 0x1p-52; }

double rng_uniform(uint64_t key, uint64_t i) { return unit(rng_u64(key, i)); }

double rng_normal(uint64_t key, uint64_t i)
{
    uint32_t b[4];
    rng_bits(b, key, i);
    const double u = unit((uint64_t)b[1] << 32 | b[0]), v = unit((uint64_t)b[3] << 32 | b[2]);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}
