/* SPDX-License-Identifier: Apache-2.0 */
#include "src/bench/peak.h"

#include <omp.h>
#include <time.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/kernels/amx.h"
#include "src/kernels/gemm_bf16.h"
#include "src/kernels/unroll.h"
#include "src/kernels/vecmath.h"

#define TRIAL_S 4e-3
#define MORE 4          /* trials, if something else runs on the cores   */
#define ADDITIONS 32768 /* of a chain: 10 us, so that vector units stay on */

/* What the compiler cannot know is 1. */
static volatile float unity = 1;

/* --- loops -------------------------------------------------------------------- *
 *
 * Enough sums that none waits for the one before: latency times units, at least 8 to 10. */

enum { PLAIN_SUMS = 6, PLAIN_LANES = 16 };

CLONES
static double plain(int64_t rounds)
{
    real c[PLAIN_SUMS][PLAIN_LANES] = { { 0 } };
    const real one = unity;
    double sum = 0;

    for (int64_t k = 0; k < rounds; k++) {
        __asm__ volatile("");   /* the loops must not change places */
        UNROLL(6)
        for (int i = 0; i < PLAIN_SUMS; i++)
            for (int j = 0; j < PLAIN_LANES; j++) c[i][j] = vfma(c[i][j], one, one);
    }
    for (int i = 0; i < PLAIN_SUMS; i++)
        for (int j = 0; j < PLAIN_LANES; j++) sum += (double)c[i][j];
    return sum;
}

static const struct peak_loop plain_loop =
    { ISA_PLAIN, 0, 4096, 2.0 * PLAIN_SUMS * PLAIN_LANES, plain };

#ifdef __x86_64__
#include <immintrin.h>

#ifdef TTT_F64
#define OF(op) op##_pd
#define WIDE(bits) __m##bits##d
#else
#define OF(op) op##_ps
#define WIDE(bits) __m##bits
#endif

/* Function NAME: in each round every one of SUMS vectors c becomes STEP(c), where x is `X one`.
 * ZERO and ADD are of vectors VEC, whose numbers have type T. */
#define LOOP(NAME, TARGET, SUMS, VEC, T, ZERO, ADD, TYPE_X, X, STEP)                        \
    __attribute__((target(TARGET))) static double NAME(int64_t rounds)                       \
    {                                                                                        \
        const TYPE_X x = X;                                                                  \
        double sum = 0;                                                                      \
        VEC c[SUMS];                                                                         \
        for (int i = 0; i < SUMS; i++) c[i] = ZERO();                                        \
        for (int64_t k = 0; k < rounds; k++) {                                               \
            UNROLL(32)                                                                       \
            for (int i = 0; i < SUMS; i++) c[i] = STEP;                                      \
        }                                                                                    \
        for (int i = 1; i < SUMS; i++) c[0] = ADD(c[0], c[i]);                               \
        for (size_t j = 0; j < sizeof(VEC) / sizeof(T); j++) sum += (double)((T *)&c[0])[j]; \
        return sum;                                                                          \
    }

LOOP(avx2, "avx2,fma", 12, WIDE(256), real, OF(_mm256_setzero), OF(_mm256_add),
     WIDE(256), OF(_mm256_set1)((real)unity), OF(_mm256_fmadd)(c[i], x, x))
LOOP(avx512, "avx512f,avx512vl,avx512bw,avx512dq,fma", 24, WIDE(512), real, OF(_mm512_setzero),
     OF(_mm512_add), WIDE(512), OF(_mm512_set1)((real)unity), OF(_mm512_fmadd)(c[i], x, x))

static const struct peak_loop avx2_loop =
    { ISA_AVX2, 0, 32768, 2.0 * 12 * 32 / sizeof(real), avx2 };
static const struct peak_loop avx512_loop =
    { ISA_AVX512, 0, 16384, 2.0 * 24 * 64 / sizeof(real), avx512 };

#ifndef TTT_F64
#define ONES 0x3f803f80  /* two numbers 1 in bf16 */

LOOP(avx512_bf16, "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16", 24, __m512, float,
     _mm512_setzero_ps, _mm512_add_ps,
     __m512bh, (__m512bh)_mm512_set1_epi32(ONES * (int)unity), _mm512_dpbf16_ps(c[i], x, x))

static const struct peak_loop avx512_bf16_loop =
    { ISA_AVX512_BF16, 1, 16384, 2.0 * 24 * 32, avx512_bf16 };

/* Six sums and two operands are all eight tiles. */
enum { TILE = AMX_SIDE };

__attribute__((target("amx-tile,amx-bf16"))) static double amx(int64_t rounds)
{
    uint32_t ones[TILE * TILE];
    float c[6][TILE * TILE];
    double sum = 0;

    for (int i = 0; i < TILE * TILE; i++) ones[i] = ONES;
    __asm__ volatile("" : : "r"(ones) : "memory");  /* GCC does not see that tiles read it */
    amx_begin();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_loadd(6, ones, 4 * TILE);
    _tile_loadd(7, ones, 4 * TILE);
    for (int64_t k = 0; k < rounds; k++) {
        _tile_dpbf16ps(0, 6, 7);
        _tile_dpbf16ps(1, 6, 7);
        _tile_dpbf16ps(2, 6, 7);
        _tile_dpbf16ps(3, 6, 7);
        _tile_dpbf16ps(4, 6, 7);
        _tile_dpbf16ps(5, 6, 7);
    }
    _tile_stored(0, c[0], 4 * TILE);
    _tile_stored(1, c[1], 4 * TILE);
    _tile_stored(2, c[2], 4 * TILE);
    _tile_stored(3, c[3], 4 * TILE);
    _tile_stored(4, c[4], 4 * TILE);
    _tile_stored(5, c[5], 4 * TILE);
    amx_end();
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < TILE * TILE; j++) sum += (double)c[i][j];
    return sum;
}

static const struct peak_loop amx_loop =
    { ISA_AMX, 1, 2048, 2.0 * 6 * TILE * TILE * 2 * TILE, amx };
#endif
#endif

const struct peak_loop *peak_loop(enum isa isa, int in_bf16)
{
#ifdef __x86_64__
#ifndef TTT_F64
    if (in_bf16 && isa >= ISA_AMX) return &amx_loop;
    if (in_bf16 && isa >= ISA_AVX512_BF16) return &avx512_bf16_loop;
#endif
    if (isa >= ISA_AVX512) return &avx512_loop;
    if (isa >= ISA_AVX2) return &avx2_loop;
#endif
    (void)isa, (void)in_bf16;
    return &plain_loop;
}

/* --- measuring ----------------------------------------------------------------- */

/* n additions, a multiple of 8, each of which waits for the one before; returns n. */
static uint64_t add_in_a_chain(uint64_t n)
{
    uint64_t x = 0, one = 1;
    __asm__ volatile("" : "+r"(one));
    for (uint64_t i = 0; i < n; i += 8) {
        UNROLL(8)
        for (int j = 0; j < 8; j++) {
            x += one;
            __asm__ volatile("" : "+r"(x));
        }
    }
    return x;
}

/* Seconds that this thread computed. */
static double computed_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A thread's trial, from start to end: FLOP/s, additions a second, and whether something else had
 * the core for part of it. */
struct trial { double flops, hertz; int disturbed; };

static struct trial try(const struct peak_loop *l, double start, double end)
{
    const double before = computed_s();
    double now, chain_s = end, blocks = 0;

    do {
        check(2 * l->run(l->rounds) == l->flops * (double)l->rounds);
        const double begin = clock_s();
        check(add_in_a_chain(ADDITIONS) == ADDITIONS);
        now = clock_s();
        if (now - begin < chain_s) chain_s = now - begin;
        blocks++;
    } while (now < end);
    return (struct trial){ blocks * l->flops * (double)l->rounds / (now - start - blocks * chain_s),
                           ADDITIONS / chain_s, computed_s() - before < 0.9 * (now - start) };
}

void peak_measure(struct peak *p, int in_bf16, int trials)
{
    *p = (struct peak){ .loop = peak_loop(isa_best(), in_bf16), .threads = omp_get_max_threads() };
    const double most = clock_s() + (1 + trials + MORE) * TRIAL_S;
    for (int i = 0, good = -1; i < 2 || (good < trials && clock_s() < most); i++) {
        double start, flops = 0, hertz = 0;
        int disturbed = 0;
        #pragma omp parallel reduction(+ : flops, hertz, disturbed)
        {
            #pragma omp barrier   /* all are awake */
            #pragma omp single
            start = clock_s();
            const struct trial t = try(p->loop, start, start + TRIAL_S);
            flops = t.flops;
            hertz = t.hertz;
            disturbed = t.disturbed;
        }
        good += !disturbed;
        if (i == 0 || 1e-9 * flops <= p->gflops) continue;
        p->gflops = 1e-9 * flops;
        p->ghz = 1e-9 * hertz / p->threads;
    }
}

double peak_flops_per_cycle(const struct peak *p) { return p->gflops / p->ghz / p->threads; }
