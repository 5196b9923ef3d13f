/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/smm_bf16_tiles.h"

#include <string.h>

#include "src/base/status.h"
#include "src/kernels/amx.h"
#include "src/kernels/transpose.h"

#ifndef TTT_F64

/* Words of K at a time, and of a copy of rows of A. */
enum { SIDE = AMX_BLOCK, MOST_WORDS = 256, COPY_WORDS = SIDE * MOST_WORDS };

_Static_assert(AMX_SIDE % TRANSPOSE_SIDE == 0, "a tile is transposed in blocks");

static int at_most(int n, int most) { return n < 0 ? 0 : n < most ? n : most; }
static int whole_tiles(int n) { return (n + AMX_SIDE - 1) / AMX_SIDE * AMX_SIDE; }

/* A block of a tile from `words` words of each of `rows` rows that lie across: word k of row m is
 * at w[k * along + m].  The rest is filled with zeros. */
CLONES
static void turn_block(bf16_word *restrict to, int64_t ld, const bf16_word *restrict w,
                      int64_t along, int rows, int words)
{
    transpose_row r[TRANSPOSE_SIDE] = { 0 };
    if (rows == TRANSPOSE_SIDE)
        for (int k = 0; k < words; k++) memcpy(&r[k], w + k * along, sizeof r[k]);
    else
        for (int k = 0; k < words; k++)
            memcpy(&r[k], w + k * along, (size_t)rows * sizeof *w);
    transpose_registers(r);
    for (int m = 0; m < TRANSPOSE_SIDE; m++) memcpy(to + m * ld, &r[m], sizeof r[m]);
}

/* `rows` rows of `words` words of a first operand, both filled up to whole tiles. */
static void copy_left(bf16_word *to, struct bf16_left A, int rows, int words)
{
    const int ld = whole_tiles(words), all = whole_tiles(rows);

    if (A.along != 1) {
        check(A.down == 1);
        for (int m = 0; m < all; m += TRANSPOSE_SIDE)
            for (int k = 0; k < ld; k += TRANSPOSE_SIDE)
                turn_block(to + m * ld + k, ld, A.w + m + k * A.along, A.along,
                           at_most(rows - m, TRANSPOSE_SIDE), at_most(words - k, TRANSPOSE_SIDE));
        return;
    }
    for (int m = 0; m < all; m++) {
        const int there = m < rows ? words : 0;
        if (there) memcpy(to + m * ld, A.w + m * A.down, (size_t)there * sizeof *to);
        memset(to + m * ld + there, 0, (size_t)(ld - there) * sizeof *to);
    }
}

/* `columns` <= 32 columns of `words` rows of a second operand, filled up to 32 and whole tiles. */
static void copy_right(bf16_word *to, const bf16_word *B, int64_t ldb, int columns, int words)
{
    for (int k = 0; k < whole_tiles(words); k++) {
        const int there = k < words ? columns : 0;
        if (there) memcpy(to + k * SIDE, B + k * ldb, (size_t)there * sizeof *to);
        memset(to + k * SIDE + there, 0, (size_t)(SIDE - there) * sizeof *to);
    }
}

/* `words` words of K, from words A.w and B.w on, added to `from`. */
struct part {
    float *C;
    const float *from;
    struct bf16_left A;
    const bf16_word *B;
    int M, N, words;
};

/* `rows` rows of C from m0 on, all columns; A's rows are whole tiles, lda words apart. */
static void strip(const struct part *p, int m0, int rows, const bf16_word *A, int64_t lda)
{
    _Alignas(ALIGN_BYTES) bf16_word copy[MOST_WORDS * SIDE];

    for (int n = 0; n < p->N; n += SIDE) {
        const int columns = at_most(p->N - n, SIDE);
        const int copies = columns % AMX_SIDE || p->words % AMX_SIDE;
        if (copies) copy_right(copy, p->B + n, p->N, columns, p->words);
        for (int m = 0; m < rows; m += SIDE) {
            const int64_t at = (int64_t)(m0 + m) * p->N + n;
            amx_block(&(struct amx_block){
                .C = p->C + at, .from = p->from ? p->from + at : NULL, .A = A + m * lda,
                .B = copies ? copy : p->B + n, .ldc = p->N, .lda = lda, .ldb = copies ? SIDE : p->N,
                .rows = at_most(rows - m, SIDE), .columns = columns,
                .steps = whole_tiles(p->words) / AMX_SIDE,
            });
        }
    }
}

static void all_rows(const struct part *p)
{
    _Alignas(ALIGN_BYTES) bf16_word copy[COPY_WORDS];
    const int ld = whole_tiles(p->words), lies_well = p->A.along == 1 && ld == p->words;
    const int whole = lies_well ? p->M / AMX_SIDE * AMX_SIDE : 0;
    const int most = COPY_WORDS / ld / SIDE * SIDE;

    if (whole) strip(p, 0, whole, p->A.w, p->A.down);
    for (int m = whole, rows; m < p->M; m += rows) {
        rows = at_most(p->M - m, most);
        copy_left(copy, (struct bf16_left){ p->A.w + m * p->A.down, p->A.down, p->A.along }, rows,
                  p->words);
        strip(p, m, rows, copy, ld);
    }
}

void smm_bf16_tiles(real *C, const real *from, struct bf16_left A, const bf16_word *B, int M, int N,
                    int K)
{
    const int words = bf16_words(K);

    amx_begin();
    for (int k = 0; k < words; k += MOST_WORDS) {
        const struct part p = {
            .C = C, .from = k ? C : from, .A = { A.w + k * A.along, A.down, A.along },
            .B = B + (int64_t)k * N, .M = M, .N = N, .words = at_most(words - k, MOST_WORDS),
        };
        all_rows(&p);
    }
}

#else

void smm_bf16_tiles(real *C, const real *from, struct bf16_left A, const bf16_word *B, int M, int N,
                    int K)
{
    (void)C, (void)from, (void)A, (void)B, (void)M, (void)N, (void)K;
    check(!"products of doubles use tiles");
}

#endif
