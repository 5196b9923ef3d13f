/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/golden_probe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/safetensors.h"

const struct golden_case golden_cases[GOLDEN_CASES] = {
    { "M", "tests/golden/ttt_linear_m", "tests/golden/ttt_linear_m",
      3.0e-7, 1.8e-6, 2.7e-6, 3.3e-6, 1.6e-6, 5.2e-6, 52, 4, 4, 3 },
    { "T", "tests/golden/ttt_linear_t", "tests/golden/ttt_linear_t",
      8.6e-8, 2.0e-6, 2.3e-6, 3.4e-6, 1.0e-6, 1.0e-6, 38, 4, 0, 3 },
    { "ragged", "tests/golden/ttt_linear_m", "tests/golden/ttt_linear_m_ragged",
      8.0e-7, 1.7e-6, 3.2e-6, 3.0e-6, 1.4e-6, 1.4e-6, 52, 12, 4, 0 },
    { "MLP M", "tests/golden/ttt_mlp_m", "tests/golden/ttt_mlp_m",
      2.7e-7, 1.5e-6, 2.9e-6, 2.8e-6, 1.3e-6, 1.3e-6, 56, 8, 4, 3 },
    { "MLP T", "tests/golden/ttt_mlp_t", "tests/golden/ttt_mlp_t",
      2.4e-8, 2.0e-6, 3.1e-6, 3.5e-6, 1.1e-6, 1.1e-6, 42, 8, 0, 3 },
    { "Llama", "tests/golden/llama", "tests/golden/llama",
      1.2e-7, 4.8e-6, 8.0e-6, 1.0e-5, 3.0e-6, 3.0e-6, 20, 0, 0, 0 },
    { "Qwen2", "tests/golden/qwen2_llama3", "tests/golden/qwen2_llama3",
      2.3e-7, 1.7e-6, 3.1e-6, 2.6e-6, 8.6e-7, 8.6e-7, 27, 0, 0, 0 },
    { "Mamba", "tests/golden/mamba", "tests/golden/mamba",
      3.7e-8, 1.2e-6, 1.6e-6, 2.7e-6, 1.2e-6, 1.2e-6, 22, 2, 2, 0 },
};

int32_t *golden_tokens(const struct golden_case *c, int *B, int *L)
{
    char path[256];
    struct golden inputs;

    snprintf(path, sizeof path, "%s/inputs.safetensors", c->data);
    golden_open(&inputs, path);
    const struct array *tokens = golden_get(&inputs, "tokens");
    int32_t *tok = mem_new(tokens->n, sizeof *tok, "tokens");
    for (int64_t i = 0; i < tokens->n; i++) tok[i] = (int32_t)tokens->v[i];
    *B = (int)tokens->shape[0];
    *L = (int)tokens->shape[1];
    golden_close(&inputs);
    return tok;
}

void golden_found(struct golden *out, const struct probe *p)
{
    char file[] = "/tmp/ttt-golden-XXXXXX";
    int count;
    const struct tensor *t = probe_tensors(p, &count);
    close(mkstemp(file));
    check(safetensors_save(file, t, count) == OK);
    golden_open(out, file);
    unlink(file);
}

/* In double the tolerance is one number; in float five times what PyTorch's own
 * float32 is off by. */
static double tolerance(double in_float, double in_double)
{
    return sizeof(real) == 8 ? in_double : 5 * in_float;
}

static void open_expected(struct golden *g, const struct golden_case *c, const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", c->data, file);
    golden_open(g, path);
}

void golden_expected(struct golden *out, const struct golden_case *c)
{
    open_expected(out, c, "expected_f64.safetensors");
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

int64_t golden_off_losses(const struct golden_case *c, const struct golden *e,
                          const struct golden *f)
{
    return differ(e, f, "loss", tolerance(c->loss, 1e-9)) +
           differ(e, f, "nll", tolerance(c->nll, 1e-9));
}

int64_t golden_off_logits(const struct golden_case *c, const struct golden *e,
                          const struct golden *f)
{
    return differ_at(e, f, "logits", tolerance(c->logits, 1e-9));
}

int64_t golden_off_hidden(const struct golden_case *c, const struct golden *e,
                          const struct golden *f)
{
    static const char *const names[] = { "hidden.0", "hidden.1", "hidden.2", "hidden.norm" };
    int64_t bad = 0;
    for (int i = 0; i < 4; i++) bad += differ_at(e, f, names[i], tolerance(c->hidden, 1e-9));
    return bad;
}

int64_t golden_off_grads(const struct golden_case *c, const struct golden *e,
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
    check(seen == c->n_grads);
    return bad;
}

/* PyTorch's float32 states were not recorded; the worst gradient stands for them. */
int64_t golden_off_states(const struct golden_case *c, const struct golden *e,
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
    check(seen == c->n_states);
    return bad;
}

/* We keep the inputs that a later token meets: all but the oldest. */
int64_t golden_off_convs(const struct golden_case *c, const struct golden *e,
                         const struct golden *f)
{
    int64_t bad = 0;
    int seen = 0;
    for (int i = 0; i < f->count; i++) {
        const struct array *a = &f->a[i];
        if (strncmp(a->name, "conv_state.", 11)) continue;
        struct array last = *golden_get(e, a->name);
        double *v = mem_new(a->n, sizeof *v, a->name), largest = 0;
        check(last.shape[2] == 4);
        check(a->shape[2] == 3);
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
    check(seen == c->n_convs);
    return bad;
}

int64_t golden_off_inner(const struct golden_case *c, const struct golden *f)
{
    static const char *const names[] = { "w0", "before", "after" };
    struct golden e;
    int64_t bad = 0;

    if (!c->n_inner) return 0;  /* not recorded */
    open_expected(&e, c, "inner_loss.safetensors");
    for (int i = 0; i < c->n_inner; i++)
        bad += golden_compare(&e, names[i], golden_get(f, names[i]), tolerance(1.6e-6, 1e-9));
    golden_close(&e);
    return bad;
}

int64_t golden_off(const struct golden_case *c, const struct golden *f)
{
    struct golden e;
    golden_expected(&e, c);
    const int64_t bad = golden_off_losses(c, &e, f) + golden_off_logits(c, &e, f) +
                        golden_off_hidden(c, &e, f) + golden_off_grads(c, &e, f) +
                        golden_off_states(c, &e, f) + golden_off_convs(c, &e, f) +
                        golden_off_inner(c, f);
    golden_close(&e);
    return bad;
}
