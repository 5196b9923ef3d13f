/* Forward, backward and states against the authors' code (tests/golden/README.md),
 * through the command that users have for it: `ttt probe`. */
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/cli/cmd.h"
#include "src/infer/load.h"
#include "src/infer/probe.h"
#include "src/store/safetensors.h"
#include "tests/lib/golden.h"

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

/* Tolerances: tests/golden/README.md.  token_idx: of gradients of learnable_token_idx. */
static const struct golden_case {
    const char *name, *model, *data;
    double loss, nll, logits, hidden, grads, token_idx;
    int n_grads, n_states;   /* tensors */
} cases[] = {
    { "M", "tests/golden/ttt_linear_m", "tests/golden/ttt_linear_m",
      3.0e-7, 1.8e-6, 2.7e-6, 3.3e-6, 1.6e-6, 5.2e-6, 52, 4 },
    { "T", "tests/golden/ttt_linear_t", "tests/golden/ttt_linear_t",
      8.6e-8, 2.0e-6, 2.3e-6, 3.4e-6, 1.0e-6, 1.0e-6, 38, 4 },
    { "ragged", "tests/golden/ttt_linear_m", "tests/golden/ttt_linear_m_ragged",
      8.0e-7, 1.7e-6, 3.2e-6, 3.0e-6, 1.4e-6, 1.4e-6, 52, 12 },
    { "MLP M", "tests/golden/ttt_mlp_m", "tests/golden/ttt_mlp_m",
      2.7e-7, 1.5e-6, 2.9e-6, 2.8e-6, 1.3e-6, 1.3e-6, 56, 8 },
    { "MLP T", "tests/golden/ttt_mlp_t", "tests/golden/ttt_mlp_t",
      2.4e-8, 2.0e-6, 3.1e-6, 3.5e-6, 1.1e-6, 1.1e-6, 42, 8 },
};
#define CASES (int)(sizeof cases / sizeof *cases)

/* In double the tolerance is one number; in float five times what PyTorch's own
 * float32 is off by. */
static double tolerance(double in_float, double in_double)
{
    return sizeof(real) == 8 ? in_double : 5 * in_float;
}

static void spoil(struct model *m, const char *name)
{
    const struct param *p = &m->params.p[param_find(&m->params, name)];
    for (int64_t i = 0; i < p->n; i++) m->w[p->offset + i] *= (real)1.001;
}

/* The probe of a case as arrays.  spoilt: a parameter made a thousandth larger, or NULL. */
static void run(struct golden *out, const struct golden_case *c, const char *spoilt, int slice)
{
    char path[256], file[] = "/tmp/ttt-golden-XXXXXX";
    struct probe_opts o = { .hidden = 1, .states = 1, .inner = 1, .grads = 1, .slice = slice };
    struct load_info info;
    struct golden inputs;
    struct model *m;
    struct probe *p;
    int count;

    snprintf(path, sizeof path, "%s/inputs.safetensors", c->data);
    golden_open(&inputs, path);
    const struct array *tokens = golden_get(&inputs, "tokens");
    int32_t *tok = mem_new(tokens->n, sizeof *tok, "tokens");
    for (int64_t i = 0; i < tokens->n; i++) tok[i] = (int32_t)tokens->v[i];

    if (load_model(&m, &info, c->model) != OK) die("%s can't be read", c->model);
    if (spoilt) spoil(m, spoilt);
    check(probe_run(&p, m, tok, (int)tokens->shape[0], (int)tokens->shape[1], &o) == OK);
    const struct tensor *t = probe_tensors(p, &count);
    close(mkstemp(file));
    check(safetensors_save(file, t, count) == OK);
    golden_open(out, file);
    unlink(file);

    probe_free(p);
    load_done(&info);
    model_free(m);
    mem_free(tok);
    golden_close(&inputs);
}

static void expected(struct golden *g, const struct golden_case *c, const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", c->data, file);
    golden_open(g, path);
}

/* --- the kinds of comparison: each counts entries that are off -------------- */

static int64_t differ(const struct golden *e, const struct golden *f, const char *name, double tol)
{
    const struct array *a = golden_get(e, name), *b = golden_get(f, name);
    if (a->n != b->n) die("%s has another size than expected", name);
    return golden_differ(a, b->v, tol);
}

static int64_t differ_at(const struct golden *e, const struct golden *f, const char *name,
                         double tol)
{
    struct array picked = golden_pick(golden_get(f, name), golden_get(e, "pos"));
    const struct array *a = golden_get(e, name);
    check(a->n == picked.n);
    const int64_t bad = golden_differ(a, picked.v, tol);
    mem_free(picked.v);
    return bad;
}

static int64_t off_losses(const struct golden_case *c, const struct golden *e,
                          const struct golden *f)
{
    return differ(e, f, "loss", tolerance(c->loss, 1e-9)) +
           differ(e, f, "nll", tolerance(c->nll, 1e-9));
}

static int64_t off_logits(const struct golden_case *c, const struct golden *e,
                          const struct golden *f)
{
    return differ_at(e, f, "logits", tolerance(c->logits, 1e-9));
}

static int64_t off_hidden(const struct golden_case *c, const struct golden *e,
                          const struct golden *f)
{
    static const char *const names[] = { "hidden.0", "hidden.1", "hidden.2", "hidden.norm" };
    int64_t bad = 0;
    for (int i = 0; i < 4; i++) bad += differ_at(e, f, names[i], tolerance(c->hidden, 1e-9));
    return bad;
}

static int64_t off_grads(const struct golden_case *c, const struct golden *e,
                         const struct golden *f)
{
    int64_t bad = differ(e, f, "grad_norm",
                         tolerance(c->grads, 1e-8) * golden_get(e, "grad_norm")->v[0]);
    int seen = 0;
    for (int i = 0; i < f->count; i++) {
        const struct array *a = &f->a[i];
        if (strncmp(a->name, "grad.", 5)) continue;
        const int idx = strstr(a->name, "learnable_token_idx") != NULL;
        bad += golden_compare(e, a->name, a, tolerance(idx ? c->token_idx : c->grads, 1e-8));
        seen++;
    }
    assert_int_equal(seen, c->n_grads);
    return bad;
}

/* PyTorch's float32 states were not recorded; the worst gradient stands for them. */
static int64_t off_states(const struct golden_case *c, const struct golden *e,
                          const struct golden *f)
{
    static const char *const kinds[] = { "state.", "igrad.", "tail." };
    int64_t bad = 0;
    int seen = 0;
    for (int i = 0; i < f->count; i++) {
        const struct array *a = &f->a[i];
        for (int k = 0; k < 3; k++) {
            if (strncmp(a->name, kinds[k], strlen(kinds[k]))) continue;
            bad += golden_compare(e, a->name, a, tolerance(1.6e-6, 1e-8));
            seen++;
        }
    }
    assert_int_equal(seen, c->n_states);
    return bad;
}

/* We keep the inputs that a later token meets: all but the oldest. */
static int64_t off_convs(const struct golden *e, const struct golden *f)
{
    int64_t bad = 0;
    int seen = 0;
    for (int i = 0; i < f->count; i++) {
        const struct array *a = &f->a[i];
        if (strncmp(a->name, "conv_state.", 11)) continue;
        struct array last = *golden_get(e, a->name);
        double *v = mem_new(a->n, sizeof *v, a->name), largest = 0;
        assert_int_equal(last.shape[2], 4);
        assert_int_equal(a->shape[2], 3);
        for (int64_t k = 0; k < a->n; k++) {
            v[k] = last.v[k / 3 * 4 + 1 + k % 3];
            if (fabs(v[k]) > largest) largest = fabs(v[k]);
        }
        last.shape[2] = 3;
        last.n = a->n;
        last.v = v;
        bad += golden_differ(&last, a->v, tolerance(1.6e-6, 1e-8) * largest);
        mem_free(v);
        seen++;
    }
    assert_int_equal(seen, 4);
    return bad;
}

static int64_t off_inner(const struct golden_case *c, const struct golden *f)
{
    static const char *const names[] = { "w0", "before", "after" };
    struct golden e;
    int64_t bad = 0;

    expected(&e, c, "inner_loss.safetensors");
    for (int i = 0; i < 3; i++)
        bad += golden_compare(&e, names[i], golden_get(f, names[i]), tolerance(1.6e-6, 1e-9));
    golden_close(&e);
    return bad;
}

/* --- tests ------------------------------------------------------------------ */

static void numbers_are_the_authors(void **state)
{
    (void)state;
    int64_t bad = 0;

    for (int i = 0; i < CASES; i++) {
        struct golden e, f;
        expected(&e, &cases[i], "expected_f64.safetensors");
        run(&f, &cases[i], NULL, 0);
        fprintf(stderr, "  case %s\n", cases[i].name);
        bad += off_losses(&cases[i], &e, &f) + off_logits(&cases[i], &e, &f) +
               off_hidden(&cases[i], &e, &f) + off_grads(&cases[i], &e, &f) +
               off_states(&cases[i], &e, &f);
        if (i != 2) bad += off_inner(&cases[i], &f);       /* none for ragged        */
        if (i != 1 && i != 4) bad += off_convs(&e, &f);    /* (T) has no convolution */
        golden_close(&e);
        golden_close(&f);
    }
    assert_int_equal(bad, 0);
}

/* One parameter a thousandth off, and every kind of comparison says so. */
static void a_spoilt_parameter_is_noticed(void **state)
{
    (void)state;
    struct golden e, f;

    golden_speak(0);
    expected(&e, &cases[0], "expected_f64.safetensors");
    run(&f, &cases[0], "model.layers.0.seq_modeling_block.ttt_norm_weight", 0);
    assert_true(off_losses(&cases[0], &e, &f) > 0);
    assert_true(off_logits(&cases[0], &e, &f) > 0);
    assert_true(off_hidden(&cases[0], &e, &f) > 0);
    assert_true(off_grads(&cases[0], &e, &f) > 0);
    assert_true(off_states(&cases[0], &e, &f) > 0);
    assert_true(off_inner(&cases[0], &f) > 0);
    assert_true(off_convs(&e, &f) > 0);
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

    for (int i = 0; i < CASES; i++) {
        struct golden whole, cut;
        run(&whole, &cases[i], NULL, 0);
        for (int k = 0; k < 3; k++) {
            run(&cut, &cases[i], NULL, slices[k]);
            for (int n = 0; n < whole.count; n++) {
                const char *name = whole.a[n].name;
                if (strncmp(name, "grad", 4) && !same_bits(&whole, &cut, name))
                    fail_msg("case %s: slices of %d change %s", cases[i].name, slices[k], name);
            }
            golden_close(&cut);
        }
        run(&cut, &cases[i], "model.norm.weight", 16);  /* and same_bits() can fail */
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
    run(&one, &cases[2], NULL, 32);
    omp_set_num_threads(3);
    run(&three, &cases[2], NULL, 32);
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
    struct golden e, f;

    close(mkstemp(file));
    assert_int_equal(cmd_probe(10, argv), OK);
    golden_open(&f, file);
    unlink(file);
    expected(&e, &cases[1], "expected_f64.safetensors");
    assert_int_equal(off_losses(&cases[1], &e, &f) + off_logits(&cases[1], &e, &f) +
                     off_hidden(&cases[1], &e, &f) + off_grads(&cases[1], &e, &f) +
                     off_states(&cases[1], &e, &f) + off_inner(&cases[1], &f), 0);
    golden_close(&e);
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
