/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/rope.h"

#include <math.h>

#include "src/kernels/vecmath.h"

/* Tokens whose angles come from one: cos and sin of a sum.  Cut at multiples of this from the first
 * token of the sequence, so that a position has the same bits in every slice. */
#define STEP 64

/* Column i of the table. */
static void column(real *c, real *s, int64_t pos, int T, int F, double step)
{
    double near_c[STEP], near_s[STEP], far_c = 0, far_s = 0;
    int64_t block = -1;

    for (int k = 0; k < STEP; k++) {
        near_c[k] = cos(k * step);
        near_s[k] = sin(k * step);
    }
    for (int t = 0; t < T; t++) {
        const int64_t at = pos + t;
        const int k = (int)(at % STEP);
        if (at / STEP != block) {
            block = at / STEP;
            far_c = cos((double)(block * STEP) * step);
            far_s = sin((double)(block * STEP) * step);
        }
        c[(int64_t)t * F] = (real)(far_c * near_c[k] - far_s * near_s[k]);
        s[(int64_t)t * F] = (real)(far_s * near_c[k] + far_c * near_s[k]);
    }
}

double rope_angle(const struct rope *r, int i, int F)
{
    const double angle = pow(r->theta, -2.0 * i / F);                                /* [E60] */

    if (r->scaling == ROPE_DEFAULT) return angle;
    if (r->scaling == ROPE_LINEAR) return angle / r->factor;
    const double rotations = r->original * angle / 6.283185307179586477;  /* in `original` tokens */
    if (rotations < r->low) return angle / r->factor;
    if (rotations > r->high) return angle;
    const double fast = (rotations - r->low) / (r->high - r->low);                       /* [E63] */
    return (1 - fast) * angle / r->factor + fast * angle;
}

void rope_table(real *rope, int64_t pos, int T, int F, const struct rope *r)
{
    const int half = F / 2;
    #pragma omp parallel for schedule(static) if (T > STEP)
    for (int i = 0; i < half; i++)
        column(rope + i, rope + half + i, pos, T, F, rope_angle(r, i, F));
}

CLONES
static void rotate_row(real *restrict x, const real *restrict rope, int H, int F, real sign)
{
    const int half = F / 2;
    const real *c = rope, *s = rope + half;
    for (int h = 0; h < H; h++, x += F)
        for (int i = 0; i < half; i++) {
            const real a = x[i], b = x[half + i], k = sign * s[i];
            x[i] = a * c[i] - b * k;
            x[half + i] = b * c[i] + a * k;
        }
}

void rope_rotate(real *x, const real *rope, int B, int T, int H, int F, int sign)
{
    const int64_t N = (int64_t)B * T;
    #pragma omp parallel for schedule(static) if (N > 16)
    for (int64_t n = 0; n < N; n++)
        rotate_row(x + n * H * F, rope + n % T * F, H, F, (real)sign);
}
