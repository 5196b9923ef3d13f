/* bench_inner.c -- the inner loop on one core, compared with large dense products of the same
 * precision: the small products it is made of, and whole mini-batches of a head. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/kernels/gemm_bf16.h"
#include "src/kernels/smm.h"
#include "src/kernels/smm_bf16.h"
#include "src/kernels/ttt_linear.h"
#include "src/kernels/ttt_mlp.h"

/* The paper's mini-batch and head; calls between two looks at the clock. */
enum { K = 16, F = 64, TIMES = 500 };

struct limits { double fp32, bf16; };

static void show(const struct bench_opts *o, const char *name, int in_bf16, double flops, double s,
                 const struct limits *l)
{
    const double rate = 1e-9 * flops / s, limit = in_bf16 ? l->bf16 : l->fp32;
    printf(o->json ? "{\"bench\": \"kernels\", \"name\": \"%s\", \"precision\": \"%s\", "
                     "\"threads\": 1, \"seconds\": %.6g, \"gflops\": %.5g, "
                     "\"percent_of_gemm\": %.4g}\n"
                   : "%-24s %s   1 threads  %.3g s  %6.1f GFLOP/s  %4.0f %% of dense products\n",
           name, in_bf16 ? "bf16" : "fp32", s, rate, 100 * rate / limit);
    fflush(stdout);
}

/* --- small products ------------------------------------------------------------- */

struct product { real *C, *A, *B; bf16_word *a, *b; int M, N, K; };

static void multiply(void *ctx)
{
    const struct product *p = ctx;
    const struct bf16_left a = bf16_left_rows(p->a, bf16_words(p->K));
    for (int i = 0; i < TIMES; i++)
        if (p->a) smm_bf16(p->C, NULL, a, p->b, p->M, p->N, p->K);
        else smm(p->C, p->A, p->B, p->M, p->N, p->K, 0);
}

/* Against plain C of the same operands. */
static int product_verify(struct product *p)
{
    real *want = mem_new((int64_t)p->M * p->N, sizeof *want, "benchmark");
    int rc = OK;

    multiply(p);
    if (p->a)
        smm_bf16_ref(want, NULL, bf16_left_rows(p->a, bf16_words(p->K)), p->b, p->M, p->N, p->K);
    else
        smm_ref(want, p->A, p->B, p->M, p->N, p->K, 0);
    for (int i = 0; rc == OK && i < p->M * p->N; i++)
        if (!(fabs((double)(p->C[i] - want[i])) < 4 * REAL_EPS * p->K))
            rc = fail(ERR_DATA, "a product of %d x %d x %d is wrong", p->M, p->N, p->K);
    mem_free(want);
    return rc;
}

static int products(const struct bench_opts *o, const struct limits *l)
{
    static const int shapes[][3] = { { K, F, F }, { K, 4 * F, F }, { K, F, 4 * F }, { F, F, K } };
    int rc = OK;

    for (int i = 0; rc == OK && i < 8; i++) {
        const int in_bf16 = i % 2, *s = shapes[i / 2];
        struct product p = { .M = s[0], .N = s[1], .K = s[2] };
        const int64_t nA = (int64_t)p.M * p.K, nB = (int64_t)p.K * p.N;
        char name[32];
        p.A = bench_noise(nA, "A");
        p.B = bench_noise(nB, "B");
        p.C = bench_noise((int64_t)p.M * p.N, "C");
        if (in_bf16) {
            p.a = mem_new(nA, sizeof *p.a, "benchmark");
            p.b = mem_new(nB, sizeof *p.b, "benchmark");
            smm_bf16_rows(p.a, p.A, p.M, p.K);
            smm_bf16_columns(p.b, p.B, p.K, p.N);
        }
        rc = product_verify(&p);
        snprintf(name, sizeof name, "product %d x %d x %d", p.M, p.N, p.K);
        if (rc == OK)
            show(o, name, in_bf16, 2.0 * p.M * p.N * p.K,
                 bench_time(multiply, &p, o->repeat) / TIMES, l);
        void *all[] = { p.A, p.B, p.C, p.a, p.b };
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) mem_free(all[k]);
    }
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
    struct limits l;
    int rc;

    omp_set_num_threads(1);
    TRY(bench_gemm(&alone, 0, 0, &l.fp32));
    TRY(bench_gemm(&alone, 0, 1, &l.bf16));
    TRY(products(o, &l));
    TRY(mini_batches(o, &l));
out:
    omp_set_num_threads(threads);
    return rc;
}
