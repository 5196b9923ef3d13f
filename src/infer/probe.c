#include "src/infer/probe.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/fixed.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/model/pass.h"

#define INNER_GROUP 4

struct probe {
    struct tensor *t;
    int            n;
};

/* What a run needs beside its results. */
struct run {
    struct probe            *p;
    const struct model      *m;
    const struct probe_opts *o;
    const int32_t           *tok;     /* (B,L) */
    int      B, L, slice;
    int64_t  t0;                      /* where the current slice begins */
    real   **hidden;                  /* (layers + 1) of (B,L,C), or NULL */
    double  *inner;                   /* (3, layers, cap), or NULL */
    int     *inner_n, inner_cap;      /* (layers) mini-batches seen */
};

/* A new tensor of reals, named by a format. */
__attribute__((format(printf, 4, 5)))
static real *put(struct probe *p, int ndim, const int64_t *shape, const char *format, ...)
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

/* --- forward -------------------------------------------------------------- */

/* A slice x (B,T,C) to its place in out (B,L,C). */
static void place(const struct run *r, real *out, const real *x, int T, int C)
{
    for (int b = 0; b < r->B; b++)
        memcpy(out + ((int64_t)b * r->L + r->t0) * C, x + (int64_t)b * T * C,
               (size_t)T * (size_t)C * sizeof *x);
}

static void tap_hidden(void *ctx, int i, const real *x, int B, int T)
{
    const struct run *r = ctx;
    (void)B;
    place(r, r->hidden[i], x, T, r->m->dims.C);
}

static void tap_inner(void *ctx, int l, int n, const double *w0, const double *before,
                      const double *after)
{
    struct run *r = ctx;
    const double *const v[3] = { w0, before, after };
    const int layers = r->m->dims.L;

    check(r->inner_n[l] + n <= r->inner_cap);
    for (int i = 0; i < 3; i++)
        memcpy(r->inner + ((int64_t)i * layers + l) * r->inner_cap + r->inner_n[l], v[i],
               (size_t)n * sizeof *v[i]);
    r->inner_n[l] += n;
}

/* Logits and losses of a slice that begins at t0. */
static void score(const struct run *r, real *logits, double *nll, const real *x, int T)
{
    const int C = r->m->dims.C, V = r->m->dims.V;
    int32_t *target = mem_new(T, sizeof *target, "probe targets");
    double *loss = mem_new(T, sizeof *loss, "probe losses");

    for (int b = 0; b < r->B; b++) {
        const real *x_b = x + (int64_t)b * T * C;
        for (int t = 0; t < T; t++) {
            const int64_t next = r->t0 + t + 1;
            target[t] = next < r->L ? r->tok[(int64_t)b * r->L + next] : -1;
        }
        model_logits(r->m, logits + ((int64_t)b * r->L + r->t0) * V, x_b, T);
        model_nll(r->m, loss, x_b, target, T);
        for (int t = 0; t < T && r->t0 + t + 1 < r->L; t++)
            nll[(int64_t)b * (r->L - 1) + r->t0 + t] = loss[t];
    }
    mem_free(target);
    mem_free(loss);
}

static void read_slices(struct run *r, struct stream *s, real *logits, double *nll, real *norm)
{
    const struct stream_tap tap = { .ctx = r, .hidden = r->hidden ? tap_hidden : NULL,
                                    .inner = r->inner ? tap_inner : NULL };
    const int C = r->m->dims.C;
    int32_t *tok = mem_new((int64_t)r->B * r->slice, sizeof *tok, "probe tokens");
    real *x = mem_new((int64_t)r->B * r->slice * C, sizeof *x, "probe hidden states");

    for (r->t0 = 0; r->t0 < r->L; r->t0 += r->slice) {
        const int T = r->L - r->t0 < r->slice ? (int)(r->L - r->t0) : r->slice;
        for (int b = 0; b < r->B; b++)
            memcpy(tok + (int64_t)b * T, r->tok + (int64_t)b * r->L + r->t0,
                   (size_t)T * sizeof *tok);
        stream_read(s, x, tok, T, &tap);
        score(r, logits, nll, x, T);
        if (norm) place(r, norm, x, T, C);
    }
    mem_free(tok);
    mem_free(x);
}

/* nll (B,L-1) as reals, and their mean. */
static void put_losses(struct run *r, const double *nll)
{
    const int64_t n = (int64_t)r->B * (r->L - 1);
    real *out = put(r->p, 2, (int64_t[]){ r->B, r->L - 1 }, "nll");
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        out[i] = (real)nll[i];
        sum += nll[i];
    }
    *put(r->p, 1, (int64_t[]){ 1 }, "loss") = (real)(sum / (double)n);
}

/* --- what the layers keep ------------------------------------------------- */

/* state - max(0, 1/n + token_idx[n-1]) igrad for every igrad of layer l, n tokens being in the
 * unfinished mini-batch: the last row of eta in the short form. */
static void put_tail(struct run *r, int l, int n)
{
    char name[TENSOR_NAME];
    const int count = r->p->n;

    snprintf(name, sizeof name, "model.layers.%d.seq_modeling_block.learnable_token_idx", l);
    const int k = param_find(&r->m->params, name);
    if (k < 0) return;
    const double row = 1.0 / n + (double)r->m->w[r->m->params.p[k].offset + n - 1];
    const real factor = (real)(row > 0 ? row : 0);

    for (int i = 0; i < count; i++) {
        int layer, at = 0;
        if (sscanf(r->p->t[i].name, "igrad.%d.%n", &layer, &at) != 1 || !at || layer != l) continue;
        snprintf(name, sizeof name, "state.%d.%s", l, r->p->t[i].name + at);
        const struct tensor igrad = r->p->t[i], *state = get(r->p, name);
        if (!state) continue;
        const real *w = state->data, *g = igrad.data;
        real *tail = put(r->p, igrad.ndim, igrad.shape, "tail.%d.%s", l, igrad.name + at);
        for (int64_t j = 0; j < tensor_n(&igrad); j++) tail[j] = w[j] - factor * g[j];
    }
}

/* Part of a carry as (B, shape); of a convolution as (B, channels, taps). */
static void put_part(struct run *r, int l, const char *name, const int shape[3], const real *v,
                     const int64_t stride[2])
{
    /* "W1" is a state; "igrad.W1" and "conv_state.conv_q" say what they are. */
    const char *dot = strchr(name, '.');
    const int conv = !strncmp(name, "conv_state.", 11), rows = shape[1], cols = shape[2];
    const int64_t full[4] = { r->B, shape[0], rows, cols }, turned[3] = { r->B, cols, rows };
    const int kind = dot ? (int)(dot - name) : 5;
    real *out = put(r->p, conv ? 3 : 4, conv ? turned : full, "%.*s.%d.%s", kind,
                    dot ? name : "state", l, dot ? dot + 1 : name);

    for (int b = 0; b < r->B; b++)
        for (int j = 0; j < shape[0]; j++, out += rows * cols) {
            const real *from = v + b * stride[0] + j * stride[1];
            for (int i = 0; i < rows * cols; i++)
                out[conv ? i % cols * rows + i / cols : i] = from[i];
        }
}

static void put_states(struct run *r, const struct stream *s)
{
    const int unfinished = r->L % r->m->dims.K;
    const char *name;
    const real *v;
    int64_t stride[2];
    int shape[3];

    for (int l = 0; l < r->m->dims.L; l++) {
        for (int i = 0; stream_state(s, l, i, &name, shape, &v, stride); i++)
            if (unfinished || strncmp(name, "igrad.", 6)) put_part(r, l, name, shape, v, stride);
        if (unfinished) put_tail(r, l, unfinished);
    }
}

static void put_inner(struct run *r)
{
    static const char *const names[3] = { "w0", "before", "after" };
    const int layers = r->m->dims.L, n = r->inner_n[0];

    for (int i = 0; i < 3; i++) {
        real *out = put(r->p, 2, (int64_t[]){ layers, n }, "%s", names[i]);
        for (int l = 0; l < layers; l++)
            for (int k = 0; k < n; k++)
                out[l * n + k] = (real)r->inner[((int64_t)i * layers + l) * r->inner_cap + k];
    }
}

static void forward(struct run *r)
{
    const int C = r->m->dims.C, layers = r->m->dims.L;
    const int64_t hidden[3] = { r->B, r->L, C };
    struct stream *s = stream_new(r->m, r->B, r->slice);
    real *norm = NULL;
    double *nll = mem_new((int64_t)r->B * (r->L - 1), sizeof *nll, "probe losses");
    real *logits = put(r->p, 3, (int64_t[]){ r->B, r->L, r->m->dims.V }, "logits");

    if (r->o->hidden) {
        r->hidden = mem_new(layers + 1, sizeof *r->hidden, "probe hidden states");
        for (int i = 0; i <= layers; i++) r->hidden[i] = put(r->p, 3, hidden, "hidden.%d", i);
        norm = put(r->p, 3, hidden, "hidden.norm");
    }
    if (r->o->inner) {
        r->inner_cap = r->L / r->m->dims.K + r->L / r->slice + 2;
        r->inner = mem_new(3 * (int64_t)layers * r->inner_cap, sizeof *r->inner, "inner losses");
        r->inner_n = mem_new(layers, sizeof *r->inner_n, "inner losses");
    }
    read_slices(r, s, logits, nll, norm);
    put_losses(r, nll);
    if (r->o->inner) put_inner(r);
    if (r->o->states) put_states(r, s);

    stream_free(s);
    mem_free(nll);
    mem_free(r->hidden);
    mem_free(r->inner);
    mem_free(r->inner_n);
}

/* --- backward ------------------------------------------------------------- */

static void put_grads(struct run *r)
{
    const struct pass_opts o = { .context = r->L, .slice_tokens = r->slice, .micro_batch = r->B,
                                 .inner_group = INNER_GROUP, .remat = REMAT_NONE,
                                 .mask_token = -1 };
    const int64_t window = r->L + 1;
    int32_t *windows = mem_new(r->B * window, sizeof *windows, "probe windows");
    struct pass *pass = pass_new(r->m, &o);
    struct pass_sums sums = { .bad = 0 };
    struct grad g;

    for (int b = 0; b < r->B; b++) {  /* nothing is known about what follows the last token */
        memcpy(windows + b * window, r->tok + (int64_t)b * r->L, (size_t)r->L * sizeof *windows);
        windows[b * window + r->L] = -1;
    }
    grad_init(&g, &r->m->params, REDUCE_FAST);
    grad_begin(&g, (int64_t)pass_units(&o) * r->B);
    pass_run(pass, &g, &sums, windows, r->B);

    for (int i = 0; i < r->m->params.count; i++) {
        const struct param *q = &r->m->params.p[i];
        grad_read(&g, put(r->p, q->ndim, q->shape, "grad.%s", q->name), q->offset, q->n);
    }
    *put(r->p, 1, (int64_t[]){ 1 }, "grad_norm") = (real)sqrt(grad_sumsq(&g));
    grad_done(&g);
    pass_free(pass);
    mem_free(windows);
}

int probe_run(struct probe **out, const struct model *m, const int32_t *tok, int B, int L,
              const struct probe_opts *o)
{
    struct run r = { .m = m, .o = o, .tok = tok, .B = B, .L = L,
                     .slice = o->slice > 0 && o->slice < L ? o->slice : L };
    *out = NULL;
    for (int64_t i = 0; i < (int64_t)B * L; i++)
        if (tok[i] < 0 || tok[i] >= m->dims.V)
            return fail(ERR_CONFIG, "token %lld of sequence %lld is %d, the model knows 0 to %d",
                        (long long)(i % L), (long long)(i / L), (int)tok[i], m->dims.V - 1);
    if (o->grads && r.slice < L && r.slice % m->dims.K)
        return fail(ERR_USAGE, "gradients need slices that are a multiple of the mini-batch, %d; "
                    "found %d", m->dims.K, r.slice);

    r.p = mem_new(1, sizeof *r.p, "probe");
    forward(&r);
    if (o->grads) put_grads(&r);
    *out = r.p;
    return OK;
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
