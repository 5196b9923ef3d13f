/* SPDX-License-Identifier: Apache-2.0 */
/* A layer gives messages a chance to move while it computes: many times, and only when asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/kernels/gemm.h"
#include "src/model/pass.h"

#include <cmocka.h>

static void count(void *ctx) { ++*(int *)ctx; }

static void computing_is_interrupted(void **state)
{
    (void)state;
    const struct dims d = { .layer = "ttt_linear", .V = 11, .L = 3, .C = 8, .H = 2, .E = 12, .K = 4,
                            .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = 1,
                            .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6, .init_std = 0.1,
                            .inner_lr = 1 };
    const struct pass_opts o = { .context = 8, .slice_tokens = 8, .micro_batch = 1,
                                 .inner_group = 1, .mask_token = -1 };
    const int32_t window[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    struct pass_sums sums = { 0 };
    struct grad g;
    struct model *m;
    int pokes = 0, before;

    assert_int_equal(model_new(&m, &d), OK);
    model_init(m, 1);
    grad_init(&g, &m->params, REDUCE_EXACT);
    struct pass *p = pass_new(m, &o);
    poke_hook(count, &pokes);
    pass_run(p, NULL, &sums, window, 1);
    assert_true(pokes >= 6 * d.L);       /* regions of products and of the inner loop, forward */
    before = pokes;
    grad_begin(&g, 1);
    pass_run(p, &g, &sums, window, 1);
    assert_true(pokes - before >= 15 * d.L);  /* and one for each linear map on the way back */
    poke_hook(NULL, NULL);
    before = pokes;
    pass_run(p, NULL, &sums, window, 1);
    assert_int_equal(pokes, before);
    pass_free(p);
    grad_done(&g);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(computing_is_interrupted) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
