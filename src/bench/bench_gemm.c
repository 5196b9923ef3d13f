/* SPDX-License-Identifier: Apache-2.0 */
/* `ttt bench gemm`: the products of a model, forward and backward, by our code and by every library
 * that can make them, compared with the arithmetic peak.
 *
 * Neighbours and clocks change from second to second, so all ways of making a product take turns,
 * and the peak is measured before and after each: a share is a median of ratios to their mean. */
#include <omp.h>
#include <stdio.h>
#include <time.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/bench/peak.h"
#include "src/bench/product.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"

/* Operands and results, long enough for every product. */
struct arrays { real *A, *B, *C; };

/* --- the peak ----------------------------------------------------------------------- */

static void show_peak(const struct bench_opts *o, int in_bf16)
{
    struct peak p;

    peak_measure(&p, in_bf16, 10);
    printf(o->json ? "{\"bench\": \"peak\", \"precision\": \"%s\", \"isa\": \"%s\", "
                     "\"threads\": %d, \"gflops\": %.5g, \"ghz\": %.4g, "
                     "\"flops_per_cycle\": %.4g}\n"
                   : "peak  %s  %s instructions: %d threads  %.1f GFLOP/s  %.2f GHz  %.1f FLOPs a "
                     "cycle and core\n",
           in_bf16 ? "bf16" : "fp32", isa_name(p.loop->isa), p.threads, p.gflops, p.ghz,
           peak_flops_per_cycle(&p));
    fflush(stdout);
}

/* --- a product ----------------------------------------------------------------------- */

/* Medians of one way. */
struct reached { int made; double seconds, gflops, share; };

/* OpenBLAS's own threads spin for a while after a product. */
static void let_threads_sleep(void) { nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL); }

static int reach(struct reached r[PRODUCT_WAYS], struct timed_product *p, int repeat)
{
    double *s = mem_new(2 * (int64_t)PRODUCT_WAYS * repeat, sizeof *s, "times");
    double *share = s + PRODUCT_WAYS * repeat;
    struct peak before, after;
    int rc = OK;

    for (int by = 0; by < PRODUCT_WAYS; by++) {
        r[by].made = product_can(p, (enum product_by)by);
        if (r[by].made) TRY(product_verify(p, (enum product_by)by));
    }
    for (int i = 0; i < repeat; i++) {
        if (r[OPENBLAS].made) let_threads_sleep();
        peak_measure(&before, p->s.in_bf16, 1);
        for (int by = 0; by < PRODUCT_WAYS; by++) {
            if (!r[by].made) continue;
            const double begin = clock_s();
            product_run(p, (enum product_by)by);
            s[by * repeat + i] = clock_s() - begin;
            peak_measure(&after, p->s.in_bf16, 1);
            share[by * repeat + i] = 2e-9 * product_flops(p) / s[by * repeat + i] /
                                     (before.gflops + after.gflops);
            before = after;
        }
    }
    for (int by = 0; by < PRODUCT_WAYS; by++) {
        if (!r[by].made) continue;
        const double median = bench_median(s + by * repeat, repeat);
        r[by].gflops = 1e-9 * product_flops(p) / median;
        r[by].seconds = 2e-9 * p->s.N * p->s.M * p->s.K / r[by].gflops;
        r[by].share = bench_median(share + by * repeat, repeat);
    }
out:
    mem_free(s);
    return rc;
}

static void show(const struct bench_opts *o, const char *name, const char *pass,
                 const struct timed_product *p, const struct reached r[PRODUCT_WAYS])
{
    const struct product_shape *s = &p->s;
    const char *precision = s->in_bf16 ? "bf16" : "fp32";

    if (!o->json)
        printf("gemm  %s  %-12s %-8s %5d x %5d x %5d", precision, name, pass, s->N, s->M, s->K);
    for (int by = 0; by < PRODUCT_WAYS; by++) {
        if (!r[by].made) continue;
        const char *library = product_by_name((enum product_by)by);
        if (o->json)
            printf("{\"bench\": \"gemm\", \"precision\": \"%s\", \"product\": \"%s\", "
                   "\"pass\": \"%s\", \"n\": %d, \"m\": %d, \"k\": %d, \"threads\": %d, "
                   "\"by\": \"%s\", \"used\": %s, \"seconds\": %.6g, \"gflops\": %.5g, "
                   "\"share_of_peak\": %.4g}\n", precision, name, pass, s->N, s->M, s->K,
                   omp_get_max_threads(), library, by == OURS ? "true" : "false", r[by].seconds,
                   r[by].gflops, r[by].share);
        else
            printf("  %s%s %6.1f %3.0f %%", library, by == OURS ? "*" : "", r[by].gflops,
                   100 * r[by].share);
    }
    if (!o->json) puts("");
    fflush(stdout);
}

static int one(const struct bench_opts *o, const char *name, const char *pass,
               const struct product_shape *s, const struct arrays *a)
{
    struct reached r[PRODUCT_WAYS];
    struct timed_product p;

    product_init(&p, s, a->C, a->A, a->B);
    const int rc = reach(r, &p, o->repeat);
    if (rc == OK) show(o, name, pass, &p, r);
    product_done(&p);
    return rc;
}

/* --- all of a model --------------------------------------------------------------------- */

/* Layers (out,in) that read T tokens at once, and the inner loop of a head. */
enum { MOST = 6, PASSES = 3 };
struct layers { int T, n, out[MOST], in[MOST], K, F; };

static void add(struct layers *l, int out, int in)
{
    for (int i = 0; i < l->n; i++)
        if (l->out[i] == out && l->in[i] == in) return;
    if (out == 0 || in == 0) return;
    l->out[l->n] = out;
    l->in[l->n++] = in;
}

/* both: next to the 125m model the two largest layers of the one with 1.3 billion parameters. */
static void layers_of(struct layers *l, const struct conf *c, int both)
{
    struct pass_opts o;
    struct dims d;

    conf_dims(c, &d);
    conf_pass(c, &o, -1);
    *l = (struct layers){ .T = o.slice_tokens < o.context ? o.slice_tokens : o.context, .K = d.K,
                          .F = head_width(&d) };
    add(l, d.C, d.C);
    add(l, d.E, d.C);
    add(l, d.C, d.E);
    add(l, d.V, d.C);
    if (!both) return;
    add(l, 2048, 2048);
    add(l, 5504, 2048);
}

static struct product_shape shape_of(const struct layers *l, int layer, int pass)
{
    const int T = l->T, out = l->out[layer], in = l->in[layer];
    const struct product_shape all[PASSES] = {
        { .N = T, .M = out, .K = in, .transpose_B = 1 },      /* y = x W'   */
        { .N = T, .M = in, .K = out },                        /* dx = dy W  */
        { .N = out, .M = in, .K = T, .transpose_A = 1 },      /* dW = dy' x */
    };
    return all[pass];
}

static int large(const struct bench_opts *o, const struct layers *l, int in_bf16,
                 const struct arrays *a)
{
    static const char *const passes[PASSES] = { "forward", "dX", "dW" };

    for (int i = 0; i < l->n; i++)
        for (int pass = 0; pass < PASSES; pass++) {
            struct product_shape s = shape_of(l, i, pass);
            char name[32];
            int rc;
            s.in_bf16 = in_bf16;
            snprintf(name, sizeof name, "%d x %d", l->out[i], l->in[i]);
            rc = one(o, name, passes[pass], &s, a);
            if (rc != OK) return rc;
        }
    return OK;
}

/* Of a mini-batch, with hidden layers four times as wide as a head (ttt_mlp), on one core. */
static int small(const struct bench_opts *o, const struct layers *l, int in_bf16,
                 const struct arrays *a)
{
    const int K = l->K, F = l->F, threads = omp_get_max_threads();
    const struct product_shape shapes[] = {
        { .N = K, .M = F, .K = F }, { .N = K, .M = 4 * F, .K = F }, { .N = K, .M = F, .K = 4 * F },
        { .N = F, .M = F, .K = K, .transpose_A = 1 },
    };
    int rc = OK;

    omp_set_num_threads(1);
    for (size_t i = 0; rc == OK && i < sizeof shapes / sizeof *shapes; i++) {
        struct product_shape s = shapes[i];
        s.in_bf16 = in_bf16;
        s.small = 1;
        rc = one(o, "inner loop", "one core", &s, a);
    }
    omp_set_num_threads(threads);
    return rc;
}

static struct arrays arrays_for(const struct layers *l)
{
    const int64_t F = 4 * (int64_t)l->F;
    int64_t A = l->K * F + F * F, B = A, C = A;

    for (int i = 0; i < l->n; i++)
        for (int pass = 0; pass < PASSES; pass++) {
            const struct product_shape s = shape_of(l, i, pass);
            const int64_t n[3] = { (int64_t)s.N * s.K, (int64_t)s.K * s.M, (int64_t)s.N * s.M };
            A = n[0] > A ? n[0] : A;
            B = n[1] > B ? n[1] : B;
            C = n[2] > C ? n[2] : C;
        }
    return (struct arrays){ bench_noise(A, "A"), bench_noise(B, "B"), bench_noise(C, "C") };
}

int bench_gemm(const struct bench_opts *o, const char *file, const struct arg_list *sets)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct arrays a = { 0 };
    struct layers l;
    int rc;

    TRY(bench_conf(c, file, sets, 0));
    layers_of(&l, c, !file && !sets->n);
    a = arrays_for(&l);
    for (int in_bf16 = 0; in_bf16 < 2; in_bf16++) show_peak(o, in_bf16);
    if (!o->json) puts("GFLOP/s and share of the peak at that moment; * is what the program calls");
    for (int in_bf16 = 0; in_bf16 < 2; in_bf16++) {
        TRY(large(o, &l, in_bf16, &a));
        TRY(small(o, &l, in_bf16, &a));
    }
out:
    mem_free(a.A);
    mem_free(a.B);
    mem_free(a.C);
    mem_free(c);
    return rc;
}
