/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/probe.h"

#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/infer/probe_put.h"
#include "src/model/pass.h"

/* What a run needs in addition to its results. */
struct run {
    struct probe            *p;
    const struct probe_opts *o;
    struct probe_input       in;
    int      slice;
    int64_t  t0;                      /* where the current slice begins */
    real   **hidden;                  /* (layers + 1) of (B,L,C), or NULL */
    double  *inner;                   /* (3, layers, cap), or NULL */
    int     *inner_n, inner_cap;      /* (layers) mini-batches seen */
};

/* --- forward -------------------------------------------------------------- */

/* A slice x (B,T,C) to its place in out (B,L,C). */
static void place(const struct run *r, real *out, const real *x, int T, int C)
{
    for (int b = 0; b < r->in.B; b++)
        memcpy(out + ((int64_t)b * r->in.L + r->t0) * C, x + (int64_t)b * T * C,
               (size_t)T * (size_t)C * sizeof *x);
}

static void tap_hidden(void *ctx, int i, const real *x, int B, int T)
{
    const struct run *r = ctx;
    (void)B;
    place(r, r->hidden[i], x, T, r->in.m->dims.C);
}

static void tap_inner(void *ctx, int l, int n, const double *w0, const double *before,
                      const double *after)
{
    struct run *r = ctx;
    const double *const v[3] = { w0, before, after };
    const int layers = r->in.m->dims.L;

    check(r->inner_n[l] + n <= r->inner_cap);
    for (int i = 0; i < 3; i++)
        memcpy(r->inner + ((int64_t)i * layers + l) * r->inner_cap + r->inner_n[l], v[i],
               (size_t)n * sizeof *v[i]);
    r->inner_n[l] += n;
}

static void read_slices(struct run *r, struct stream *s, real *logits, double *nll, real *norm)
{
    const struct stream_tap tap = { .ctx = r, .hidden = r->hidden ? tap_hidden : NULL,
                                    .inner = r->inner ? tap_inner : NULL };
    const int C = r->in.m->dims.C;
    int32_t *tok = mem_new((int64_t)r->in.B * r->slice, sizeof *tok, "probe tokens");
    real *x = mem_new((int64_t)r->in.B * r->slice * C, sizeof *x, "probe hidden states");

    for (r->t0 = 0; r->t0 < r->in.L; r->t0 += r->slice) {
        const int T = r->in.L - r->t0 < r->slice ? (int)(r->in.L - r->t0) : r->slice;
        for (int b = 0; b < r->in.B; b++)
            memcpy(tok + (int64_t)b * T, r->in.tok + (int64_t)b * r->in.L + r->t0,
                   (size_t)T * sizeof *tok);
        stream_read(s, x, tok, T, &tap);
        for (int b = 0; b < r->in.B; b++)
            probe_score(&r->in, logits, nll, x + (int64_t)b * T * C, b, r->t0, T);
        if (norm) place(r, norm, x, T, C);
    }
    mem_free(tok);
    mem_free(x);
}

static void forward(struct run *r)
{
    const struct probe_input *in = &r->in;
    const int C = in->m->dims.C, layers = in->m->dims.L;
    const int64_t hidden[3] = { in->B, in->L, C };
    struct stream *s = stream_new(in->m, in->B, r->slice);
    real *norm = NULL;
    double *nll = mem_new((int64_t)in->B * (in->L - 1), sizeof *nll, "probe losses");
    real *logits = probe_put(r->p, 3, (int64_t[]){ in->B, in->L, in->m->dims.V }, "logits");

    if (r->o->hidden) {
        r->hidden = mem_new(layers + 1, sizeof *r->hidden, "probe hidden states");
        for (int i = 0; i <= layers; i++) r->hidden[i] = probe_put(r->p, 3, hidden, "hidden.%d", i);
        norm = probe_put(r->p, 3, hidden, "hidden.norm");
    }
    const int inner = r->o->inner && model_has_inner(in->m);
    if (inner) {
        r->inner_cap = in->L / in->m->dims.K + in->L / r->slice + 2;
        r->inner = mem_new(3 * (int64_t)layers * r->inner_cap, sizeof *r->inner, "inner losses");
        r->inner_n = mem_new(layers, sizeof *r->inner_n, "inner losses");
    }
    read_slices(r, s, logits, nll, norm);
    probe_put_losses(r->p, in, nll);
    int batches = 0;  /* layers with an inner loop have seen as many, the others none */
    if (inner)
        for (int l = 0; l < layers; l++)
            if (r->inner_n[l] > batches) batches = r->inner_n[l];
    if (inner) probe_put_inner(r->p, in, r->inner, batches, r->inner_cap);
    if (r->o->states)
        for (int l = 0; l < layers; l++)
            for (int i = 0; probe_put_state(r->p, in, l, i, stream_carry(s, l), 0, in->B); i++) ;
    if (r->o->states) probe_put_tails(r->p, in);

    stream_free(s);
    mem_free(nll);
    mem_free(r->hidden);
    mem_free(r->inner);
    mem_free(r->inner_n);
}

/* --- backward ------------------------------------------------------------- */

static void put_grads(struct run *r)
{
    const struct probe_input *in = &r->in;
    const struct pass_opts o = { .context = in->L, .slice_tokens = r->slice, .micro_batch = in->B,
                                 .inner_group = PROBE_INNER_GROUP, .remat = REMAT_NONE,
                                 .mask_token = -1 };
    const int64_t window = in->L + 1;
    int32_t *windows = mem_new(in->B * window, sizeof *windows, "probe windows");
    struct pass *pass = pass_new(in->m, &o);
    struct pass_sums sums = { .bad = 0 };
    struct grad g;

    for (int b = 0; b < in->B; b++) {  /* nothing is known about what follows the last token */
        memcpy(windows + b * window, in->tok + (int64_t)b * in->L,
               (size_t)in->L * sizeof *windows);
        windows[b * window + in->L] = -1;
    }
    grad_init(&g, &in->m->params, REDUCE_FAST);
    grad_begin(&g, (int64_t)pass_units(&o) * in->B);
    pass_run(pass, &g, &sums, windows, in->B);

    for (int i = 0; i < in->m->params.count; i++) {
        const struct param *q = &in->m->params.p[i];
        grad_read(&g, probe_put(r->p, q->ndim, q->shape, "grad.%s", q->name), q->offset, q->n);
    }
    *probe_put(r->p, 1, (int64_t[]){ 1 }, "grad_norm") = (real)sqrt(grad_sumsq(&g));
    grad_done(&g);
    pass_free(pass);
    mem_free(windows);
}

int probe_run(struct probe **out, const struct model *m, const int32_t *tok, int B, int L,
              const struct probe_opts *o)
{
    struct run r = { .o = o, .in = { m, tok, B, L },
                     .slice = o->slice > 0 && o->slice < L ? o->slice : L };
    *out = NULL;
    const int rc = probe_check(&r.in);
    if (rc != OK) return rc;
    if (o->grads && r.slice < L && r.slice % m->dims.K)
        return fail(ERR_USAGE, "gradients need slices that are a multiple of the mini-batch, %d; "
                    "found %d", m->dims.K, r.slice);

    r.p = mem_new(1, sizeof *r.p, "probe");
    forward(&r);
    if (o->grads) put_grads(&r);
    *out = r.p;
    return OK;
}
