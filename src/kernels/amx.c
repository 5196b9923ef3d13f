/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/amx.h"

#include <math.h>
#include <string.h>

#include "src/base/failpoint.h"
#include "src/base/log.h"
#include "src/base/real.h"
#include "src/base/status.h"

/* --- plain C ------------------------------------------------------------------ */

static inline float value(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* What is below the smallest normal number becomes zero, with its sign. */
static inline float flushed(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return value(bits & 0x7f800000 ? bits : bits & 0x80000000);
}

/* `words` rows of B as floats: the first numbers of the words, and the second ones. */
struct apart { float even[AMX_SIDE][AMX_SIDE], odd[AMX_SIDE][AMX_SIDE]; };

CLONES
static void take_apart(struct apart *to, const uint32_t *B, int words)
{
    for (int k = 0; k < words; k++)
        for (int n = 0; n < AMX_SIDE; n++) {
            to->even[k][n] = flushed(value(B[k * AMX_SIDE + n] << 16));
            to->odd[k][n] = flushed(value(B[k * AMX_SIDE + n] & 0xffff0000));
        }
}

CLONES
static void dot_row(float *restrict sum, const uint32_t *restrict a, const struct apart *restrict b,
                    int words)
{
    float even[AMX_SIDE] = { 0 }, odd[AMX_SIDE] = { 0 };
    for (int k = 0; k < words; k++) {
        const float a0 = flushed(value(a[k] << 16)), a1 = flushed(value(a[k] & 0xffff0000));
        for (int n = 0; n < AMX_SIDE; n++) {
            even[n] = flushed(fmaf(a0, b->even[k][n], even[n]));
            odd[n] = flushed(fmaf(a1, b->odd[k][n], odd[n]));
        }
    }
    for (int n = 0; n < AMX_SIDE; n++) sum[n] = flushed(even[n] + odd[n]);
}

void amx_dot_ref(float *C, const uint32_t *A, const uint32_t *B, int rows, int columns, int words)
{
    struct apart b;
    float sum[AMX_SIDE];

    take_apart(&b, B, words);
    for (int m = 0; m < rows; m++) {
        dot_row(sum, A + m * AMX_SIDE, &b, words);
        for (int n = 0; n < columns; n++)
            C[m * AMX_SIDE + n] = flushed(flushed(C[m * AMX_SIDE + n]) + sum[n]);
    }
}

/* --- the instructions ----------------------------------------------------------- */

#if defined(__x86_64__) && !defined(TTT_F64)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* GCC's own intrinsics do not say which memory they read and write; these do.  All are volatile, so
 * that they stay in order, and nothing but they uses tiles. */
#define ZERO(t) __asm__ volatile("tilezero %%tmm" #t : : )
#define LOAD(t, from, bytes)                                                                 \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(from), "r"(bytes) : "memory")
#define STORE(t, to, bytes)                                                                  \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(to), "r"(bytes) : "memory")
#define DOT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : )

/* Palette 1: eight tiles. */
struct configuration {
    uint8_t  palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t  rows[16];
};
_Static_assert(sizeof(struct configuration) == 64, "as LDTILECFG reads it");

#define EIGHT(x) { x, x, x, x, x, x, x, x }
static const struct configuration whole_tiles = {
    .palette = 1, .row_bytes = EIGHT(4 * AMX_SIDE), .rows = EIGHT(AMX_SIDE),
};

/* Something else may have changed or released them, as a fork does: so they are looked at. */
void amx_begin(void)
{
    struct configuration now;
    __asm__ volatile("sttilecfg %0" : "=m"(now));
    if (memcmp(&now, &whole_tiles, sizeof now))
        __asm__ volatile("ldtilecfg %0" : : "m"(whole_tiles));
}

void amx_end(void) { __asm__ volatile("tilerelease" : : ); }

/* Sums are in tiles 0 to 3, the first operand in 4 and 5, the second one in 6 and 7.  `b` is a copy,
 * so that its numbers stay in registers when tiles are written to memory. */
__attribute__((always_inline))
static inline void block(struct amx_block b, int down, int across)
{
    const int64_t word = sizeof *b.A, c = b.ldc * word, lda = b.lda * word, ldb = b.ldb * word;
    const int64_t below = AMX_SIDE * b.ldc;
    const uint32_t *A = b.A, *B = b.B;
    const float *from = b.from;

    if (from) {
        LOAD(0, from, c);
        if (across > 1) LOAD(1, from + AMX_SIDE, c);
        if (down > 1) LOAD(2, from + below, c);
        if (down > 1 && across > 1) LOAD(3, from + below + AMX_SIDE, c);
    } else {
        ZERO(0);
        if (across > 1) ZERO(1);
        if (down > 1) ZERO(2);
        if (down > 1 && across > 1) ZERO(3);
    }
    for (int k = 0; k < b.steps; k++, A += AMX_SIDE, B += AMX_SIDE * b.ldb) {
        LOAD(4, A, lda);
        LOAD(6, B, ldb);
        DOT(0, 4, 6);
        if (across > 1) {
            LOAD(7, B + AMX_SIDE, ldb);
            DOT(1, 4, 7);
        }
        if (down > 1) {
            LOAD(5, A + AMX_SIDE * b.lda, lda);
            DOT(2, 5, 6);
        }
        if (down > 1 && across > 1) DOT(3, 5, 7);
    }
    STORE(0, b.C, c);
    if (across > 1) STORE(1, b.C + AMX_SIDE, c);
    if (down > 1) STORE(2, b.C + below, c);
    if (down > 1 && across > 1) STORE(3, b.C + below + AMX_SIDE, c);
}

static void block_1_1(const struct amx_block *b) { block(*b, 1, 1); }
static void block_1_2(const struct amx_block *b) { block(*b, 1, 2); }
static void block_2_1(const struct amx_block *b) { block(*b, 2, 1); }
static void block_2_2(const struct amx_block *b) { block(*b, 2, 2); }

static void whole_block(const struct amx_block *b)
{
    static void (*const blocks[2][2])(const struct amx_block *) = {
        { block_1_1, block_1_2 }, { block_2_1, block_2_2 },
    };
    blocks[b->rows > AMX_SIDE][b->columns > AMX_SIDE](b);
}

/* Less than whole tiles of C go by way of a copy. */
void amx_block(const struct amx_block *b)
{
    if (b->rows % AMX_SIDE == 0 && b->columns % AMX_SIDE == 0) {
        whole_block(b);
        return;
    }
    _Alignas(ALIGN_BYTES) float own[AMX_BLOCK * AMX_BLOCK] = { 0 };
    const size_t size = (size_t)b->columns * sizeof *own;
    struct amx_block copy = *b;

    for (int i = 0; b->from && i < b->rows; i++)
        memcpy(own + i * AMX_BLOCK, b->from + i * b->ldc, size);
    copy.from = copy.C = own;
    copy.ldc = AMX_BLOCK;
    whole_block(&copy);
    for (int i = 0; i < b->rows; i++) memcpy(b->C + i * b->ldc, own + i * AMX_BLOCK, size);
}

/* --- are they there? ------------------------------------------------------------ */

static int emulated;

void amx_is_emulated(void) { emulated = 1; }

/* Tiles and their bf16 products, eight of 16 x 64 bytes. */
static int in_processor(void)
{
    enum { TILE = 1u << 24, BF16 = 1u << 22, XSAVE_ENABLED = 1u << 27 };
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & XSAVE_ENABLED)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (TILE | BF16)) != (TILE | BF16)) return 0;
    if (!__get_cpuid_count(0x1d, 1, &a, &b, &c, &d)) return 0;
    const unsigned bytes_per_tile = a >> 16, bytes_per_row = b & 0xffff, tiles = b >> 16;
    return bytes_per_tile == 1024 && bytes_per_row == 64 && tiles == 8 && (c & 0xffff) == 16;
}

/* The system saves tiles, and lets this process use them. */
static int in_system(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, BOTH_STATES = 3u << 17 };
    unsigned low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & BOTH_STATES) == BOTH_STATES &&
           syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

/* Numbers of both signs from 1/8 to 32, whose sums round at nearly every step. */
static void fill(uint32_t *words, uint32_t seed)
{
    for (int i = 0; i < AMX_SIDE * AMX_SIDE; i++) {
        seed = seed * 1664525 + 1013904223;
        words[i] = (seed & 0x83ff83ff) + 0x3e003e00;
    }
}

static int as_described(void)
{
    enum { SIZE = AMX_SIDE * AMX_SIDE };
    uint32_t A[SIZE], B[SIZE];
    float C[SIZE], want[SIZE];

    fill(A, 1);
    fill(B, 2);
    for (int i = 0; i < SIZE; i++) want[i] = (float)i / 7 - 12;
    const struct amx_block b = {
        .C = C, .from = want, .A = A, .B = B, .ldc = AMX_SIDE, .lda = AMX_SIDE, .ldb = AMX_SIDE,
        .rows = AMX_SIDE, .columns = AMX_SIDE, .steps = 1,
    };
    amx_begin();
    amx_block(&b);
    amx_end();
    amx_dot_ref(want, A, B, AMX_SIDE, AMX_SIDE, AMX_SIDE);
    return FAILPOINT("amx.product") == OK && !memcmp(C, want, sizeof C);
}

int amx_usable(void)
{
    if (!emulated && !in_processor()) return 0;
    if (!emulated && !in_system()) {
        log_warn("AMX is not used: the kernel does not allow it (Linux 5.16 and later do)");
        return 0;
    }
    if (as_described()) return 1;
    log_warn("AMX is not used: its products are not those that Intel's manual describes");
    return 0;
}

#else

int amx_usable(void) { return 0; }
void amx_is_emulated(void) {}
void amx_begin(void) {}
void amx_end(void) {}
void amx_block(const struct amx_block *b)
{
    (void)b;
    check(!"this processor has tiles");
}

#endif
