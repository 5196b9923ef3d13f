/* SPDX-License-Identifier: Apache-2.0 */
/* bench_inner.c -- the inner loop on one core, compared with large dense products of the same
 * precision and with the peak: the small products it is made of, and mini-batches of a head. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/bench/product.h"
#include "src/kernels/ttt_linear.h"
#include "src/kernels/ttt_mlp.h"

/* The paper's mini-batch and head; calls between two looks at the clock. */
enum { K = 16, F = 64, TIMES = 500 };

struct limits { struct bench_limits fp32, bf16; };

static void show(const struct bench_opts *o, const char *name, int in_bf16, double flops, double s,
                 const struct limits *l)
{
    const struct bench_limits *limit = in_bf16 ? &l->bf16 : &l->fp32;
    const double rate = 1e-9 * flops / s;
    printf(o->json ? "{\"bench\": \"kernels\", \"name\": \"%s\", \"precision\": \"%s\", "
                     "\"threads\": 1, \"seconds\": %.6g, \"gflops\": %.5g, "
                     "\"percent_of_gemm\": %.4g, \"percent_of_peak\": %.4g}\n"
                   : "%-24s %s   1 threads  %.3g s  %6.1f GFLOP/s  %4.0f %% of dense products  "
                     "%4.0f %% of the peak\n",
           name, in_bf16 ? "bf16" : "fp32", s, rate, 100 * rate / limit->gemm,
           100 * rate / limit->peak);
    fflush(stdout);
}

/* --- small products ------------------------------------------------------------- */

static void multiply(void *product) { product_run(product, OURS); }

static int products(const struct bench_opts *o, const struct limits *l)
{
    static const struct product_shape shapes[] = {
        { .N = K, .M = F, .K = F }, { .N = K, .M = 4 * F, .K = F }, { .N = K, .M = F, .K = 4 * F },
        { .N = F, .M = F, .K = K, .transpose_A = 1 },
    };
    real *A = bench_noise(4 * F * F, "A"), *B = bench_noise(4 * F * F, "B");
    real *C = bench_noise(4 * F * F, "C");
    int rc = OK;

    for (int i = 0; rc == OK && i < 8; i++) {
        struct product_shape s = shapes[i / 2];
        struct timed_product p;
        char name[32];
        s.small = 1;
        s.in_bf16 = i % 2;
        const double flops = 2.0 * s.N * s.M * s.K;
        product_init(&p, &s, C, A, B);
        rc = product_verify(&p, OURS);
        snprintf(name, sizeof name, "product %d x %d x %d", s.N, s.M, s.K);
        if (rc == OK)
            show(o, name, s.in_bf16, flops,
                 flops / product_flops(&p) * bench_time(multiply, &p, o->repeat), l);
        product_done(&p);
    }
    mem_free(A);
    mem_free(B);
    mem_free(C);
    return rc;
}

/* --- mini-batches ------------------------------------------------------------------ */

struct batch {
    const struct inner *f;
    struct inner_in     in;
    struct inner_grad   g;
    real *O, *state, *next, *igrad, *kept, *saved, *work, *dO, *dstate;
};

/* The arrays, one block. */
static real *batch_init(struct batch *b, const struct inner *f, int in_bf16)
{
    const struct inner_reals size = inner_reals(f, K, F);
    const int64_t S = align_reals(size.state), KF = align_reals(K * F);
    const struct { const real **to; int64_t n; } in[] = {
        { &b->in.Q, KF }, { &b->in.X, KF }, { &b->in.V, KF }, { &b->in.lr, K }, { &b->in.tok, K },
        { &b->in.gamma, F }, { &b->in.beta, F },
    };
    const struct { real **to; int64_t n; } own[] = {
        { &b->O, KF }, { &b->state, S }, { &b->next, S }, { &b->igrad, S },
        { &b->kept, size.kept }, { &b->saved, size.saved },
        { &b->work, size.work }, { &b->dO, KF }, { &b->dstate, S }, { &b->g.dQ, KF },
        { &b->g.dX, KF }, { &b->g.dV, KF }, { &b->g.dlr, K }, { &b->g.dtok, K },
        { &b->g.dgamma, F }, { &b->g.dbeta, F },
    };
    int64_t n = 0;
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) n += align_reals(in[i].n);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) n += align_reals(own[i].n);
    real *all = bench_noise(n, "mini-batch"), *p = all;
    for (size_t i = 0; i < sizeof in / sizeof *in; p += align_reals(in[i++].n)) *in[i].to = p;
    for (size_t i = 0; i < sizeof own / sizeof *own; p += align_reals(own[i++].n)) *own[i].to = p;
    for (int i = 0; i < K; i++) ((real *)(uintptr_t)b->in.lr)[i] = (real)0.001;
    for (int64_t i = 0; i < S; i++) b->state[i] *= (real)0.1;
    b->f = f;
    b->in.r = b->in.ld = K, b->in.F = F, b->in.bf16 = in_bf16, b->in.eps = (real)1e-6;
    b->in.complete = 1;
    return all;
}

static void forward(void *ctx)
{
    const struct batch *b = ctx;
    const struct inner_result to = { .O = b->O, .next = b->next, .kept = b->kept };
    for (int i = 0; i < TIMES; i++) inner_batch_forward(b->f, &to, b->state, &b->in, b->work);
}

/* As training has it: the mini-batch once more, then its gradient. */
static void backward(void *ctx)
{
    struct batch *b = ctx;
    const struct inner_tape tape = { b->state, b->kept, b->saved };
    for (int i = 0; i < TIMES; i++) {
        inner_batch_replay(b->f, &tape, b->next, &b->in, b->work);
        inner_batch_backward(b->f, &b->g, b->dstate, b->dO, &tape, &b->in, b->work);
    }
}

/* The dual form against the primal one, a token at a time in fp32. */
static int batch_verify(struct batch *b)
{
    const int64_t S = inner_reals(b->f, K, F).state;
    real *state = mem_new(2 * align_reals(S) + F, sizeof *state, "benchmark");
    real *igrad = state + align_reals(S), *O = igrad + align_reals(S);
    double off = 0, size = 0;

    forward(b);
    memcpy(state, b->state, (size_t)S * sizeof *state);
    memset(igrad, 0, (size_t)S * sizeof *igrad);
    for (int t = 0; t < K; t++) {
        struct inner_in in = b->in;
        in.Q += t * F, in.X += t * F, in.V += t * F, in.lr += t, in.tok += t;
        in.r = 1;
        in.complete = t + 1 == K;
        inner_token(b->f, O, state, igrad, &in, b->work);
        for (int f = 0; f < F; f++) {
            off += pow((double)(O[f] - b->O[t * F + f]), 2);
            size += pow((double)O[f], 2);
        }
    }
    mem_free(state);
    if (sqrt(off / size) < (b->in.bf16 ? 0x1p-6 : 1e-4)) return OK;
    return fail(ERR_DATA, "a mini-batch of %s differs from its tokens by %g", b->f->name,
                sqrt(off / size));
}

static int mini_batches(const struct bench_opts *o, const struct limits *l)
{
    static const struct inner *const models[] = { &ttt_linear, &ttt_mlp };
    int rc = OK;

    for (int i = 0; rc == OK && i < 4; i++) {
        const int in_bf16 = i % 2;
        const double flops = K * models[i / 2]->model->flops(K, F);
        struct batch b = { 0 };
        char name[32];
        real *all = batch_init(&b, models[i / 2], in_bf16);
        rc = batch_verify(&b);
        snprintf(name, sizeof name, "ttt_%s forward", b.f->name);
        if (rc == OK) show(o, name, in_bf16, flops, bench_time(forward, &b, o->repeat) / TIMES, l);
        snprintf(name, sizeof name, "ttt_%s backward", b.f->name);
        if (rc == OK)
            show(o, name, in_bf16, 2 * flops, bench_time(backward, &b, o->repeat) / TIMES, l);
        mem_free(all);
    }
    return rc;
}

int bench_inner(const struct bench_opts *o)
{
    const struct bench_opts alone = { .repeat = o->repeat, .threads = 1 };
    const int threads = omp_get_max_threads();
    struct limits l = { .fp32 = { 0 } };
    int rc;

    omp_set_num_threads(1);
    TRY(bench_limits(&alone, 0, &l.fp32));
    TRY(bench_limits(&alone, 1, &l.bf16));
    TRY(products(o, &l));
    TRY(mini_batches(o, &l));
out:
    omp_set_num_threads(threads);
    return rc;
}
