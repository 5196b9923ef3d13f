/* SPDX-License-Identifier: Apache-2.0 */
/* `ttt bench layer`: where the time of a layer goes, forward and backward, and what each part
 * reaches of the rate of dense products and of the peak.
 *
 *     front         norms, convolution in front, and their backward
 *     projections   to inner, and from it with norm and gate      project, mix and finish
 *     inner         inner loop, attention or scan                 inner
 *     feed-forward  with its norm
 *
 * The clock is read in the hooks between the parts of a block (block.h). */
#include <stdio.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/conf/conf.h"
#include "src/layers/linear.h"
#include "src/model/flops.h"

enum { LAYERS = 4 };  /* in turn, so that weights are not in a cache */
enum part { FRONT, PROJECTIONS, INNER, FFN, PARTS };

/* One block's unit of one sequence. */
struct layer_unit {
    struct model            *m;
    const struct block      *b;      /* the one at work            */
    struct grad              grad;
    struct arena             arena;
    struct block_arrays      v;
    struct slice             slice;
    struct bf16_work         bf16;
    real  *x, *h, *y, *dx, *dh, *carry, *dcarry;
    int64_t                  NC, carry_reals, past_reals;
    int                      T, group;
    double                   clock, *s;   /* of a timed pass */
};

/* --- setting up ---------------------------------------------------------------------- */

static void lay_out(struct layer_unit *u)
{
    const struct dims *d = &u->m->dims;
    struct arena *a = &u->arena;
    const struct layer_call c = { .d = d, .bf16 = u->m->bf16, .B = 1, .T = u->T,
                                  .group = u->group };
    real **const rows[] = { &u->x, &u->h, &u->y, &u->dx, &u->dh };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) *rows[i] = arena_reals(a, u->NC);
    u->carry = arena_reals(a, u->carry_reals + u->past_reals);
    u->dcarry = arena_reals(a, u->carry_reals + u->past_reals);
    block_lay_out(u->b, &u->v, a, &c, block_lives_slice(1) | block_lives_shared(1));
    if (u->m->bf16) bf16_work_lay_out(&u->bf16, a, u->T, u->T, bf16_widest(&u->m->params), 1);
}

static int unit_init(struct layer_unit *u, const struct conf *c)
{
    struct pass_opts o;
    struct dims d;
    int rc;

    conf_dims(c, &d);
    conf_pass(c, &o, -1);
    if (d.L > LAYERS) d.L = LAYERS;
    TRY(model_new(&u->m, &d));
    model_init(u->m, (uint64_t)c->run.seed);
    if (o.bf16) model_use_bf16(u->m, 1);
    model_all_weights_changed(u->m);
    grad_init(&u->grad, &u->m->params, (enum reduction)c->train.reduction);
    u->b = &u->m->blocks[0];
    u->T = o.slice_tokens < o.context ? o.slice_tokens : o.context;
    u->group = o.inner_group;
    u->NC = (int64_t)u->T * d.C;
    u->carry_reals = align_reals(block_carry_reals(u->b));
    u->past_reals = block_past_reals(u->b) * u->T;

    arena_plan(&u->arena);
    lay_out(u);
    const int64_t need = u->arena.peak;
    arena_init(&u->arena, need, "activations of a unit");
    lay_out(u);
    const uint64_t key = rng_key(0, "activations");
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < u->NC; i++) {
        u->x[i] = (real)rng_normal(key, (uint64_t)i);
        u->h[i] = (real)rng_normal(key + 1, (uint64_t)i);
    }
out:
    return rc;
}

static void unit_done(struct layer_unit *u)
{
    if (u->m) grad_done(&u->grad);
    arena_done(&u->arena);
    model_free(u->m);
}

/* Before a pass: gradients that are zero, the carry before the first token, and dx. */
static void begin(struct layer_unit *u)
{
    const struct dims *d = &u->m->dims;
    struct layer_call c = {
        .d = d, .t = &u->m->params, .w = u->m->w, .bf16 = u->m->bf16, .bf16_work = &u->bf16,
        .grad = &u->grad, .B = 1, .T = u->T, .inner_lr = d->inner_lr, .group = u->group,
        .room = u->T, .past = u->past_reals ? u->carry + u->carry_reals : NULL,
        .dpast = u->past_reals ? u->dcarry + u->carry_reals : NULL,
    };
    grad_begin(&u->grad, 1);
    grad_end(&u->grad, 0, u->m->params.total);  /* most contributions of a step are added */
    memset(u->y, 0, (size_t)u->NC * sizeof *u->y);
    memset(u->dcarry, 0, (size_t)(u->carry_reals + u->past_reals) * sizeof *u->dcarry);
    block_carry_start(u->b, &c, u->carry);
    for (int64_t i = 0; i < u->NC; i++) u->dx[i] = (real)1e-3 * u->h[i];
    u->slice = (struct slice){ .c = c, .v = &u->v, .x = u->x, .y = u->y, .dx = u->dx };
}

/* --- the parts ------------------------------------------------------------------------ */

/* Seconds since *clock, which becomes now. */
static double lap(double *clock)
{
    const double now = clock_s(), s = now - *clock;
    *clock = now;
    return s;
}

static void in_halo(void *ctx, int which, int back)
{
    struct layer_unit *u = ctx;
    if (back) block_halo_backward(u->b, &u->slice, 1, which, u->dcarry);
    if (which == HALO_LAYER) u->s[back ? PROJECTIONS : FRONT] = lap(&u->clock);
}

/* inner, with nobody to exchange with. */
static void in_middle(void *ctx, int back)
{
    struct layer_unit *u = ctx;
    const struct head_share all = layer_all_heads(u->b->layer, &u->slice.c);

    u->s[back ? FFN : PROJECTIONS] = lap(&u->clock);
    if (back) block_inner_backward(u->b, &u->slice.c, &u->v, &all, u->dcarry);
    else block_inner(u->b, &u->slice.c, &u->v, &all, u->carry);
    u->s[INNER] = lap(&u->clock);
}

static void in_take(void *ctx, int j, int back) { (void)ctx, (void)j, (void)back; }

static void in_end(void *ctx, int back)
{
    struct layer_unit *u = ctx;
    u->s[back ? FRONT : FFN] = lap(&u->clock);
}

/* Forward or backward with a clock, whose seconds become s. */
static void timed(struct layer_unit *u, int back, double s[PARTS])
{
    const struct block_hooks hooks = { .ctx = u, .halo = in_halo, .middle = in_middle,
                                       .take = in_take, .end = in_end };
    u->clock = clock_s();
    u->s = s;
    if (back) block_backward(u->b, &u->slice, 1, u->dcarry, &hooks);
    else block_forward(u->b, &u->slice, 1, u->carry, &hooks);
}

/* The layer's share of what was counted as front and feed-forward goes where it belongs: it is
 * done once more, alone.  back: likewise of the backward pass. */
static void sort_out(struct layer_unit *u, double s[PARTS], int back)
{
    const struct layer *layer = u->b->layer;
    const struct layer_call *c = &u->slice.c;
    void (*const project)(const struct layer_call *) = back ? layer->project_backward
                                                            : layer->project;
    void (*const finish)(const struct layer_call *) = back ? layer->finish_backward
                                                           : layer->finish;
    double clock;

    c->v[A_H] = u->h;
    c->v[A_DY] = u->y;
    c->v[A_Y] = c->v[A_DH] = u->dh;
    if (!back) linear_share(c, reals(u->h));
    clock = clock_s();
    if (project) project(c);
    const double projecting = lap(&clock);
    if (finish) finish(c);
    const double finishing = lap(&clock);
    s[FRONT] -= projecting;
    s[FFN] -= finishing;
    s[PROJECTIONS] += projecting + finishing;
}

/* The block alone, then with hooks: the same output, gradient, and gradient sums. */
static int verify(struct layer_unit *u)
{
    const size_t bytes = (size_t)u->NC * sizeof(real);
    const int exact = u->grad.mode == REDUCE_EXACT;
    const void *sums = exact ? (void *)u->grad.fixed : (void *)u->grad.floats;
    const size_t sums_n = (size_t)u->m->params.total * (exact ? sizeof(int64_t) : sizeof(real));
    real *y = mem_new(2 * u->NC, sizeof *y, "results"), *dx = y + u->NC;
    double s[PARTS];

    begin(u);
    block_forward(u->b, &u->slice, 1, u->carry, NULL);
    block_backward(u->b, &u->slice, 1, u->dcarry, NULL);
    memcpy(y, u->y, bytes);
    memcpy(dx, u->dx, bytes);
    const struct hash want = hash_bytes(sums, sums_n);
    begin(u);
    timed(u, 0, s);
    timed(u, 1, s);
    const int rc = memcmp(y, u->y, bytes) == 0 && memcmp(dx, u->dx, bytes) == 0 &&
                   hash_equal(want, hash_bytes(sums, sums_n))
                       ? OK : fail(ERR_DATA, "a block between hooks gives other results than alone");
    mem_free(y);
    return rc;
}

/* --- measuring -------------------------------------------------------------------------- */

/* Medians, forward and backward. */
static void measure(struct layer_unit *u, int repeat, double f[PARTS], double b[PARTS])
{
    double *s = mem_new(2 * (int64_t)PARTS * repeat, sizeof *s, "times"), now[2][PARTS];

    for (int i = 0; i < repeat; i++) {
        u->b = &u->m->blocks[i % u->m->dims.L];
        begin(u);
        timed(u, 0, now[0]);
        sort_out(u, now[0], 0);
        timed(u, 1, now[1]);
        sort_out(u, now[1], 1);
        for (int k = 0; k < 2 * PARTS; k++) s[k * repeat + i] = now[k / PARTS][k % PARTS];
    }
    for (int k = 0; k < PARTS; k++) {
        f[k] = bench_median(s + k * repeat, repeat);
        b[k] = bench_median(s + (PARTS + k) * repeat, repeat);
    }
    mem_free(s);
}

/* Of T tokens; flops: forward, a token; f 0: both are in b. */
static void row(const struct layer_unit *u, const struct bench_opts *o, const char *name,
                double flops, double f, double b, const struct bench_limits *l)
{
    const double work = 1e-9 * flops * u->T, ways = 3, rate = ways * work / (f + b);
    const struct dims *d = &u->m->dims;
    char shares[64] = "";

    if (o->json) {
        printf("{\"bench\": \"layer\", \"part\": \"%s\", \"layer\": \"%s\", \"precision\": \"%s\", "
               "\"width\": %d, \"mini_batch\": %d, \"tokens\": %d, \"threads\": %d, "
               "\"forward_s\": %.6g, \"backward_s\": %.6g, \"gflops\": %.5g, \"gemm_gflops\": "
               "%.5g, \"share_of_gemm\": %.5g, \"peak_gflops\": %.5g, \"share_of_peak\": %.5g}\n",
               name, d->layer, u->m->bf16 ? "bf16" : "fp32", d->C, d->K, u->T, o->threads, f, b,
               rate, l->gemm, rate / l->gemm, l->peak, rate / l->peak);
        return;
    }
    if (f > 0 && flops > 0)
        snprintf(shares, sizeof shares, " (%.1f %%, %.1f %%)", 100 * work / f / l->gemm,
                 200 * work / b / l->gemm);
    printf("  %-13s %9.3f %9.3f", name, 1e3 * f, 1e3 * b);
    if (flops > 0)
        printf("  %8.1f GFLOP/s %5.1f %% %5.1f %%%s", rate, 100 * rate / l->peak,
               100 * rate / l->gemm, shares);
    puts("");
}

static void print(const struct layer_unit *u, const struct bench_opts *o, const double f[PARTS],
                  const double b[PARTS], const struct bench_operations *ops,
                  const struct bench_limits *l)
{
    static const char *const names[] = { "front", "projections", "inner", "feed-forward" };
    const struct dims *d = &u->m->dims;
    const double T = u->T, inner = u->b->layer->flops(d, (u->T + 1) / 2.0), ffn = 6.0 * d->C * d->E;
    const double flops[PARTS] = {
        [PROJECTIONS] = flops_block(u->m, 0, u->T) - inner - ffn, [INNER] = inner, [FFN] = ffn,
    };

    if (!o->json)
        printf("%s, width %d, mini-batch %d, a unit of %d tokens, %s, %d threads; the peak is %.1f,"
               " dense products reach %.1f GFLOP/s\n  %-13s %9s %9s  %s\n", d->layer, d->C, d->K,
               u->T, u->m->bf16 ? "bf16" : "fp32", o->threads, l->peak, l->gemm, "ms", "forward",
               "backward", "both: rate, share of the peak, of dense products (forward, backward)");
    for (int k = 0; k < PARTS; k++)
        if (k != FFN || d->E) row(u, o, names[k], flops[k], f[k], b[k], l);
    row(u, o, "layer", ops->layer_flops, T * ops->layer[0], T * ops->layer[1], l);
    row(u, o, "embedding", 0, T * ops->embed[0], T * ops->embed[1], l);
    row(u, o, "head", ops->head_flops, 0, T * ops->head, l);
}

int bench_layer(const struct bench_opts *o, const char *file, const struct arg_list *sets)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct layer_unit u = { .m = NULL };
    struct bench_operations ops;
    struct bench_limits l = { 0 };
    double f[PARTS], b[PARTS];
    int rc;

    TRY(bench_conf(c, file, sets, 0));
    TRY(unit_init(&u, c));
    TRY(verify(&u));
    TRY(bench_limits(o, u.m->bf16 != NULL, &l));
    measure(&u, o->repeat * u.m->dims.L, f, b);
    TRY(bench_operations(o, c, &ops));
    TRY(bench_limits(o, u.m->bf16 != NULL, &l));
    print(&u, o, f, b, &ops, &l);
out:
    unit_done(&u);
    mem_free(c);
    return rc;
}
