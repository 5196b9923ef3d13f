/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/act.h"

#include "src/kernels/lanes.h"

/* Elements a thread takes at once. */
#define BLOCK 4096

/* Run `call` over [i, i + m) for all blocks of n elements. */
#define FOR_BLOCKS(i, m, n, call) do {                                        \
    _Pragma("omp parallel for schedule(static) if ((n) >= PARALLEL_MIN)")     \
    for (int64_t i = 0; i < (n); i += BLOCK) {                                \
        const int m = (n) - i < BLOCK ? (int)((n) - i) : BLOCK;               \
        call;                                                                 \
    }                                                                         \
} while (0)

/* Elements that are made and then rounded, in the first cache. */
#define PIECE 512

/* Run `call` for pieces of the caller's rows (N,C): m elements from place i of the array on, which
 * go to place `at` of the rows of bf16 and are followed there by so many zeros. */
#define FOR_PIECES(i, m, at, zeros, call) do {                                           \
    const int ld_ = bf16_inner(C);                                                       \
    _Pragma("omp parallel for schedule(static) if ((int64_t)N * C >= PARALLEL_MIN)")     \
    for (int n_ = 0; n_ < N; n_++)                                                       \
        for (int c_ = 0; c_ < C; c_ += PIECE) {                                          \
            const int64_t i = (int64_t)n_ * C + c_, at = (int64_t)n_ * ld_ + c_;         \
            const int m = C - c_ < PIECE ? C - c_ : PIECE;                               \
            const int zeros = c_ + m < C ? 0 : ld_ - C;                                  \
            call;                                                                        \
        }                                                                                \
} while (0)

/* n elements of a gate. */
typedef void gate(real *y, const real *a, const real *b, int n);

static void gate_all(gate *f, real *y, const real *a, const real *b, int64_t n)
{
    FOR_BLOCKS(i, m, n, f(y + i, a + i, b + i, m));
}

static void gate_rows(gate *f, bf16 *y, const real *a, const real *b, int N, int C)
{
    FOR_PIECES(i, m, at, zeros, {
        real piece[PIECE];
        f(piece, a + i, b + i, m);
        bf16_put(y + at, piece, m, zeros);
    });
}

CLONES
static void swiglu(real *y, const real *a, const real *b, int n)
{
    #pragma omp simd
    for (int i = 0; i < n; i++) y[i] = a[i] * vsigmoid(a[i]) * b[i];
}

void swiglu_forward(real *y, const real *a, const real *b, int64_t n)
{
    gate_all(swiglu, y, a, b, n);
}

void swiglu_forward_rows(bf16 *y, const real *a, const real *b, int N, int C)
{
    gate_rows(swiglu, y, a, b, N, C);
}

/* silu'(a) = sigma(a) (1 + a (1 - sigma(a))). */
CLONES
static void swiglu_gradient(real *da, real *db, const real *dy, const real *a, const real *b,
                            int n)
{
    #pragma omp simd
    for (int i = 0; i < n; i++) {
        const real a_i = a[i], b_i = b[i], dy_i = dy[i], s = vsigmoid(a_i);
        da[i] = dy_i * b_i * s * vfma(a_i, 1 - s, 1);
        db[i] = dy_i * a_i * s;
    }
}

void swiglu_backward(real *da, real *db, const real *dy, const real *a, const real *b, int64_t n)
{
    FOR_BLOCKS(i, m, n, swiglu_gradient(da + i, db + i, dy + i, a + i, b + i, m));
}

void swiglu_backward_rows(bf16 *da, bf16 *db, const real *dy, const real *a, const real *b, int N,
                          int C)
{
    FOR_PIECES(i, m, at, zeros, {
        real pieces[2][PIECE];
        swiglu_gradient(pieces[0], pieces[1], dy + i, a + i, b + i, m);
        bf16_put(da + at, pieces[0], m, zeros);
        bf16_put(db + at, pieces[1], m, zeros);
    });
}

CLONES
static void silu(real *y, const real *a, int n)
{
    #pragma omp simd
    for (int i = 0; i < n; i++) y[i] = a[i] * vsigmoid(a[i]);
}

void silu_forward(real *y, const real *a, int64_t n)
{
    FOR_BLOCKS(i, m, n, silu(y + i, a + i, m));
}

CLONES
static void silu_gradient(real *da, const real *dy, const real *a, int n)
{
    #pragma omp simd
    for (int i = 0; i < n; i++) {
        const real a_i = a[i], s = vsigmoid(a_i);
        da[i] = dy[i] * s * vfma(a_i, 1 - s, 1);
    }
}

void silu_backward(real *da, const real *dy, const real *a, int64_t n)
{
    FOR_BLOCKS(i, m, n, silu_gradient(da + i, dy + i, a + i, m));
}

/* 2u = g (K1 + K3 g^2), the argument of sigma. */
#define K1 ((real)1.5957691216057308)               /* 2 sqrt(2/pi)          */
#define K3 ((real)(1.5957691216057308 * 0.044715))

CLONES
static void gelu_gate(real *y, const real *x, const real *g, int n)
{
    #pragma omp simd
    for (int i = 0; i < n; i++)
        y[i] = x[i] * (g[i] * vsigmoid(g[i] * vfma(K3, g[i] * g[i], K1)));
}

void gelu_gate_forward(real *y, const real *x, const real *g, int64_t n)
{
    gate_all(gelu_gate, y, x, g, n);
}

void gelu_gate_forward_rows(bf16 *y, const real *x, const real *g, int N, int C)
{
    gate_rows(gelu_gate, y, x, g, N, C);
}

/* gelu_tanh'(g) = s + g s (1 - s) d(2u)/dg,  s = sigma(2u),
 * d(2u)/dg = K1 + 3 K3 g^2. */
CLONES
static void gelu_gate_gradient(real *dx, real *dg, const real *dy, const real *x, const real *g,
                               int n)
{
    #pragma omp simd
    for (int i = 0; i < n; i++) {
        const real g_i = g[i], x_i = x[i], dy_i = dy[i], t = g_i * g_i;
        const real s = vsigmoid(g_i * vfma(K3, t, K1));
        dg[i] = dy_i * x_i * (s * vfma(g_i * (1 - s), vfma(3 * K3, t, K1), 1));
        dx[i] = dy_i * (g_i * s);
    }
}

void gelu_gate_backward(real *dx, real *dg, const real *dy, const real *x, const real *g,
                        int64_t n)
{
    FOR_BLOCKS(i, m, n, gelu_gate_gradient(dx + i, dg + i, dy + i, x + i, g + i, m));
}

void gelu_gate_backward_rows(real *dx, bf16 *dg, const real *dy, const real *x, const real *g,
                             int N, int C)
{
    FOR_PIECES(i, m, at, zeros, {
        real piece[PIECE];
        gelu_gate_gradient(dx + i, piece, dy + i, x + i, g + i, m);
        bf16_put(dg + at, piece, m, zeros);
    });
}

CLONES
static void add(real *y, const real *x, int n)
{
    #pragma omp simd
    for (int i = 0; i < n; i++) y[i] += x[i];
}

void vec_add(real *y, const real *x, int64_t n)
{
    FOR_BLOCKS(i, m, n, add(y + i, x + i, m));
}
