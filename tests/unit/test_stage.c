/* SPDX-License-Identifier: Apache-2.0 */
/* A stage that is forward only computes what training computes, in two residual streams. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/kernels/gemm.h"
#include "src/model/stage.h"

enum { B = 3, CONTEXT = 45, SLICE = 8, UNITS = 6, MASK = 1 };

static struct dims tiny(int L)
{
    struct dims d = { .layer = "ttt_linear", .V = 37, .L = L, .C = 12, .H = 2, .E = 10, .K = 4,
                      .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = 1,
                      .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6, .init_std = 0.3,
                      .inner_lr = 1 };
    return d;
}

static struct pass_opts opts(int context)
{
    return (struct pass_opts){ .context = context, .slice_tokens = SLICE, .micro_batch = B,
                               .inner_group = 2, .remat = REMAT_BLOCK, .mask_token = MASK };
}

/* What taps were told. */
struct told {
    double nll[B][CONTEXT], inner;
    int    times[B][CONTEXT], scored, batches;
};

static void tell_nll(void *ctx, int64_t q, int64_t at, const double *nll, const int32_t *target,
                     int n)
{
    struct told *t = ctx;
    for (int i = 0; i < n; i++) {
        t->nll[q - 7][at + i] = nll[i];
        t->times[q - 7][at + i]++;
        t->scored += target[i] >= 0;
    }
}

static void tell_inner(void *ctx, int l, int64_t q, int64_t at, const double *stats, int n)
{
    struct told *t = ctx;
    assert_true(l >= 0 && q >= 7 && at % SLICE == 0);
    for (int i = 0; i < 2 * n * 3; i++) t->inner += stats[i];
    t->batches += n;
}

/* The order of a schedule: layer by layer, all units of each. */
static void run(struct pass_sums *sums, const struct model *m, const int32_t *windows,
                int forward_only)
{
    const struct pass_opts o = opts(CONTEXT);
    const struct stage_part part = { .l1 = m->dims.L, .u1 = UNITS, .slots = 1,
                                     .forward_only = forward_only };
    struct stage *st = stage_new(m, &o, &part);
    int64_t valid[B];

    for (int b = 0; b < B; b++)
        valid[b] = stage_count_targets(windows + b * (CONTEXT + 1), CONTEXT, MASK);
    stage_begin(st, 0, windows, CONTEXT + 1, valid, 7, B);
    stage_start(st, 0);
    for (int l = 0; l < m->dims.L; l++)
        for (int u = 0; u < UNITS; u++) {
            if (l == 0) stage_embed(st, 0, u);
            stage_forward(st, 0, l, u, sums);
        }
    for (int u = 0; u < UNITS; u++) stage_head(st, 0, u, NULL, sums);
    stage_free(st);
}

static void forward_only_is_forward(void **state)
{
    (void)state;
    for (int L = 1; L <= 4; L++) {
        const struct dims d = tiny(L);
        const uint64_t key = rng_key(5, "tokens");
        int32_t windows[B * (CONTEXT + 1)];
        struct fixed inner[2][3][4] = { { { { 0 } } } };
        struct told told = { .scored = 0 };
        const struct pass_tap tap = { .ctx = &told, .nll = tell_nll, .inner = tell_inner };
        struct pass_sums sums[3] = {
            { .inner_w0 = inner[0][0], .inner_before = inner[0][1], .inner_after = inner[0][2] },
            { .inner_w0 = inner[1][0], .inner_before = inner[1][1], .inner_after = inner[1][2],
              .tap = &tap },
            { .bad = 0 },
        };
        struct model *m;

        assert_int_equal(model_new(&m, &d), 0);
        model_init(m, 3);
        for (int i = 0; i < B * (CONTEXT + 1); i++)
            windows[i] = (int32_t)(rng_u64(key, (uint64_t)i) % 37);
        run(&sums[0], m, windows, 0);
        run(&sums[1], m, windows, 1);
        assert_memory_equal(&sums[0].loss, &sums[1].loss, sizeof sums->loss);
        assert_memory_equal(inner[0], inner[1], sizeof inner[0]);

        /* Taps: every target once, and all of them make the loss. */
        double mean = 0;
        int scored = 0;
        for (int b = 0; b < B; b++) {
            const int64_t valid = stage_count_targets(windows + b * (CONTEXT + 1), CONTEXT, MASK);
            for (int t = 0; t < CONTEXT; t++) {
                assert_int_equal(told.times[b][t], 1);
                mean += told.nll[b][t] / (double)valid;
            }
            scored += (int)valid;
        }
        assert_int_equal(told.scored, scored);
        assert_int_equal(told.batches, L * B * (CONTEXT / d.K));
        assert_true(fabs(mean - fixed_value(sums[1].loss)) < 1e-12);
        double means = 0;
        for (int i = 0; i < 3; i++)
            for (int l = 0; l < L; l++) means += fixed_value(inner[1][i][l]);
        assert_true(fabs(told.inner / (d.H * d.K * (CONTEXT / d.K)) / means - 1) < 1e-12);

        windows[5] = (windows[5] + 1) % 37;  /* the comparison can fail */
        run(&sums[2], m, windows, 1);
        assert_memory_not_equal(&sums[0].loss, &sums[2].loss, sizeof sums->loss);
        model_free(m);
    }
}

/* Behind the end of a text: negative ids are read as something and never scored. */
static void padding_changes_nothing(void **state)
{
    (void)state;
    const struct dims d = tiny(2);
    int32_t windows[B * (CONTEXT + 1)];
    struct told whole = { .scored = 0 }, padded = { .scored = 0 };
    const struct pass_tap taps[2] = { { .ctx = &whole, .nll = tell_nll },
                                      { .ctx = &padded, .nll = tell_nll } };
    struct pass_sums sums = { .tap = &taps[0] };
    struct model *m;

    assert_int_equal(model_new(&m, &d), 0);
    model_init(m, 3);
    for (int i = 0; i < B * (CONTEXT + 1); i++) windows[i] = 2 + i * 7 % 30;
    run(&sums, m, windows, 1);
    for (int i = 21; i <= CONTEXT; i++) windows[i] = -1;  /* 20 targets are left of sequence 0 */
    sums.tap = &taps[1];
    run(&sums, m, windows, 1);
    assert_int_equal(padded.scored, whole.scored - (CONTEXT - 20));
    assert_memory_equal(padded.nll[0], whole.nll[0], 20 * sizeof(double));
    for (int t = 20; t < CONTEXT; t++) assert_true(padded.nll[0][t] == 0);
    assert_memory_equal(padded.nll[1], whole.nll[1], sizeof padded.nll[1]);
    model_free(m);
}

/* Of a long sequence, two residual streams. */
static void memory_is_two_streams(void **state)
{
    (void)state;
    const struct dims d = tiny(4);
    int64_t all[2];
    for (int i = 0; i < 2; i++) {
        const int units = 1000 << i;
        const struct pass_opts o = opts(units * SLICE);
        const struct stage_part part = { .l1 = 4, .u1 = units, .slots = 1, .forward_only = 1 };
        struct pass_bytes bytes;
        assert_int_equal(stage_plan(&bytes, &d, &o, &part), 0);
        all[i] = bytes.tape + bytes.logits + bytes.scratch;
    }
    const int64_t stream = (int64_t)B * SLICE * d.C * (int64_t)sizeof(real);
    assert_int_equal(all[1] - all[0], 1000 * 2 * ((stream + 63) / 64 * 64));
}

static int nothing_is_left(void **state)
{
    (void)state;
    return mem_live_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_only_is_forward),
        cmocka_unit_test(padding_changes_nothing),
        cmocka_unit_test(memory_is_two_streams),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
