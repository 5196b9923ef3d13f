/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/probe_put.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"

int probe_check(const struct probe_input *in)
{
    for (int64_t i = 0; i < (int64_t)in->B * in->L; i++)
        if (in->tok[i] < 0 || in->tok[i] >= in->m->dims.V)
            return fail(ERR_CONFIG, "token %lld of sequence %lld is %d, the model knows 0 to %d",
                        (long long)(i % in->L), (long long)(i / in->L), (int)in->tok[i],
                        in->m->dims.V - 1);
    return model_check_window(&in->m->dims, in->L);
}

real *probe_put(struct probe *p, int ndim, const int64_t *shape, const char *format, ...)
{
    va_list ap;

    p->t = mem_resize(p->t, p->n + 1, sizeof *p->t, "probe tensors");
    struct tensor *t = &p->t[p->n++];
    *t = (struct tensor){ .dtype = sizeof(real) == 8 ? DT_F64 : DT_F32, .ndim = ndim };
    va_start(ap, format);
    vsnprintf(t->name, sizeof t->name, format, ap);
    va_end(ap);
    for (int i = 0; i < ndim; i++) t->shape[i] = shape[i];
    t->data = mem_new(tensor_n(t), sizeof(real), t->name);
    return t->data;
}

static const struct tensor *get(const struct probe *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->t[i].name, name)) return &p->t[i];
    return NULL;
}

void probe_free(struct probe *p)
{
    if (!p) return;
    for (int i = 0; i < p->n; i++) mem_free(p->t[i].data);
    mem_free(p->t);
    mem_free(p);
}

const struct tensor *probe_tensors(const struct probe *p, int *count)
{
    *count = p->n;
    return p->t;
}

/* --- what is scored --------------------------------------------------------- */

void probe_score(const struct probe_input *in, real *logits, double *nll, const real *x, int b,
                 int64_t t0, int T)
{
    const int32_t *tok = in->tok + (int64_t)b * in->L;
    int32_t *target = mem_new(T, sizeof *target, "probe targets");
    double *loss = mem_new(T, sizeof *loss, "probe losses");

    for (int t = 0; t < T; t++) target[t] = t0 + t + 1 < in->L ? tok[t0 + t + 1] : -1;
    bf16 *rows = mem_new(in->m->bf16 ? bf16_rows_size(T, in->m->dims.C) : 0, sizeof *rows,
                         "probe logits");
    model_logits(in->m, logits + ((int64_t)b * in->L + t0) * in->m->dims.V, x, T, rows);
    mem_free(rows);
    model_nll(in->m, loss, x, target, T);
    for (int t = 0; t < T && t0 + t + 1 < in->L; t++)
        nll[(int64_t)b * (in->L - 1) + t0 + t] = loss[t];
    mem_free(target);
    mem_free(loss);
}

void probe_put_losses(struct probe *p, const struct probe_input *in, const double *nll)
{
    const int64_t n = (int64_t)in->B * (in->L - 1);
    real *out = probe_put(p, 2, (int64_t[]){ in->B, in->L - 1 }, "nll");
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        out[i] = (real)nll[i];
        sum += nll[i];
    }
    *probe_put(p, 1, (int64_t[]){ 1 }, "loss") = (real)(sum / (double)n);
}

void probe_put_inner(struct probe *p, const struct probe_input *in, const double *v, int n,
                     int64_t stride)
{
    static const char *const names[3] = { "w0", "before", "after" };
    const int layers = in->m->dims.L;

    for (int i = 0; i < 3; i++) {
        real *out = probe_put(p, 2, (int64_t[]){ layers, n }, "%s", names[i]);
        for (int l = 0; l < layers; l++) {
            const int has = block_has_inner(&in->m->blocks[l]);
            for (int k = 0; k < n; k++)
                out[l * n + k] = has ? (real)v[((int64_t)i * layers + l) * stride + k] : (real)NAN;
        }
    }
}

/* --- what the layers keep ------------------------------------------------- */

/* state - max(0, 1/n + token_idx[n-1]) igrad for every igrad of layer l, n tokens being in the
 * unfinished mini-batch: the last row of eta in the short form. */
static void put_tail(struct probe *p, const struct model *m, int l, int n)
{
    char name[TENSOR_NAME];
    const int count = p->n;

    snprintf(name, sizeof name, "model.layers.%d.seq_modeling_block.learnable_token_idx", l);
    const int k = param_find(&m->params, name);
    if (k < 0) return;
    const double row = 1.0 / n + (double)m->w[m->params.p[k].offset + n - 1];
    const real factor = (real)(row > 0 ? row : 0);

    for (int i = 0; i < count; i++) {
        int layer, at = 0;
        if (sscanf(p->t[i].name, "igrad.%d.%n", &layer, &at) != 1 || !at || layer != l) continue;
        snprintf(name, sizeof name, "state.%d.%s", l, p->t[i].name + at);
        const struct tensor igrad = p->t[i], *state = get(p, name);
        if (!state) continue;
        const real *w = state->data, *g = igrad.data;
        real *tail = probe_put(p, igrad.ndim, igrad.shape, "tail.%d.%s", l, igrad.name + at);
        for (int64_t j = 0; j < tensor_n(&igrad); j++) tail[j] = w[j] - factor * g[j];
    }
}

void probe_put_tails(struct probe *p, const struct probe_input *in)
{
    const int unfinished = in->L % in->m->dims.K;
    if (unfinished)
        for (int l = 0; l < in->m->dims.L; l++) put_tail(p, in->m, l, unfinished);
}

/* Carries are kept as (B, shape), those of channels, a convolution's or a state space's, as
 * (B, channels, rows). */
int probe_put_state(struct probe *p, const struct probe_input *in, int l, int i,
                    const real *carry, int b0, int B)
{
    const char *name;
    const real *v;
    int64_t stride[2];
    int shape[3];

    if (!block_state(&in->m->blocks[l], B, carry, i, &name, shape, &v, stride))
        return 0;
    if (in->L % in->m->dims.K == 0 && !strncmp(name, "igrad.", 6)) return 1;
    /* "W1" is a state; "igrad.W1", "conv_state.conv_q" and "state.ssm" say what they are. */
    const char *dot = strchr(name, '.');
    const int conv = dot && strncmp(name, "igrad.", 6), rows = shape[1], cols = shape[2];
    const int64_t full[4] = { in->B, shape[0], rows, cols }, turned[3] = { in->B, cols, rows };
    const int kind = dot ? (int)(dot - name) : 5;
    real *out = probe_put(p, conv ? 3 : 4, conv ? turned : full, "%.*s.%d.%s", kind,
                          dot ? name : "state", l, dot ? dot + 1 : name);

    out += (int64_t)b0 * shape[0] * rows * cols;
    if (carry)
        for (int b = 0; b < B; b++)
            for (int j = 0; j < shape[0]; j++, out += rows * cols) {
                const real *from = v + b * stride[0] + j * stride[1];
                for (int k = 0; k < rows * cols; k++)
                    out[conv ? k % cols * rows + k / cols : k] = from[k];
            }
    return 1;
}
