/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/kernels/lanes.h"

#define N ((int64_t)1 << 25)  /* elements of an array: beyond every cache */
#define BLOCK 16384

struct streams { real *a, *b, *c; double sum; };

CLONES
static void triad_block(real *restrict a, const real *b, const real *c)
{
    for (int i = 0; i < BLOCK; i++) a[i] = vfma(3, c[i], b[i]);
}

CLONES
static double read_block(const real *a)
{
    double sum;
    LANE_SUM(sum, i, BLOCK, (double)a[i]);
    return sum;
}

static void triad(void *ctx)
{
    struct streams *s = ctx;
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < N; i += BLOCK) triad_block(s->a + i, s->b + i, s->c + i);
}

static void read_all(void *ctx)
{
    struct streams *s = ctx;
    double sum = 0;
    #pragma omp parallel for schedule(static) reduction(+ : sum)
    for (int64_t i = 0; i < N; i += BLOCK) sum += read_block(s->a + i);
    s->sum = sum;
}

static void row(const struct bench_opts *o, const char *name, int reals, double seconds)
{
    printf(o->json ? "{\"bench\": \"stream\", \"name\": \"%s\", \"elements\": %lld, "
                     "\"threads\": %d, \"seconds\": %.6g, \"gbytes_per_s\": %.5g}\n"
                   : "%-20s %lld elements  %2d threads  %.4f s  %6.2f GB/s\n",
           name, (long long)N, o->threads, seconds,
           1e-9 * (double)N * reals * (double)sizeof(real) / seconds);
    fflush(stdout);
}

int bench_stream(const struct bench_opts *o, int rows, double *gbytes, double *read)
{
    struct streams s = { bench_noise(N, "a"), bench_noise(N, "b"), bench_noise(N, "c"), 0 };
    double plain = 0;
    int rc = OK;

    const double t = bench_time(triad, &s, o->repeat);
    for (int64_t i = 0; i < N; i += 999)
        if (!(fabs((double)s.a[i] - (double)s.b[i] - 3 * (double)s.c[i]) < 4 * REAL_EPS))
            TRY(fail(ERR_DATA, "triad is wrong at element %lld", (long long)i));
    const double r = bench_time(read_all, &s, o->repeat);
    for (int64_t i = 0; i < N; i++) plain += (double)s.a[i];
    if (!(fabs(s.sum - plain) < 1e-6)) TRY(fail(ERR_DATA, "sum of all is wrong: %g", s.sum));
    *gbytes = 1e-9 * 3 * (double)N * sizeof(real) / t;
    if (read) *read = 1e-9 * (double)N * sizeof(real) / r;
    if (rows) {
        row(o, "triad", 3, t);
        row(o, "read", 1, r);
    }
out:
    mem_free(s.a);
    mem_free(s.b);
    mem_free(s.c);
    return rc;
}
