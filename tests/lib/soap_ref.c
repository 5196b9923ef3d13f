/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/soap_ref.h"

#include <math.h>
#include <string.h>

#include "src/base/mem.h"

static double *square(int n) { return mem_new((int64_t)n * n, sizeof(double), "reference"); }

static void identity(double *Q, int n)
{
    memset(Q, 0, (size_t)n * (size_t)n * sizeof *Q);
    for (int i = 0; i < n; i++) Q[i * n + i] = 1;
}

/* Columns i and j of Q (n,n). */
static void swap_columns(double *Q, int n, int i, int j)
{
    for (int k = 0; k < n; k++) {
        const double x = Q[k * n + i];
        Q[k * n + i] = Q[k * n + j];
        Q[k * n + j] = x;
    }
}

void jacobi(double *A, double *Q, double *w, int n)
{
    identity(Q, n);
    for (int sweep = 0; sweep < 60; sweep++)
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                if (A[p * n + q] == 0) continue;
                const double h = (A[q * n + q] - A[p * n + p]) / (2 * A[p * n + q]);
                const double t = (h < 0 ? -1 : 1) / (fabs(h) + sqrt(h * h + 1));
                const double c = 1 / sqrt(t * t + 1), s = c * t;
                for (int k = 0; k < n; k++) {
                    const double x = A[k * n + p], y = A[k * n + q];
                    A[k * n + p] = c * x - s * y;
                    A[k * n + q] = s * x + c * y;
                }
                for (int k = 0; k < n; k++) {
                    const double x = A[p * n + k], y = A[q * n + k];
                    A[p * n + k] = c * x - s * y;
                    A[q * n + k] = s * x + c * y;
                    const double a = Q[k * n + p], b = Q[k * n + q];
                    Q[k * n + p] = c * a - s * b;
                    Q[k * n + q] = s * a + c * b;
                }
            }
    for (int i = 0; i < n; i++) w[i] = A[i * n + i];
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++)
            if (w[j] > w[i]) {
                const double x = w[i];
                w[i] = w[j];
                w[j] = x;
                swap_columns(Q, n, i, j);
            }
}

/* C (M,N) = A B, or with A, B transposed as stored; inner length K. */
static void times(double *C, const double *A, int ta, const double *B, int tb, int M, int N, int K)
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < K; k++)
                sum += (ta ? A[k * M + i] : A[i * K + k]) * (tb ? B[j * K + k] : B[k * N + j]);
            C[i * N + j] = sum;
        }
}

/* x <- QL' x QR, or back. */
static void rotate(const struct soap_ref *s, double *x, int back)
{
    const int r = s->dim[0], c = s->dim[1];
    double *y = mem_new((int64_t)r * c, sizeof *y, "reference");
    if (s->has[0]) {
        times(y, s->basis[0], !back, x, 0, r, c, r);
        memcpy(x, y, (size_t)r * (size_t)c * sizeof *x);
    }
    if (s->has[1]) {
        times(y, x, 0, s->basis[1], back, r, c, c);
        memcpy(x, y, (size_t)r * (size_t)c * sizeof *x);
    }
    mem_free(y);
}

/* One power step of a basis; v follows its new order. */
static void power_step(struct soap_ref *s, int side)
{
    const int n = s->dim[side], r = s->dim[0], c = s->dim[1];
    double *T = square(n), *e = mem_new(n, sizeof *e, "reference"), *Q = s->basis[side];

    times(T, s->factor[side], 0, Q, 0, n, n, n);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++) e[j] += Q[i * n + j] * T[i * n + j];
    for (int i = 0; i < n; i++)
        for (int j = n - 1; j > i; j--)
            if (e[j] > e[j - 1]) {
                const double x = e[j];
                e[j] = e[j - 1];
                e[j - 1] = x;
                swap_columns(T, n, j, j - 1);
                for (int k = 0; k < (side ? r : c); k++) {
                    double *a = side ? &s->v[k * c + j] : &s->v[j * c + k];
                    double *b = side ? a - 1 : a - c, y = *a;
                    *a = *b;
                    *b = y;
                }
            }
    for (int j = 0; j < n; j++)
        for (int again = 0; again < 2; again++) {
            double norm = 0;
            for (int k = 0; k < j; k++) {
                double dot = 0;
                for (int i = 0; i < n; i++) dot += T[i * n + k] * T[i * n + j];
                for (int i = 0; i < n; i++) T[i * n + j] -= dot * T[i * n + k];
            }
            for (int i = 0; i < n; i++) norm += T[i * n + j] * T[i * n + j];
            for (int i = 0; i < n; i++) T[i * n + j] /= sqrt(norm);
        }
    memcpy(Q, T, (size_t)n * (size_t)n * sizeof *Q);
    mem_free(T);
    mem_free(e);
}

void soap_ref_init(struct soap_ref *s, int rows, int cols, int max_dim, int every, double b1,
                   double b2, double beta, double eps)
{
    *s = (struct soap_ref){ .dim = { rows, cols }, .has = { rows <= max_dim, cols <= max_dim },
                            .every = every, .b1 = b1, .b2 = b2, .beta = beta, .eps = eps };
    s->m = mem_new((int64_t)rows * cols, sizeof(double), "reference");
    s->v = mem_new((int64_t)rows * cols, sizeof(double), "reference");
    for (int side = 0; side < 2; side++) {
        if (!s->has[side]) continue;
        s->factor[side] = square(s->dim[side]);
        s->basis[side] = square(s->dim[side]);
        identity(s->basis[side], s->dim[side]);
    }
}

void soap_ref_done(struct soap_ref *s)
{
    mem_free(s->m);
    mem_free(s->v);
    for (int side = 0; side < 2; side++) {
        mem_free(s->factor[side]);
        mem_free(s->basis[side]);
    }
}

/* The average of a factor, and its basis when it is due. */
static void precondition(struct soap_ref *s, const double *g, int side)
{
    const int n = s->dim[side], other = s->dim[!side];
    double *G = square(n), *w = mem_new(n, sizeof *w, "reference");

    times(G, g, side, g, !side, n, n, other);
    for (int i = 0; i < n * n; i++)
        s->factor[side][i] = s->beta * s->factor[side][i] + (1 - s->beta) * G[i];
    memcpy(G, s->factor[side], (size_t)n * (size_t)n * sizeof *G);
    if (s->updates == 0) jacobi(G, s->basis[side], w, n);
    else if (s->updates % s->every == 0) power_step(s, side);
    mem_free(G);
    mem_free(w);
}

int soap_ref_update(struct soap_ref *s, double *g)
{
    const int N = s->dim[0] * s->dim[1], n = s->updates;
    double *x = mem_new(N, sizeof *x, "reference"), *y = mem_new(N, sizeof *y, "reference");

    memcpy(x, g, (size_t)N * sizeof *x);
    if (n > 0) rotate(s, x, 0);
    for (int i = 0; n > 0 && i < N; i++) {
        s->m[i] = s->b1 * s->m[i] + (1 - s->b1) * g[i];
        s->v[i] = s->b2 * s->v[i] + (1 - s->b2) * x[i] * x[i];
    }
    memcpy(y, s->m, (size_t)N * sizeof *y);
    rotate(s, y, 0);
    for (int i = 0; n > 0 && i < N; i++)
        y[i] = y[i] / (1 - pow(s->b1, n)) / (sqrt(s->v[i] / (1 - pow(s->b2, n))) + s->eps);
    rotate(s, y, 1);
    for (int side = 0; side < 2; side++)
        if (s->has[side]) precondition(s, g, side);
    memcpy(g, y, (size_t)N * sizeof *g);
    mem_free(x);
    mem_free(y);
    return s->updates++ > 0;
}
