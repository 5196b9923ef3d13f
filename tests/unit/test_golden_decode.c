/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a prompt and then token by token, against the authors' code. */
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/infer/generate.h"
#include "src/infer/load.h"
#include "tests/lib/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { B = 2, STEPS = 12, V = 256 };

/* logits_full is float32, so its own error is there in double too.  Ours comes on top in float:
 * both five times the difference that tests/golden/README.md lists for float32. */
static const struct { const char *folder; int prompts[3]; double tol; } cases[] = {
    { "tests/golden/ttt_linear_m", { 3, 32, 41 }, 5 * 2.7e-6 },
    { "tests/golden/ttt_linear_t", { 32, 41, 0 }, 5 * 2.3e-6 },
    { "tests/golden/ttt_mlp_m", { 32, 41, 0 }, 5 * 2.9e-6 },
    { "tests/golden/ttt_mlp_t", { 32, 41, 0 }, 5 * 3.1e-6 },
    { "tests/golden/llama", { 32, 41, 0 }, 5 * 8.0e-6 },
    { "tests/golden/qwen2_llama3", { 32, 41, 0 }, 5 * 3.1e-6 },
    { "tests/golden/mamba", { 32, 41, 0 }, 5 * 1.6e-6 },
};
#define CASES (int)(sizeof cases / sizeof *cases)

static struct model *load(const char *folder)
{
    struct load_info info;
    struct model *m;
    if (load_model(&m, &info, folder) != OK) die("%s can't be read", folder);
    load_done(&info);
    return m;
}

static const struct array *get(const struct golden *g, int prompt, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "p%d.%s", prompt, what);
    return golden_get(g, name);
}

static int32_t *integers(const struct array *a)
{
    int32_t *v = mem_new(a->n, sizeof *v, a->name);
    for (int64_t i = 0; i < a->n; i++) v[i] = (int32_t)a->v[i];
    return v;
}

/* Read n tokens of B sequences in slices of at most `slice`, then the golden tokens one by one:
 * logits (B,STEPS,V) that choose each. */
static void decode(const struct model *m, double *out, const int32_t *prompt, int n,
                   const int32_t *tokens, int slice)
{
    const int C = m->dims.C, total = n + STEPS - 1;
    struct stream *s = stream_new(m, B, slice);
    int32_t *tok = mem_new(B * slice, sizeof *tok, "tokens");
    real *x = mem_new((int64_t)B * slice * C, sizeof *x, "hidden states"), logits[V];

    for (int t0 = 0, T; t0 < total; t0 += T) {
        T = t0 >= n ? 1 : n - t0 < slice ? n - t0 : slice;
        for (int b = 0; b < B; b++)
            for (int t = 0; t < T; t++)
                tok[b * T + t] = t0 + t < n ? prompt[b * n + t0 + t] : tokens[b * STEPS + t0 - n];
        if (t0 >= n) stream_next(s, x, tok);
        else stream_read(s, x, tok, T, NULL);
        for (int b = 0; b < B && t0 + T >= n; b++) {
            model_next_logits(m, logits, x + (int64_t)(b * T + T - 1) * C);
            for (int v = 0; v < V; v++)
                out[((int64_t)b * STEPS + t0 + T - n) * V + v] = (double)logits[v];
        }
    }
    assert_int_equal(stream_pos(s), total);
    stream_free(s);
    mem_free(tok);
    mem_free(x);
}

static int64_t off_logits(const struct model *m, const struct golden *g, int n, int slice,
                          double tol)
{
    int32_t *prompt = integers(get(g, n, "prompt")), *tokens = integers(get(g, n, "tokens"));
    double *out = mem_new(B * STEPS * V, sizeof *out, "logits");

    decode(m, out, prompt, n, tokens, slice);
    const int64_t bad = golden_differ(get(g, n, "logits_full"), out, tol);
    mem_free(prompt);
    mem_free(tokens);
    mem_free(out);
    return bad;
}

/* Prefill in the dual form at once, in pieces that cut mini-batches, or token by token: after
 * it one token at a time, over the end of a mini-batch. */
static void cached_is_full(void **state)
{
    (void)state;
    static const int slices[] = { 64, 16, 7, 1 };
    int64_t bad = 0;

    for (int c = 0; c < CASES; c++) {
        char path[128];
        struct golden g;
        struct model *m = load(cases[c].folder);
        snprintf(path, sizeof path, "%s/decode.safetensors", cases[c].folder);
        golden_open(&g, path);
        for (int i = 0; i < 3 && cases[c].prompts[i]; i++)
            for (int k = 0; k < 4; k++)
                bad += off_logits(m, &g, cases[c].prompts[i], slices[k], cases[c].tol);
        model_free(m);
        golden_close(&g);
    }
    assert_int_equal(bad, 0);
}

static void a_spoilt_parameter_is_noticed(void **state)
{
    (void)state;
    struct golden g;
    struct model *m = load(cases[0].folder);
    const struct param *p =
        &m->params.p[param_find(&m->params, "model.layers.1.seq_modeling_block.W1")];

    for (int64_t i = 0; i < p->n; i++) m->w[p->offset + i] *= (real)1.001;
    golden_open(&g, "tests/golden/ttt_linear_m/decode.safetensors");
    golden_speak(0);
    assert_true(off_logits(m, &g, 41, 64, cases[0].tol) > 0);
    golden_speak(1);
    model_free(m);
    golden_close(&g);
}

struct text { int32_t ids[STEPS]; int n; };

static int collect(void *ctx, int32_t token)
{
    struct text *t = ctx;
    t->ids[t->n++] = token;
    return OK;
}

static void greedy_tokens_are_equal(void **state)
{
    (void)state;
    const struct generate_opts o = { .sampler = { .temperature = 0, .top_p = 1 }, .tokens = STEPS,
                                     .slice = 64, .eos = -1 };
    for (int c = 0; c < CASES; c++) {
        char path[128];
        struct golden g;
        struct model *m = load(cases[c].folder);
        snprintf(path, sizeof path, "%s/decode.safetensors", cases[c].folder);
        golden_open(&g, path);
        for (int i = 0; i < 3 && cases[c].prompts[i]; i++) {
            const int n = cases[c].prompts[i];
            int32_t *prompt = integers(get(&g, n, "prompt"));
            int32_t *want = integers(get(&g, n, "tokens"));
            for (int b = 0; b < B; b++) {
                struct generate_stats stats;
                struct text text = { .n = 0 };
                const int rc = generate_run(m, prompt + b * n, n, &o, collect, &text, &stats);
                assert_int_equal(rc, OK);
                assert_int_equal(text.n, STEPS);
                assert_memory_equal(text.ids, want + b * STEPS, sizeof text.ids);
            }
            mem_free(prompt);
            mem_free(want);
        }
        model_free(m);
        golden_close(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cached_is_full),
        cmocka_unit_test(a_spoilt_parameter_is_noticed),
        cmocka_unit_test(greedy_tokens_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
