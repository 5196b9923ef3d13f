/* SPDX-License-Identifier: Apache-2.0 */
/* The model as a function: slices are the whole, and the way a batch is cut changes no bit. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/mem.h"
#include "src/kernels/gemm.h"
#include "src/model/pass.h"
#include "tests/lib/tiny_model.h"

/* T tokens in slices: of whole mini-batches to the bit, cut anywhere nearly. */
static void check_slices(const struct dims *d, int T)
{
    enum { MOST = 77 };
    struct model *m = rough_model(d, 3);
    const size_t n = (size_t)T * 64;
    real *whole = mem_new((int64_t)n, sizeof(real), "test");
    real *cut = mem_new((int64_t)n, sizeof(real), "test");
    int32_t tok[MOST];
    random_tokens(tok, T, d->V, 5);
    read_all(m, whole, tok, T, T);
    static const int slices[] = { 16, 32, 64 };
    for (int k = 0; k < 3; k++) {
        read_all(m, cut, tok, T, slices[k]);
        assert_memory_equal(whole, cut, n * sizeof(real));
    }
    /* Cut anywhere: the primal form takes over inside a mini-batch. */
    static const int odd[] = { 1, 3, 7, 20 };
    for (int j = 0; j < 4; j++) {
        read_all(m, cut, tok, T, odd[j]);
        double most = 1;  /* of numbers that only an inner norm keeps near 1 */
        for (size_t k = 0; k < n; k++)
            if (d->without) most = fmax(most, fabs((double)whole[k]));
        for (size_t k = 0; k < n; k++)
            assert_true(fabs((double)(whole[k] - cut[k])) < 2e3 * REAL_EPS * most);
    }
    tok[3] = (tok[3] + 1) % d->V;  /* the comparison can fail */
    read_all(m, cut, tok, T, 16);
    assert_memory_not_equal(whole, cut, n * sizeof(real));
    mem_free(whole);
    mem_free(cut);
    model_free(m);
}

static void slices_are_the_whole_bitwise(void **state)
{
    (void)state;
    enum { KINDS = 14 };
    for (int i = 0; i < 2 * KINDS; i++) {
        const int kind = i % KINDS;
        struct dims d = tiny(kind / 2 % 2);
        strcpy(d.layer, layer_names[kind % 2]);
        if (kind >= 4) d.without = kind >= 8 ? EVERYTHING : EVERYTHING & 0x55;
        if (kind % 2) d.without &= ~WITHOUT_INIT;
        if (d.without) d.inner_lr = 0.02;  /* steps that overshoot would amplify rounding */
        d.K = 16;
        d.C = 64;
        if (kind == 12) d = attention(64, 4, 2);
        if (kind == 13) d = headed(64, 3, 1, 24);
        check_slices(&d, i < KINDS ? 77 : 65);  /* a last slice of 13 tokens, or of one */
    }
}

/* Gradient sums of 5 sequences, as integers. */
static struct grad exact_grads(const struct model *m, int micro, enum remat remat, int threads,
                               struct pass_sums *sums)
{
    enum { B = 5, CONTEXT = 40 };
    int32_t windows[B * (CONTEXT + 1)];
    const struct pass_opts o = opts(CONTEXT, 16, micro, remat);
    struct grad g;

    omp_set_num_threads(threads);
    struct pass *p = pass_new(m, &o);
    random_tokens(windows, B * (CONTEXT + 1), m->dims.V, 5);
    grad_init(&g, &m->params, REDUCE_EXACT);
    grad_begin(&g, (int64_t)B * pass_units(&o));
    *sums = (struct pass_sums){ 0 };
    for (int b = 0; b < B; b += micro)
        pass_run(p, &g, sums, windows + b * (CONTEXT + 1), B - b < micro ? B - b : micro);
    pass_free(p);
    return g;
}

static struct dims batch_of(const char *layer, int without)
{
    struct dims d = tiny(1);
    strcpy(d.layer, layer);
    d.without = without;
    d.K = 8;
    return strcmp(layer, "attention") ? d : attention(12, 2, 1);
}

static void check_batches(struct dims d)
{
    struct model *m = rough_model(&d, 3);
    struct pass_sums one, other;
    struct grad g = exact_grads(m, 1, REMAT_NONE, 1, &one);
    const size_t bytes = (size_t)m->params.total * sizeof *g.fixed;
    static const struct { int micro; enum remat remat; int threads; } ways[] = {
        { 1, REMAT_NONE, 2 }, { 2, REMAT_NONE, 1 }, { 3, REMAT_BLOCK, 2 }, { 5, REMAT_NONE, 3 },
        { 1, REMAT_BLOCK, 1 },
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct grad h = exact_grads(m, ways[i].micro, ways[i].remat, ways[i].threads, &other);
        assert_memory_equal(g.fixed, h.fixed, bytes);
        assert_memory_equal(&one.loss, &other.loss, sizeof one.loss);
        grad_done(&h);
    }
    m->w[m->params.p[1].offset] += (real)1e-3;  /* the comparison can fail */
    struct grad h = exact_grads(m, 1, REMAT_NONE, 1, &other);
    assert_memory_not_equal(g.fixed, h.fixed, bytes);
    grad_done(&h);
    grad_done(&g);
    model_free(m);
    omp_set_num_threads(omp_get_num_procs());
}

static void cutting_the_batch_changes_no_bit(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) check_batches(batch_of(layer_names[i], 0));
    check_batches(headed(12, 4, 2, 10));
    check_batches(batch_of("ttt_linear", EVERYTHING));
    check_batches(batch_of("ttt_mlp", WITHOUT_NORM | WITHOUT_BIAS | WITHOUT_GATE));
}

/* Layers that the program does not have (tiny_pair()). */
static void pairs_without_a_fused_body(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct dims d = tiny_pair(i);
        check_batches(batch_of(d.layer, 0));
        d.K = 16;
        d.C = 64;
        d.inner_lr = 0.1;
        check_slices(&d, 77);
    }
}

static int nothing_is_left(void **state)
{
    (void)state;
    return mem_live_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_the_whole_bitwise),
        cmocka_unit_test(cutting_the_batch_changes_no_bit),
        cmocka_unit_test(pairs_without_a_fused_body),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
