/* SPDX-License-Identifier: Apache-2.0 */
/* Forward, backward and states against the authors' code (tests/golden/README.md),
 * through the command that users have for it: `ttt probe`. */
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/cli/team.h"
#include "src/infer/load.h"
#include "src/infer/probe.h"
#include "tests/lib/golden_probe.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void spoil(struct model *m, const char *name)
{
    const int k = *name ? param_find(&m->params, name) : m->i_norm;
    const struct param *p = &m->params.p[k];
    for (int64_t i = 0; i < p->n; i++) m->w[p->offset + i] *= (real)1.001;
}

/* The probe of a case as arrays.  spoilt: a parameter made a thousandth larger, "" for
 * the final norm, or NULL. */
static void run(struct golden *out, const struct golden_case *c, const char *spoilt, int slice)
{
    struct probe_opts o = { .hidden = 1, .states = 1, .inner = 1, .grads = 1, .slice = slice };
    struct load_info info;
    struct model *m;
    struct probe *p;
    int B, L;
    int32_t *tok = golden_tokens(c, &B, &L);

    if (load_model(&m, &info, c->model) != OK) die("%s can't be read", c->model);
    if (spoilt) spoil(m, spoilt);
    check(probe_run(&p, m, tok, B, L, &o) == OK);
    golden_found(out, p);
    probe_free(p);
    load_done(&info);
    model_free(m);
    mem_free(tok);
}

static void numbers_are_the_authors(void **state)
{
    (void)state;
    int64_t bad = 0;

    for (int i = 0; i < GOLDEN_CASES; i++) {
        struct golden f;
        run(&f, &golden_cases[i], NULL, 0);
        fprintf(stderr, "  case %s\n", golden_cases[i].name);
        bad += golden_off(&golden_cases[i], &f);
        golden_close(&f);
    }
    assert_int_equal(bad, 0);
}

/* One parameter a thousandth off, and every kind of comparison says so. */
static void a_spoilt_parameter_is_noticed(void **state)
{
    (void)state;
    const struct golden_case *c = &golden_cases[GOLDEN_M];
    struct golden e, f;

    golden_speak(0);
    golden_expected(&e, c);
    run(&f, c, "model.layers.0.seq_modeling_block.ttt_norm_weight", 0);
    assert_true(golden_off_losses(c, &e, &f) > 0);
    assert_true(golden_off_logits(c, &e, &f) > 0);
    assert_true(golden_off_hidden(c, &e, &f) > 0);
    assert_true(golden_off_grads(c, &e, &f) > 0);
    assert_true(golden_off_states(c, &e, &f) > 0);
    assert_true(golden_off_inner(c, &f) > 0);
    assert_true(golden_off_convs(c, &e, &f) > 0);
    golden_close(&e);
    golden_close(&f);
    golden_speak(1);
}

static int same_bits(const struct golden *a, const struct golden *b, const char *name)
{
    const struct array *x = golden_get(a, name), *y = golden_get(b, name);
    return x->n == y->n && !memcmp(x->v, y->v, (size_t)x->n * sizeof *x->v);
}

/* Cut at multiples of the mini-batch, a sequence gives the same bits. */
static void slices_are_the_whole(void **state)
{
    (void)state;
    static const int slices[] = { 16, 32, 64 };

    for (int i = 0; i < GOLDEN_CASES; i++) {
        struct golden whole, cut;
        run(&whole, &golden_cases[i], NULL, 0);
        for (int k = 0; k < 3; k++) {
            run(&cut, &golden_cases[i], NULL, slices[k]);
            for (int n = 0; n < whole.count; n++) {
                const char *name = whole.a[n].name;
                if (strncmp(name, "grad", 4) && !same_bits(&whole, &cut, name))
                    fail_msg("case %s: slices of %d change %s", golden_cases[i].name, slices[k],
                             name);
            }
            golden_close(&cut);
        }
        run(&cut, &golden_cases[i], "", 16);  /* and same_bits() can fail */
        assert_false(same_bits(&whole, &cut, "logits"));
        golden_close(&cut);
        golden_close(&whole);
    }
}

/* A unit's products have its own shape, so neither threads nor neighbours in
 * the batch change a bit, of gradients neither. */
static void threads_change_nothing(void **state)
{
    (void)state;
    struct golden one, three;
    const int before = omp_get_max_threads();

    omp_set_num_threads(1);
    run(&one, &golden_cases[GOLDEN_RAGGED], NULL, 32);
    omp_set_num_threads(3);
    run(&three, &golden_cases[GOLDEN_RAGGED], NULL, 32);
    omp_set_num_threads(before);
    for (int i = 0; i < one.count; i++)
        if (!same_bits(&one, &three, one.a[i].name)) fail_msg("threads change %s", one.a[i].name);
    golden_close(&one);
    golden_close(&three);
}

/* The command itself: the same numbers in the file that it writes. */
static void the_command_writes_them(void **state)
{
    (void)state;
    char file[] = "/tmp/ttt-golden-XXXXXX";
    char *argv[] = { "probe", "tests/golden/ttt_linear_t", "--tokens",
                     "tests/golden/ttt_linear_t/inputs.safetensors", "--out", file, "--grads",
                     "--states", "--hidden", "--inner", NULL };
    struct probe_command c;
    struct golden f;

    close(mkstemp(file));
    assert_int_equal(probe_command_parse(&c, 10, argv), OK);
    assert_int_equal(probe_command_run(&c, NULL), OK);
    golden_open(&f, file);
    unlink(file);
    assert_int_equal(golden_off(&golden_cases[GOLDEN_T], &f), 0);
    golden_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_the_authors),
        cmocka_unit_test(a_spoilt_parameter_is_noticed),
        cmocka_unit_test(slices_are_the_whole),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(the_command_writes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
