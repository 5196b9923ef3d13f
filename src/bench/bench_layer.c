/* `ttt bench layer`: where the time of a layer goes, forward and backward, and what each part
 * reaches of the rate of dense products.
 *
 *     front         norms, convolution in front                     block_normalise, _project
 *     projections   to the middle, and from it with norm and gate   layer_split
 *     inner         inner loop, attention or scan                   layer_split.inner
 *     feed-forward  with its norm                                   block_finish
 *
 * They are the parts that ranks along a sequence do one by one (block.h), here in one process, so
 * their results are those of the whole block, to the bit. */
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
    const struct layer_split *split;
    struct grad              grad;
    struct arena             arena;
    struct block_tape        tape, work, whole;   /* whole: as block_forward() has it */
    struct bf16_work         bf16;
    real  *x, *h, *y, *dx, *dh, *carry, *dcarry, *kept;
    int64_t                  NC, carry_reals, past_reals;
    int                      T, group;
};

/* --- setting up ---------------------------------------------------------------------- */

static void lay_out(struct layer_unit *u)
{
    const struct dims *d = &u->m->dims;
    struct arena *a = &u->arena;
    const int64_t kept = u->split->kept_reals(d, 1, u->T, head_groups(d), u->group);
    const struct layer_call c = { .d = d, .bf16 = u->m->bf16, .B = 1, .T = u->T,
                                  .group = u->group };
    real **const rows[] = { &u->x, &u->h, &u->y, &u->dx, &u->dh };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) *rows[i] = arena_reals(a, u->NC);
    u->carry = arena_reals(a, u->carry_reals + u->past_reals);
    u->dcarry = arena_reals(a, u->carry_reals + u->past_reals);
    u->kept = kept ? arena_reals(a, kept) : NULL;
    u->split->passing(&u->tape.layer, a, &c);
    block_split_tape(u->b, &u->tape, a, &c);
    block_tape(u->b, &u->whole, a, &c);
    block_work(u->b, &u->work, a, &c, 1);
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
    u->split = u->b->layer->split;
    u->T = o.slice_tokens < o.context ? o.slice_tokens : o.context;
    u->group = o.inner_group;
    u->NC = (int64_t)u->T * d.C;
    u->carry_reals = align_reals(block_carry_reals(u->b));
    u->past_reals = block_past_reals(u->b) * u->T;
    check(u->split);

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
static struct layer_call begin(struct layer_unit *u)
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
    return c;
}

static struct head_share middle(const struct layer_unit *u)
{
    struct head_share s = block_all(u->b, &u->tape, &u->work);
    if (!u->kept) return s;
    s.H = head_groups(&u->m->dims);
    s.kept = u->kept;
    return s;
}

/* --- the parts ------------------------------------------------------------------------ */

/* Seconds since *clock, which goes on. */
static double lap(double *clock)
{
    const double now = clock_s(), s = now - *clock;
    *clock = now;
    return s;
}

static void forward(struct layer_unit *u, struct layer_call *c, double s[PARTS])
{
    const struct head_share all = middle(u);
    double t = clock_s();

    block_normalise(u->b, c, u->x, &u->tape);
    block_project(u->b, c, u->x, u->carry, &u->tape);
    s[FRONT] = lap(&t);
    block_mix(u->b, c, u->carry, &u->tape);
    s[PROJECTIONS] = lap(&t);
    block_inner(u->b, c, &all, u->carry, &u->work);
    s[INNER] = lap(&t);
    block_finish(u->b, c, u->y, u->x, &u->tape);
    s[FFN] = lap(&t);
}

static void backward(struct layer_unit *u, struct layer_call *c, double s[PARTS])
{
    const struct head_share all = middle(u);
    double t = clock_s();

    block_finish_backward(u->b, c, u->dx, &u->tape, &u->work);
    s[FFN] = lap(&t);
    block_inner_backward(u->b, c, &all, u->dcarry, &u->work);
    s[INNER] = lap(&t);
    if (u->split->mix_backward) block_mix_backward(u->b, c, &u->tape, &u->work);
    if (u->split->halo_backward) block_halo_backward(u->b, c, HALO_LAYER, u->dcarry, &u->work);
    s[PROJECTIONS] = lap(&t);
    block_project_backward(u->b, c, u->dx, u->x, &u->tape, &u->work);
    block_halo_backward(u->b, c, HALO_CONV, u->dcarry, &u->work);
    block_normalise_backward(u->b, c, u->dx, u->x, &u->tape, &u->work);
    s[FRONT] = lap(&t);
}

/* The layer's share of what block_project() and block_finish() do goes where it belongs: it is
 * done once more, alone.  With dx: likewise of the backward pass. */
static void sort_out(struct layer_unit *u, struct layer_call *c, double s[PARTS], int back)
{
    struct tape *t = &u->tape.layer, *w = &u->work.layer;
    double clock, project, finish;

    c->first = u->b->i_layer;
    if (!back) linear_share(c, reals(u->h));
    clock = clock_s();
    if (back) u->split->project_backward(c, u->dh, u->h, t, w);
    else if (u->split->project) u->split->project(c, u->h, t);
    project = lap(&clock);
    if (back) u->split->finish_backward(c, u->dh, u->y, u->h, t, w);
    else u->split->finish(c, u->dh, t);
    finish = lap(&clock);
    s[FRONT] -= project;
    s[FFN] -= finish;
    s[PROJECTIONS] += project + finish;
}

/* The whole block, then its parts: the same output, gradient, and gradient sums. */
static int verify(struct layer_unit *u)
{
    const size_t bytes = (size_t)u->NC * sizeof(real);
    const int exact = u->grad.mode == REDUCE_EXACT;
    const void *sums = exact ? (void *)u->grad.fixed : (void *)u->grad.floats;
    const size_t sums_n = (size_t)u->m->params.total * (exact ? sizeof(int64_t) : sizeof(real));
    real *y = mem_new(2 * u->NC, sizeof *y, "results"), *dx = y + u->NC;
    double s[PARTS];

    struct layer_call c = begin(u);
    block_forward(u->b, &c, u->y, u->x, u->carry, &u->whole, &u->work);
    block_backward(u->b, &c, u->dx, u->x, u->dcarry, &u->whole, &u->work);
    memcpy(y, u->y, bytes);
    memcpy(dx, u->dx, bytes);
    const struct hash want = hash_bytes(sums, sums_n);
    c = begin(u);
    forward(u, &c, s);
    backward(u, &c, s);
    const int rc = memcmp(y, u->y, bytes) == 0 && memcmp(dx, u->dx, bytes) == 0 &&
                   hash_equal(want, hash_bytes(sums, sums_n))
                       ? OK : fail(ERR_DATA, "a block in parts gives other results than whole");
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
        struct layer_call c = begin(u);
        forward(u, &c, now[0]);
        sort_out(u, &c, now[0], 0);
        backward(u, &c, now[1]);
        sort_out(u, &c, now[1], 1);
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
                double flops, double f, double b, double limit)
{
    const double work = 1e-9 * flops * u->T, ways = 3, rate = ways * work / (f + b);
    const struct dims *d = &u->m->dims;
    char shares[64] = "";

    if (o->json) {
        printf("{\"bench\": \"layer\", \"part\": \"%s\", \"layer\": \"%s\", \"precision\": \"%s\", "
               "\"width\": %d, \"mini_batch\": %d, \"tokens\": %d, \"threads\": %d, "
               "\"forward_s\": %.6g, \"backward_s\": %.6g, \"gflops\": %.5g, \"gemm_gflops\": "
               "%.5g, \"share_of_gemm\": %.5g}\n", name, d->layer, u->m->bf16 ? "bf16" : "fp32",
               d->C, d->K, u->T, o->threads, f, b, rate, limit, rate / limit);
        return;
    }
    if (f > 0 && flops > 0)
        snprintf(shares, sizeof shares, " (%.1f %%, %.1f %%)", 100 * work / f / limit,
                 200 * work / b / limit);
    printf("  %-13s %9.3f %9.3f", name, 1e3 * f, 1e3 * b);
    if (flops > 0) printf("  %8.1f GFLOP/s %5.1f %%%s", rate, 100 * rate / limit, shares);
    puts("");
}

static void print(const struct layer_unit *u, const struct bench_opts *o, const double f[PARTS],
                  const double b[PARTS], const struct bench_operations *ops, double limit)
{
    static const char *const names[] = { "front", "projections", "inner", "feed-forward" };
    const struct dims *d = &u->m->dims;
    const double T = u->T, inner = u->b->layer->flops(d, (u->T + 1) / 2.0), ffn = 6.0 * d->C * d->E;
    const double flops[PARTS] = {
        [PROJECTIONS] = flops_block(u->m, 0, u->T) - inner - ffn, [INNER] = inner, [FFN] = ffn,
    };

    if (!o->json)
        printf("%s, width %d, mini-batch %d, a unit of %d tokens, %s, %d threads; dense products "
               "reach %.1f GFLOP/s\n  %-13s %9s %9s  %s\n", d->layer, d->C, d->K, u->T,
               u->m->bf16 ? "bf16" : "fp32", o->threads, limit, "ms", "forward", "backward",
               "both: rate, share of dense products (forward, backward)");
    for (int k = 0; k < PARTS; k++)
        if (k != FFN || d->E) row(u, o, names[k], flops[k], f[k], b[k], limit);
    row(u, o, "layer", ops->layer_flops, T * ops->layer[0], T * ops->layer[1], limit);
    row(u, o, "embedding", 0, T * ops->embed[0], T * ops->embed[1], limit);
    row(u, o, "head", ops->head_flops, 0, T * ops->head, limit);
}

int bench_layer(const struct bench_opts *o, const char *file, const struct arg_list *sets)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct layer_unit u = { .m = NULL };
    struct bench_operations ops;
    double f[PARTS], b[PARTS], before, after;
    int rc;

    TRY(bench_conf(c, file, sets, 0));
    TRY(unit_init(&u, c));
    TRY(verify(&u));
    TRY(bench_gemm(o, 0, u.m->bf16 != NULL, &before));
    measure(&u, o->repeat * u.m->dims.L, f, b);
    TRY(bench_operations(o, c, &ops));
    TRY(bench_gemm(o, 0, u.m->bf16 != NULL, &after));
    print(&u, o, f, b, &ops, after > before ? after : before);
out:
    unit_done(&u);
    mem_free(c);
    return rc;
}
