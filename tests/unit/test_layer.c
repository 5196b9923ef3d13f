/* SPDX-License-Identifier: Apache-2.0 */
/* test_layer.c -- what a block asks of a layer: one with nothing except inner and its backward is
 * complete.  And what a layer, or a run, asks too much of is a message before the first step. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/status.h"
#include "src/layers/block.h"
#include "src/layers/linear.h"
#include "src/model/stage.h"
#include "tests/unit/numeric.h"

#include "tests/unit/said.h"  /* after cmocka */

enum { B = 2, T = 7, C = 3, N = B * T };

/* --- the smallest layer: y_t = s_t, s_t = s_(t-1) / 2 + h_t --------------------- */

static void fits(struct fit *f, const struct dims *d) { (void)f, (void)d; }

static void params(struct param_table *t, const struct dims *d, const char *prefix)
{
    (void)t, (void)d, (void)prefix;
}

static double flops(const struct dims *d, double keys) { return (void)keys, 2.0 * d->C; }
static int width(const struct dims *d) { return d->C; }
static int64_t carry_reals(const struct dims *d) { return align_reals(d->C); }

static void inner(const struct layer_call *c, const struct head_share *s, real *carry)
{
    for (int b = 0; b < c->B; b++)
        for (int t = 0; t < c->T; t++)
            for (int i = 0; i < C; i++) {
                real *state = carry + b * carry_reals(c->d) + i;
                *state = *state / 2 + s->in[0][(b * c->T + t) * C + i];
                s->out[(b * c->T + t) * C + i] = *state;
            }
}

static void inner_backward(const struct layer_call *c, const struct head_share *s, real *dcarry)
{
    for (int b = 0; b < c->B; b++)
        for (int t = c->T - 1; t >= 0; t--)
            for (int i = 0; i < C; i++) {
                real *dstate = dcarry + b * carry_reals(c->d) + i;
                const real ds = *dstate + s->dout[(b * c->T + t) * C + i];
                s->din[0][(b * c->T + t) * C + i] = ds;
                *dstate = ds / 2;
            }
}

static const struct layer smallest = {
    .name = "smallest", .family = &family_mamba, .fits = fits, .params = params, .flops = flops,
    .carry_reals = carry_reals, .in = { { A_H, A_DH, width } }, .out = { A_Y, A_DY, width },
    .inner = inner, .inner_backward = inner_backward,
};

static const struct dims dims = { .layer = "smallest", .V = 2, .L = 1, .C = C, .H = 1, .K = 1,
                                  .conv_width = 4, .rms_eps = 1e-6 };

/* <u, y>, y = x + layer(w RMSNorm(x)), of x (N,C) and w (C) in one array. */
static const real *u;

static double loss(void *ctx)
{
    const double *x = ctx, *w = x + N * C;
    double sum = 0;

    for (int b = 0; b < B; b++) {
        double s[C] = { 0 };
        for (int n = b * T; n < (b + 1) * T; n++) {
            double square = dims.rms_eps;
            for (int i = 0; i < C; i++) square += x[n * C + i] * x[n * C + i] / C;
            for (int i = 0; i < C; i++) {
                s[i] = s[i] / 2 + w[i] * x[n * C + i] / sqrt(square);
                sum += (double)u[n * C + i] * (x[n * C + i] + s[i]);
            }
        }
    }
    return sum;
}

/* A model of one such block, and the arrays of n slices of a sequence at a time. */
struct job {
    struct block        b;
    struct param_table  t;
    struct grad         g;
    struct arena        arena;
    struct block_arrays v[T];
    struct slice        s[T];
};

static void lay_out(struct job *j, int n, int tokens)
{
    const struct layer_call c = { .B = B, .T = tokens, .group = 1 };
    for (int i = 0; i < n; i++)
        block_lay_out(&j->b, &j->v[i], &j->arena, &c, block_lives_slice(1) | block_lives_shared(1));
}

/* y and dx (N,C), slice by slice of `tokens` each; dx is u on entry. */
static void run(struct job *j, const real *x, const real *w, real *y, real *dx, int tokens)
{
    const int n = T / tokens;
    real *carry = zeros(B * align_reals(C)), *dcarry = zeros(B * align_reals(C));
    real *part = zeros(3 * N * C);

    arena_plan(&j->arena);
    lay_out(j, n, tokens);
    arena_init(&j->arena, j->arena.peak, "test");
    lay_out(j, n, tokens);
    grad_begin(&j->g, 1);
    for (int i = 0; i < n; i++) {  /* (B, tokens, C) of each array, slice after slice */
        real *at = part + 3 * i * B * tokens * C;
        const int each = B * tokens * C;
        for (int k = 0; k < each; k++) {
            const int from = (k / (tokens * C) * T + i * tokens) * C + k % (tokens * C);
            at[k] = x[from];
            at[2 * each + k] = dx[from];
        }
        j->s[i] = (struct slice){ .c = { .t = &j->t, .w = w, .grad = &j->g, .B = B, .T = tokens,
                                         .pos = i * tokens, .group = 1 },
                                  .v = &j->v[i], .x = at, .y = at + each, .dx = at + 2 * each };
    }
    block_carry_start(&j->b, &j->s[0].c, carry);
    for (int i = 0; i < n; i++) block_forward(&j->b, &j->s[i], 1, carry, NULL);
    block_backward(&j->b, j->s, n, dcarry, NULL);
    block_carry_start_backward(&j->b, &j->s[0].c, dcarry);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < B * tokens * C; k++) {
            const int to = (k / (tokens * C) * T + i * tokens) * C + k % (tokens * C);
            y[to] = j->s[i].y[k];
            dx[to] = j->s[i].dx[k];
        }
    grad_end(&j->g, 0, j->t.total);
    arena_done(&j->arena);
}

static void inner_and_its_backward_are_a_layer(void **state)
{
    (void)state;
    struct job *j = hold(1, sizeof *j);
    real *y[2] = { zeros(N * C), zeros(N * C) }, *dx[2], *dw = zeros(C);
    const real *x = noise(N * C, 1), *w = noise(C, 2);
    double *both = hold(N * C + C, sizeof *both);

    u = noise(N * C, 3);
    block_params(&j->b, &j->t, &dims, &smallest, "");
    grad_init(&j->g, &j->t, REDUCE_EXACT);
    for (int i = 0; i < N * C; i++) both[i] = (double)x[i];
    for (int i = 0; i < C; i++) both[N * C + i] = (double)w[i];
    const double *want = slopes(loss, both, both, N * C + C);

    for (int i = 0; i < 2; i++) {
        dx[i] = copy(u, N * C);
        run(j, x, w, y[i], dx[i], i ? 1 : T);
        assert_true(fabs(dot(u, y[i], N * C) - loss(both)) < ULPS(100) * N * C);
        assert_close(dx[i], want, N * C, ULPS(1000) + 1e-9);
        grad_read(&j->g, dw, 0, C);
        assert_close(dw, want + N * C, C, 1e-6);
    }
    assert_same(y[0], y[1], N * C);  /* slices are the whole */
    assert_same(dx[0], dx[1], N * C);
    grad_done(&j->g);
    param_done(&j->t);
    release();
}

/* --- messages ------------------------------------------------------------------ */

static void too_many(struct layout *l, const struct layer_call *c)
{
    layout_reals(l, LIFE_TAPE, LAYER_ARRAYS - 1, c->T);
    layout_reals(l, LIFE_TAPE, LAYER_ARRAYS, c->T);
}

static void an_array_too_many_dies(void **state)
{
    (void)state;
    struct layer layer = smallest;
    struct block b = { .layer = &layer, .d = dims };
    struct block_arrays v;
    struct arena plan;
    int status = 0;

    layer.arrays = too_many;
    hear(1);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        arena_plan(&plan);
        block_lay_out(&b, &v, &plan, &(struct layer_call){ .B = 1, .T = T }, LIFE_SCRATCH);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    hear(0);
    assert_int_not_equal(status, 0);
    assert_non_null(strstr(said, "layer smallest has an array number 48"));
    assert_non_null(strstr(said, "LAYER_ARRAYS"));
}

/* Otherwise its FLOPs were not counted, and mixed precision left it out. */
static void a_product_is_added_as_one(void **state)
{
    (void)state;
    struct param_table t = { 0 };
    real w[C * C] = { 0 }, y[C], x[C] = { 0 };
    const struct layer_call c = { .t = &t, .w = w, .B = 1, .T = 1 };
    int status = 0;

    param_add(&t, "layer.", "matrix", INIT_NORMAL, 1, PARAM_SHAPE(C, C));
    hear(1);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        linear_forward(&c, 0, y, reals(x));
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    hear(0);
    assert_int_not_equal(status, 0);
    assert_non_null(strstr(said, "layer.matrix: a product reads it"));
    param_done(&t);
}

static void what_a_layer_cannot_do_names_its_block(void **state)
{
    (void)state;
    static const struct {
        const char *layers;
        enum sequence_mode mode;
        int slice;
        const char *text;
    } rows[] = {
        { "mamba, attention", SEQ_SCAN, 8, "block 1, layer attention" },
        { "mamba, ttt_linear", SEQ_SCAN, 8, "block 1, layer ttt_linear" },
        { "mamba", SEQ_HEADS, 8, "no block of this model has heads (block 0 is layer mamba)" },
        { "attention, ttt_linear", SEQ_WAVEFRONT, 6,
          "train.slice_tokens is 6: expected a multiple of 4, the tokens of a chunk of block 1, "
          "layer ttt_linear" },
        { "attention, mamba", SEQ_WAVEFRONT, 6, NULL },
        { "mamba", SEQ_SCAN, 5, NULL },
        { "mamba, attention", SEQ_HEADS, 7, NULL },
        { "ttt_mlp, attention", SEQ_HEADS, 8, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dims d = { .V = 37, .L = 2, .C = 12, .H = 2, .E = 10, .K = 4, .conv_width = 4,
                          .tied = 1, .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6,
                          .init_std = 0.3, .inner_lr = 1, .state = 3, .expand = 2, .dt_rank = 2 };
        const struct pass_opts o = { .context = 40, .slice_tokens = rows[i].slice,
                                     .micro_batch = 1, .inner_group = 1,
                                     .sequence_mode = rows[i].mode };
        const struct stage_part part = { .l1 = 2, .u1 = 1, .slots = 1,
                                         .S = rows[i].mode == SEQ_WAVEFRONT ? 0 : 2 };
        struct pass_bytes bytes;

        strcpy(d.layer, rows[i].layers);
        if (!strcmp(d.layer, "mamba")) d.E = 0, d.H = d.K = 1;
        hear(1);
        const int rc = stage_plan(&bytes, &d, &o, &part);
        hear(0);
        assert_int_equal(rc, rows[i].text ? ERR_CONFIG : OK);
        if (rows[i].text) assert_non_null(strstr(said, rows[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inner_and_its_backward_are_a_layer),
        cmocka_unit_test(an_array_too_many_dies),
        cmocka_unit_test(a_product_is_added_as_one),
        cmocka_unit_test(what_a_layer_cannot_do_names_its_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
