/* SPDX-License-Identifier: Apache-2.0 */
/* test_amx.c -- products of tiles: the plain C of the instruction against sums in double, and all
 * kernels with tiles against that plain C, bit for bit; on the processor's tiles where it has them,
 * elsewhere with emulated instructions (tests/lib/amx_emulator.h). */
#include "tests/unit/numeric.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/failpoint.h"
#include "src/base/status.h"
#include "src/kernels/amx.h"
#include "src/kernels/gemm_bf16.h"
#include "src/kernels/gemm_bf16_tiles.h"
#include "src/kernels/isa.h"
#include "src/kernels/smm_bf16_tiles.h"
#include "tests/lib/amx_emulator.h"

#if defined(__x86_64__) && !defined(TTT_F64)

enum { SIDE = AMX_SIDE, TILE = SIDE * SIDE };

static int emulated;

/* --- the plain C ------------------------------------------------------------------ */

static uint32_t word(float low, float high)
{
    return bf16_bits((real)low) | bf16_bits((real)high) << 16;
}

static double half(uint32_t w, int high) { return (double)bf16_value((bf16)(high ? w >> 16 : w)); }

/* Memory whose last byte is the last one that may be read, until release_walls(). */
static struct { uint8_t *at; size_t size; } walled[16];
static int n_walled;

static void *before_wall(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), all = (size + page - 1) / page * page;
    const int use = PROT_READ | PROT_WRITE;
    uint8_t *at = mmap(NULL, all + page, use, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED && mprotect(at + all, page, PROT_NONE) == 0);
    assert_true(n_walled < (int)(sizeof walled / sizeof *walled));
    walled[n_walled].at = at;
    walled[n_walled++].size = all + page;
    return at + all - size;
}

static void release_walls(void)
{
    while (n_walled > 0) {
        n_walled--;
        munmap(walled[n_walled].at, walled[n_walled].size);
    }
    release();
}

/* n words of both signs whose numbers are from 2^-spread to 2^spread; nothing after them may be
 * read. */
static uint32_t *words(int64_t n, int spread, uint64_t seed)
{
    uint32_t *w = before_wall((size_t)n * sizeof *w);
    for (int64_t i = 0; i < n; i++) {
        float x[2];
        for (int h = 0; h < 2; h++) {
            const uint64_t r = rng_u64(seed, (uint64_t)(2 * i + h));
            const int exponent = (int)((r >> 8) % (uint64_t)(2 * spread + 1)) - spread;
            x[h] = ldexpf(1 + (float)(r % 128) / 128, exponent);
            if (r >> 63) x[h] = -x[h];
        }
        w[i] = word(x[0], x[1]);
    }
    return w;
}

/* The same order of sums in double, rounded to float at each step: no sum here has more bits than a
 * double has, so each is rounded once. */
static float dot_in_double(float c, const uint32_t *a, const uint32_t *b, int n)
{
    float s[2] = { 0, 0 };
    for (int k = 0; k < n; k++)
        for (int h = 0; h < 2; h++)
            s[h] = (float)((double)s[h] + half(a[k], h) * half(b[k * SIDE], h));
    return (float)((double)c + (double)(float)((double)s[0] + (double)s[1]));
}

static void plain_c_is_the_manual(void **state)
{
    (void)state;
    static const int shapes[][3] = { { 16, 16, 16 }, { 1, 16, 7 }, { 16, 1, 16 }, { 5, 9, 1 } };
    for (int s = 0; s < 4; s++) {
        const int rows = shapes[s][0], columns = shapes[s][1], n = shapes[s][2];
        const uint32_t *A = words(TILE, 6, 1), *B = words(TILE, 6, 2);
        float C[TILE], before[TILE];
        for (int i = 0; i < TILE; i++) before[i] = C[i] = (float)rng_normal(3, (uint64_t)i);
        amx_dot_ref(C, A, B, rows, columns, n);
        for (int i = 0; i < TILE; i++) {
            const int m = i / SIDE, j = i % SIDE;
            const float want = m < rows && j < columns
                                   ? dot_in_double(before[i], A + m * SIDE, B + j, n) : before[i];
            assert_memory_equal(&C[i], &want, sizeof want);
        }
        release_walls();
    }
}

/* c + the products of `n` words, where numbers say what they are by their place. */
static float of_words(float c, const uint32_t *a, const uint32_t *b, int n)
{
    uint32_t A[TILE] = { 0 }, B[TILE] = { 0 };
    float C[TILE] = { c };
    for (int k = 0; k < n; k++) {
        A[k] = a[k];
        B[k * SIDE] = b[k];
    }
    amx_dot_ref(C, A, B, 1, 1, n);
    return C[0];
}

static void sums_and_small_numbers(void **state)
{
    (void)state;
    const uint32_t ones[2] = { word(1, 1), word(1, 1) }, big[2] = { word(0x1p24f, 1), word(1, 1) };
    const float least = 0x1p-126f;
    assert_true(of_words(0, big, ones, 2) == 0x1p24f + 2);      /* one chain would give 2^24 */
    assert_true(of_words(1, big, ones, 2) == 0x1p24f + 4);      /* c comes last: a tie, to even */

    const uint32_t tiny = word(0x1p-127f, 0), large = word(0x1p100f, 0), unit = word(1, 0);
    const uint32_t small = word(0x1p-64f, 0), smaller = word(0x1p-63f, 0), nothing = 0;
    assert_true(of_words(0, &tiny, &large, 1) == 0);            /* an operand below the least */
    assert_true(of_words(least / 2, &nothing, &unit, 1) == 0);  /* what is in C               */
    assert_true(of_words(0, &small, &smaller, 1) == 0);         /* a result                   */
    assert_true(of_words(0, &smaller, &smaller, 1) == least);
    assert_true(isnan(of_words(0, &(uint32_t){ word(INFINITY, 0) }, &nothing, 1)));
    assert_true(isinf(of_words(0, &(uint32_t){ word(0x1p127f, 0) }, &large, 1)));
}

/* --- blocks ------------------------------------------------------------------------- */

static uint32_t at(const uint32_t *w, int64_t ld, int i, int k, int down, int along)
{
    return i < down && k < along ? w[i * ld + k] : 0;
}

/* C (M,N) += A B with A (M,K) and B (K,N) in words, which lie in whole or in parts of tiles. */
static void product_ref(float *C, int64_t ldc, const uint32_t *A, const uint32_t *B, int M, int N,
                        int K)
{
    for (int i = 0; i < (M + SIDE - 1) / SIDE * ((N + SIDE - 1) / SIDE); i++) {
        const int across = (N + SIDE - 1) / SIDE, m = i / across * SIDE, n = i % across * SIDE;
        float c[TILE];
        for (int j = 0; j < TILE; j++)
            c[j] = m + j / SIDE < M && n + j % SIDE < N
                       ? C[(m + j / SIDE) * ldc + n + j % SIDE] : 0;
        for (int k = 0; k < K; k += SIDE) {
            uint32_t a[TILE], b[TILE];
            for (int j = 0; j < TILE; j++) {
                a[j] = at(A, K, m + j / SIDE, k + j % SIDE, M, K);
                b[j] = at(B, N, k + j / SIDE, n + j % SIDE, K, N);
            }
            amx_dot_ref(c, a, b, SIDE, SIDE, SIDE);
        }
        for (int j = 0; j < TILE; j++)
            if (m + j / SIDE < M && n + j % SIDE < N)
                C[(m + j / SIDE) * ldc + n + j % SIDE] = c[j];
    }
}

static float *floats(int64_t n, uint64_t seed)
{
    float *x = before_wall((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = seed ? (float)rng_normal(seed, (uint64_t)i) : 0;
    return x;
}

static float *copied(const float *x, int64_t n)
{
    return memcpy(hold(n, sizeof *x), x, (size_t)n * sizeof *x);
}

/* Every kind of block; C has a gap between its rows, and a row before and after it. */
static void blocks(void **state)
{
    (void)state;
    static const int sides[] = { 1, 15, 16, 17, 31, 32 };
    enum { LDC = 35, ALL = 34 * LDC };
    for (int s = 0; s < 6 * 6 * 3 * 3; s++) {
        const int rows = sides[s % 6], columns = sides[s / 6 % 6], steps = s / 36 % 3 + 1;
        const int how = s / 108, K = steps * SIDE;
        const uint32_t *A = words(32 * K, 6, 1), *B = words(K * 32, 6, 2);
        float *C = floats(ALL, 3), *want = copied(C, ALL), *from = floats(ALL, 4);
        const float *begin[] = { NULL, C + LDC, from };
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                want[(i + 1) * LDC + j] = begin[how] ? begin[how][i * LDC + j] : 0;
        float *part = floats(32 * 32, 0);
        for (int i = 0; i < rows; i++)
            memcpy(part + i * 32, want + (i + 1) * LDC, (size_t)columns * sizeof *part);
        product_ref(part, 32, A, B, 32, 32, K);
        for (int i = 0; i < rows; i++)
            memcpy(want + (i + 1) * LDC, part + i * 32, (size_t)columns * sizeof *part);
        amx_begin();
        amx_block(&(struct amx_block){
            .C = C + LDC, .from = begin[how], .A = A, .B = B, .ldc = LDC, .lda = K, .ldb = 32,
            .rows = rows, .columns = columns, .steps = steps });
        amx_end();
        assert_memory_equal(C, want, ALL * sizeof *C);
        release_walls();
    }
}

/* --- kernels -------------------------------------------------------------------------- */

/* The rows and panels of random words, padded with zeros as bf16.h says. */
static struct gemm_bf16 dense(int N, int M, int K, int k0, int panels_K)
{
    const int inner = bf16_inner(K), all = bf16_inner(panels_K);
    uint32_t *X = words((int64_t)N * inner / 2, 6, 1);
    uint32_t *B = words((int64_t)bf16_columns(M) * all / 2, 6, 2);
    bf16 *x = (bf16 *)(void *)X, *b = (bf16 *)(void *)B;
    for (int64_t i = 0; i < (int64_t)N * inner; i++) if (i % inner >= K) x[i] = 0;
    for (int64_t i = 0; i < (int64_t)bf16_columns(M) * all; i++) {
        const int64_t panel = i / (64 * all), place = i % (64 * all);
        if (place / 128 * 2 + place % 2 >= panels_K || panel * 64 + place / 2 % 64 >= M) b[i] = 0;
    }
    return (struct gemm_bf16){ .rows = x, .panels = b, .ldc = M + 3, .N = N, .M = M, .K = K,
                               .k0 = k0, .panels_K = panels_K };
}

static void dense_products(void **state)
{
    (void)state;
    static const int shapes[][5] = {    /* N, M, K, k0, panels_K */
        { 1, 1, 1, 0, 1 }, { 16, 16, 32, 0, 32 }, { 32, 32, 32, 0, 32 }, { 33, 65, 31, 0, 31 },
        { 64, 64, 64, 0, 64 }, { 15, 17, 96, 0, 96 }, { 47, 95, 1024, 0, 1024 },
        { 64, 130, 545, 0, 545 }, { 40, 70, 64, 32, 197 }, { 32, 200, 160, 32, 192 },
        { 96, 33, 1100, 0, 1100 }, { 256, 256, 48, 0, 48 }, { 32, 32, 2048, 1024, 4096 },
    };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int add = 0; add < 2; add++) {
            const int *z = shapes[s], size = (z[0] + 1) * (z[1] + 3);
            struct gemm_bf16 p = dense(z[0], z[1], z[2], z[3], z[4]);
            float *C = floats(size, 3), *want = copied(C, size);
            p.add = add;
            p.C = (real *)want;
            gemm_bf16_tiles_ref(&p);
            p.C = (real *)C;
            gemm_bf16_tiles(&p);
            assert_memory_equal(C, want, (size_t)size * sizeof *C);
            release_walls();
        }
}

/* The plain C of dense products itself, by its formula in one place. */
static void dense_reference(void **state)
{
    (void)state;
    enum { N = 19, M = 81, K = 70, K0 = 32, ALL = 130, PART = 64 };
    struct gemm_bf16 p = dense(N, M, PART, K0, ALL);
    float *C = floats(N * (M + 3), 3), *before = copied(C, N * (M + 3));
    p.C = (real *)C;
    p.add = 1;
    gemm_bf16_tiles_ref(&p);
    for (int n = 0; n < N; n++)
        for (int m = 0; m < M; m++) {
            float c = before[n * p.ldc + m];
            for (int k = 0; k < PART; k += 32) {
                uint32_t a[SIDE], b[TILE];
                for (int i = 0; i < SIDE; i++) {
                    const bf16 *x = p.rows + n * PART + k + 2 * i;
                    const bf16 *q = p.panels + m / 64 * 64 * bf16_inner(ALL) +
                                    (K0 + k + 2 * i) / 2 * 128 + m % 64 * 2;
                    a[i] = x[0] | (uint32_t)x[1] << 16;
                    b[i * SIDE] = q[0] | (uint32_t)q[1] << 16;
                }
                c = dot_in_double(c, a, b, SIDE);
            }
            assert_true(C[n * p.ldc + m] == c);
        }
    release_walls();
}

/* All of gemm_bf16() by several threads, each of which configures its own tiles. */
static void threads(void **state)
{
    (void)state;
    if (isa_best() < ISA_AMX) skip();
    enum { N = 530, M = 300, K = 96 };
    struct gemm_bf16 p = dense(N, M, K, 0, K);
    const int size = N * p.ldc;
    float *C = floats(size, 0), *want = floats(size, 0);
    p.C = (real *)want;
    gemm_bf16_tiles_ref(&p);
    p.C = (real *)C;
    for (int t = 1; t <= 4; t++) {
        omp_set_num_threads(t);
        memset(C, 0, (size_t)size * sizeof *C);
        gemm_bf16(&p);
        assert_memory_equal(C, want, (size_t)size * sizeof *C);
    }
    release_walls();
}

static void small_products(void **state)
{
    (void)state;
    static const int shapes[][3] = {    /* M, N, K: mini-batches, attention, and odd ones */
        { 16, 64, 64 }, { 64, 16, 64 }, { 64, 64, 16 }, { 16, 256, 64 }, { 256, 64, 16 },
        { 64, 256, 48 }, { 64, 64, 64 }, { 5, 70, 7 }, { 17, 16, 3 }, { 1, 1, 1 }, { 20, 130, 33 },
        { 16, 20, 64 }, { 33, 31, 600 }, { 3, 33, 1030 }, { 300, 20, 70 }, { 16, 16, 32 },
        { 31, 48, 64 },
    };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int how = 0; how < 6; how++) {
            const int M = shapes[s][0], N = shapes[s][1], n = bf16_words(shapes[s][2]);
            const int transposed = how % 2, gap = M + 5;
            const uint32_t *A = words((int64_t)M * n, 6, 1), *B = words((int64_t)n * N, 6, 2);
            uint32_t *turned = before_wall((size_t)(n * gap) * sizeof *turned);
            for (int k = 0; k < n; k++)
                for (int m = 0; m < M; m++) turned[k * gap + m] = A[m * n + k];
            float *C = floats(M * N, 3), *from = floats(M * N, 4);
            const float *begin = how / 2 == 0 ? NULL : how / 2 == 1 ? C : from;
            float *want = begin ? copied(begin, M * N) : floats(M * N, 0);
            product_ref(want, N, A, B, M, N, n);
            smm_bf16_tiles((real *)C, (const real *)begin,
                           transposed ? bf16_left_transposed(turned, gap) : bf16_left_rows(A, n),
                           B, M, N, shapes[s][2]);
            assert_memory_equal(C, want, (size_t)(M * N) * sizeof *C);
            release_walls();
        }
}

/* Rows that lie in longer ones, as attention's keys do. */
static void part_of_rows(void **state)
{
    (void)state;
    enum { M = 64, N = 64, WORDS = 32, LONG = 128 };
    const uint32_t *A = words(M * LONG, 6, 1), *B = words(WORDS * N, 6, 2);
    uint32_t *own = hold(M * WORDS, sizeof *own);
    float *C = floats(M * N, 3), *want = floats(M * N, 0);
    for (int m = 0; m < M; m++) memcpy(own + m * WORDS, A + m * LONG + 40, WORDS * sizeof *own);
    product_ref(want, N, own, B, M, N, WORDS);
    smm_bf16_tiles((real *)C, NULL, bf16_left_rows(A + 40, LONG), B, M, N, 2 * WORDS);
    assert_memory_equal(C, want, M * N * sizeof *C);
    release_walls();
}

/* --- the thread's state ------------------------------------------------------------------ */

enum { PALETTE, RESERVED = 5, BYTES = 16, ROWS = 48 };

/* What LDTILECFG reads: all tiles have so many rows of 64 bytes. */
static void configuration(uint8_t c[64], int rows)
{
    memset(c, 0, 64);
    c[PALETTE] = 1;
    for (int t = 0; t < 8; t++) {
        c[BYTES + 2 * t] = 64;
        c[ROWS + t] = (uint8_t)rows;
    }
}

static int product_is_right(void)
{
    uint32_t A[TILE], B[TILE];
    float C[TILE], want[TILE] = { 0 };
    for (int i = 0; i < TILE; i++) {
        A[i] = word((float)(i % 7), (float)(i % 5));
        B[i] = word((float)(i % 11), (float)(i % 3));
    }
    amx_dot_ref(want, A, B, SIDE, SIDE, SIDE);
    amx_begin();
    amx_block(&(struct amx_block){ .C = C, .A = A, .B = B, .ldc = SIDE, .lda = SIDE, .ldb = SIDE,
                                   .rows = SIDE, .columns = SIDE, .steps = 1 });
    return !memcmp(C, want, sizeof C);
}

/* Configured tiles are lost in the child of a fork, begin and end come in any order, and something
 * else in this thread may use tiles in its own way. */
static void foreign_states(void **state)
{
    (void)state;
    assert_true(product_is_right());    /* and tiles stay configured */
    const pid_t child = fork();
    if (child == 0) _exit(product_is_right() ? 0 : 1);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    amx_end();
    amx_end();
    assert_true(product_is_right());
    amx_begin();
    amx_begin();
    assert_true(product_is_right());
    uint8_t half_rows[64];
    configuration(half_rows, 8);
    __asm__ volatile("ldtilecfg (%0)" : : "r"(half_rows) : "memory");
    assert_true(product_is_right());
    amx_end();
}

static void amx_is_chosen(void **state)
{
    (void)state;
    if (!isa_has(ISA_AVX512)) skip();       /* every processor with tiles has its vectors */
    failpoint_set("amx.product=err");       /* tiles that do something else are not used */
    assert_int_equal(amx_usable(), 0);
    failpoint_set(NULL);
    assert_int_equal(amx_usable(), 1);
    assert_int_equal(isa_best(), ISA_AMX);
    assert_int_equal(gemm_bf16_native(), 1);
    if (emulated) {
        const long before = amx_emulator_count();
        assert_true(product_is_right());
        assert_true(amx_emulator_count() >= before + 5);    /* zero, two loads, dot, store */
    }
}

static sigjmp_buf back;
static void leap(int sig) { siglongjmp(back, sig); }

/* Does the processor refuse tiles that are configured so? */
static int refused(const uint8_t c[64])
{
    void (*volatile was)(int) = signal(SIGILL, leap);
    volatile int no = 1;
    if (!sigsetjmp(back, 1)) {
        __asm__ volatile("ldtilecfg (%0)" : : "r"(c) : "memory");
        __asm__ volatile("tilezero %%tmm0; tilezero %%tmm1; tilezero %%tmm2" : : );
        __asm__ volatile("tdpbf16ps %%tmm2, %%tmm1, %%tmm0" : : );
        no = 0;
    }
    signal(SIGILL, was);
    return no;
}

/* The emulator does not let pass what a processor would not. */
static void emulator_refuses(void **state)
{
    (void)state;
    if (!emulated) skip();
    uint8_t good[64];
    configuration(good, 16);
    assert_false(refused(good));
    static const struct { int place, value; } bad[] = {
        { PALETTE, 0 }, { PALETTE, 2 }, { RESERVED, 1 }, { BYTES, 65 }, { BYTES, 0 }, { ROWS, 17 },
        { ROWS + 1, 15 }, { ROWS + 2, 15 }, { BYTES + 2, 32 }, { BYTES + 4, 60 }, { ROWS + 8, 1 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t c[64];
        memcpy(c, good, sizeof c);
        c[bad[i].place] = (uint8_t)bad[i].value;
        assert_true(refused(c));
    }
    amx_end();
    void (*volatile was)(int) = signal(SIGILL, leap);
    volatile int caught = 0;
    if (!sigsetjmp(back, 1)) __asm__ volatile("ud2" : : );
    else caught = 1;
    assert_true(caught);    /* what is no tile instruction goes to whom it belongs */
    signal(SIGILL, was);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_c_is_the_manual), cmocka_unit_test(sums_and_small_numbers),
        cmocka_unit_test(amx_is_chosen), cmocka_unit_test(blocks),
        cmocka_unit_test(dense_reference), cmocka_unit_test(dense_products),
        cmocka_unit_test(threads), cmocka_unit_test(small_products),
        cmocka_unit_test(part_of_rows), cmocka_unit_test(foreign_states),
        cmocka_unit_test(emulator_refuses),
    };
    const char *isa = getenv("TTT_ISA");
    if (isa && *isa && strcmp(isa, "amx")) return 0;    /* somebody wants to test something else */
    emulated = amx_emulator_start();
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) { return 0; }

#endif
