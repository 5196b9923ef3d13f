/* SPDX-License-Identifier: Apache-2.0 */
/* Five updates against the authors' model under torch's AdamW. */
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/infer/load.h"
#include "src/model/pass.h"
#include "src/optim/adamw.h"
#include "src/optim/sched.h"
#include "tests/lib/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { STEPS = 5 };

static const char folder[] = "tests/golden/ttt_linear_m";

/* What a run leaves. */
struct run { double lr[STEPS], norm[STEPS], loss[STEPS + 1]; struct model *m; };

/* Windows of B sequences; the last target is unknown and not scored. */
static int32_t *windows_of(const struct array *tokens)
{
    const int64_t rows = tokens->shape[0], L = tokens->shape[1];
    int32_t *w = mem_new(rows * (L + 1), sizeof *w, "windows");
    for (int64_t b = 0; b < rows; b++) {
        for (int64_t t = 0; t < L; t++) w[b * (L + 1) + t] = (int32_t)tokens->v[b * L + t];
        w[b * (L + 1) + L] = -1;
    }
    return w;
}

static double mean_loss(const struct pass_sums *s)
{
    assert_int_equal(s->bad, 0);
    return fixed_value(s->loss) / (double)s->sequences;
}

static void train(struct run *r, enum reduction mode, double weight_decay)
{
    const struct optim_opts o = { .lr = 3e-3, .min_lr = 1e-5, .warmup_steps = 2,
                                  .decay_steps = STEPS, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8,
                                  .weight_decay = weight_decay, .clip_norm = 1 };
    struct load_info info;
    struct golden in;
    struct grad g;

    golden_open(&in, "tests/golden/ttt_linear_m/inputs.safetensors");
    const struct array *tokens = golden_get(&in, "tokens");
    const int rows = (int)tokens->shape[0];
    int32_t *windows = windows_of(tokens);
    if (load_model(&r->m, &info, folder) != OK) die("%s can't be read", folder);
    const struct pass_opts po = { .context = (int)tokens->shape[1], .slice_tokens = 48,
                                  .micro_batch = rows, .inner_group = 2, .remat = REMAT_BLOCK,
                                  .mask_token = -1 };
    struct pass *pass = pass_new(r->m, &po);
    const int64_t total = r->m->params.total;
    real *m = mem_new(total, sizeof *m, "moments"), *v = mem_new(total, sizeof *v, "moments");

    grad_init(&g, &r->m->params, mode);
    for (int t = 0; t <= STEPS; t++) {
        struct pass_sums sums = { .bad = 0 };
        grad_begin(&g, (int64_t)pass_units(&po) * rows);
        pass_run(pass, t < STEPS ? &g : NULL, &sums, windows, rows);
        r->loss[t] = mean_loss(&sums);
        if (t == STEPS) break;
        r->lr[t] = sched_lr(&o, t);
        r->norm[t] = sqrt(grad_sumsq(&g));
        adamw_update(&(struct adamw){ .opts = &o, .grad = &g, .w = r->m->w, .end = total, .t = t,
                                      .factor = clip_factor(&o, r->norm[t]) }, m, v);
    }
    grad_done(&g);
    pass_free(pass);
    mem_free(m);
    mem_free(v);
    mem_free(windows);
    load_done(&info);
    golden_close(&in);
}

static struct array parameter(const struct model *m, int i)
{
    const struct param *p = &m->params.p[i];
    struct array a = { .ndim = p->ndim, .n = p->n };

    snprintf(a.name, sizeof a.name, "final.%s", p->name);
    memcpy(a.shape, p->shape, sizeof p->shape);
    a.v = mem_new(a.n, sizeof *a.v, a.name);
    for (int64_t k = 0; k < a.n; k++) a.v[k] = (double)m->w[p->offset + k];
    return a;
}

/* Entries of losses, norms and rates that are off.  The steepest of them, the norm, depends on
 * five updates of everything. */
static int64_t off_course(const struct golden *e, const struct run *r)
{
    const int in_double = sizeof(real) == 8;
    return golden_differ(golden_get(e, "lr"), r->lr, 1e-15) +
           golden_differ(golden_get(e, "loss"), r->loss, in_double ? 1e-9 : 5 * 3e-7) +
           golden_differ(golden_get(e, "grad_norm"), r->norm, in_double ? 1e-9 : 5 * 6e-7);
}

/* Entries of final parameters that are off by more than tol of the largest. */
static int64_t off_parameters(const struct golden *e, const struct run *r, double tol)
{
    int64_t bad = 0;
    for (int i = 0; i < r->m->params.count; i++) {
        struct array a = parameter(r->m, i);
        bad += golden_compare(e, a.name, &a, tol);
        mem_free(a.v);
    }
    return bad;
}

static void the_trajectory_is_torchs(void **state)
{
    (void)state;
    struct golden e;
    int64_t bad = 0;

    golden_open(&e, "tests/golden/ttt_linear_m/optimizer.safetensors");
    for (int mode = REDUCE_EXACT; mode <= REDUCE_FAST; mode++) {
        struct run r;
        train(&r, (enum reduction)mode, 0.1);
        bad += off_course(&e, &r);
        /* Adam divides small gradients by themselves: rounding of a gradient to 2^-44 (exact
         * mode) or to a float moves single entries, see tests/golden/README.md. */
        const double tol = sizeof(real) == 4 ? 5 * 5.9e-5 : mode == REDUCE_EXACT ? 1e-6 : 1e-8;
        bad += off_parameters(&e, &r, tol);
        model_free(r.m);
    }
    assert_int_equal(bad, 0);
    golden_close(&e);
}

/* Without decay, five updates end elsewhere, and the test sees it. */
static void another_recipe_is_noticed(void **state)
{
    (void)state;
    struct golden e;
    struct run r;

    golden_speak(0);
    golden_open(&e, "tests/golden/ttt_linear_m/optimizer.safetensors");
    train(&r, REDUCE_FAST, 0);
    assert_true(off_course(&e, &r) > 0);
    assert_true(off_parameters(&e, &r, sizeof(real) == 8 ? 1e-8 : 5 * 5.9e-5) > 0);
    model_free(r.m);
    golden_close(&e);
    golden_speak(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trajectory_is_torchs),
        cmocka_unit_test(another_recipe_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
