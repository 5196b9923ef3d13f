/* SPDX-License-Identifier: Apache-2.0 */
/* Public kinds of models, as transformers computes them (tests/golden/README.md): their logits and
 * losses, and their folders out again as they came in. */
#include "tests/unit/store_test.h"

#include "src/infer/load.h"
#include "src/infer/probe.h"
#include "src/store/hf.h"
#include "tests/lib/golden.h"

/* What both are allowed to be off from float32 numbers. */
#define LOGITS 4e-5
#define NLL 2e-5

static const char *const kinds[] = { "llama_head_dim", "llama3_scaling", "llama_linear_scaling",
                                     "mistral_full", "qwen2" };
#define KINDS (int)(sizeof kinds / sizeof *kinds)

static const char *file_of(const char *kind, const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "tests/golden/%s/%s", kind, name);
    return p;
}

static struct model *load(const char *folder)
{
    struct load_info info;
    struct model *m;
    assert_int_equal(load_model(&m, &info, folder), OK);
    load_done(&info);
    return m;
}

/* A tensor of the probe as doubles, at the positions `pos` (P) of (B,L,...) if it has three
 * dimensions; the caller's. */
static double *found(const struct tensor *t, int count, const char *name, const struct array *pos)
{
    int i = 0;
    while (i < count && strcmp(t[i].name, name)) i++;
    assert_true(i < count);
    const int64_t L = t[i].shape[1], V = pos ? t[i].shape[2] : 1;
    const int64_t rows = pos ? t[i].shape[0] * pos->n : tensor_n(&t[i]);
    double *v = mem_new(rows * V, sizeof *v, name);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t from = pos ? r / pos->n * L + (int64_t)pos->v[r % pos->n] : r;
        for (int64_t k = 0; k < V; k++)
            v[r * V + k] = (double)((const real *)t[i].data)[from * V + k];
    }
    return v;
}

/* Logits and losses that are off. */
static int64_t off(const struct model *m, const char *kind, int slice)
{
    const struct probe_opts o = { .slice = slice };
    struct golden in, want;
    struct probe *p;
    int count;

    golden_open(&in, file_of(kind, "inputs.safetensors"));
    golden_open(&want, file_of(kind, "expected_f32.safetensors"));
    const struct array *tokens = golden_get(&in, "tokens"), *pos = golden_get(&want, "pos");
    int32_t *tok = mem_new(tokens->n, sizeof *tok, "tokens");
    for (int64_t i = 0; i < tokens->n; i++) tok[i] = (int32_t)tokens->v[i];
    assert_int_equal(probe_run(&p, m, tok, (int)tokens->shape[0], (int)tokens->shape[1], &o), OK);
    const struct tensor *t = probe_tensors(p, &count);
    double *logits = found(t, count, "logits", pos), *nll = found(t, count, "nll", NULL);
    const int64_t n = golden_differ(golden_get(&want, "logits"), logits, LOGITS) +
                      golden_differ(golden_get(&want, "nll"), nll, NLL);
    mem_free(logits);
    mem_free(nll);
    mem_free(tok);
    probe_free(p);
    golden_close(&in);
    golden_close(&want);
    return n;
}

static void numbers_are_those_of_transformers(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        char folder[128];
        snprintf(folder, sizeof folder, "tests/golden/%s", kinds[i]);
        struct model *m = load(folder);
        assert_int_equal(off(m, kinds[i], 0), 0);
        assert_int_equal(off(m, kinds[i], 33), 0);
        model_free(m);
    }
}

/* What makes a model one of its kind, left out. */
static void forget(struct model *m)
{
    for (int l = 0; l < m->dims.L; l++) m->blocks[l].d.rope_scaling = ROPE_DEFAULT;
    for (int i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.p[i];
        if (p->ndim == 1 && strstr(p->name, "_proj.bias"))
            memset(m->w + p->offset, 0, (size_t)p->n * sizeof *m->w);
    }
}

static void a_part_left_out_is_noticed(void **state)
{
    (void)state;
    static const int part[KINDS] = { 0, 1, 1, 0, 1 };
    golden_speak(0);
    for (int i = 0; i < KINDS; i++) {
        char folder[128];
        snprintf(folder, sizeof folder, "tests/golden/%s", kinds[i]);
        struct model *m = load(folder);
        forget(m);
        assert_true((off(m, kinds[i], 0) > 1000) == part[i]);
        model_free(m);
    }
    golden_speak(1);
}

/* The same folder, to the bit and to the last key, when it goes out again. */
static void folders_come_out_as_they_went_in(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        char folder[128];
        json_t *base = NULL, *out = NULL;
        char *a = NULL, *b = NULL;
        size_t n = 0, k = 0;
        snprintf(folder, sizeof folder, "tests/golden/%s", kinds[i]);
        struct model *m = load(folder);
        const char *to = at(kinds[i]);
        assert_int_equal(hf_read_json(&base, folder), OK);
        assert_int_equal(hf_write(to, &m->dims, &m->params, m->w, base, 0), OK);
        assert_int_equal(hf_read_json(&out, to), OK);
        struct dims back;
        assert_int_equal(hf_read_config(&back, to), OK);
        assert_memory_equal(&back, &m->dims, sizeof back);
        if (sizeof(real) == sizeof(float)) {
            assert_true(json_equal(base, out));
            char *path = mem_format("%s/model.safetensors", to);
            assert_int_equal(file_slurp(&a, &n, path, 1 << 24), OK);
            assert_int_equal(file_slurp(&b, &k, file_of(kinds[i], "model.safetensors"), 1 << 24), OK);
            const size_t data = (size_t)m->params.n * sizeof(float);
            assert_true(n > data && k > data);
            assert_memory_equal(a + n - data, b + k - data, data);
            mem_free(path);
        }
        mem_free(a);
        mem_free(b);
        json_decref(base);
        json_decref(out);
        model_free(m);
    }
}

/* Without the file that it came from (as after fine-tuning) a model is still of its kind. */
static void a_kind_follows_from_the_dims(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        char folder[128];
        struct dims back;
        json_t *out = NULL;
        snprintf(folder, sizeof folder, "tests/golden/%s", kinds[i]);
        struct model *m = load(folder);
        const char *to = at(kinds[i]);
        char *alone = mem_format("%s-alone", to);
        assert_int_equal(hf_write(alone, &m->dims, &m->params, m->w, NULL, 100), OK);
        assert_int_equal(hf_read_config(&back, alone), OK);
        assert_memory_equal(&back, &m->dims, sizeof back);
        assert_int_equal(hf_read_json(&out, alone), OK);
        assert_string_equal(json_string_value(json_object_get(out, "model_type")),
                            !strcmp(kinds[i], "qwen2") ? "qwen2" : "llama");
        struct model *again = load(alone);
        assert_int_equal(off(again, kinds[i], 0), 0);
        model_free(again);
        json_decref(out);
        mem_free(alone);
        model_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_transformers),
        cmocka_unit_test(a_part_left_out_is_noticed),
        cmocka_unit_test(folders_come_out_as_they_went_in),
        cmocka_unit_test(a_kind_follows_from_the_dims),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
