/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/infer/grid_probe.h"

#include <math.h>
#include <string.h>

#include "mpi/step/reduce.h"
#include "mpi/step/step_exec.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/infer/probe_put.h"
#include "src/kernels/rmsnorm.h"

struct probing {
    const struct grid       *g;
    const struct probe_opts *o;
    struct probe_input       in;
    struct pass_opts         pass;
    struct probe            *p;
    struct step_exec        *exec;
    const struct share      *a;
    double                  *stats;    /* (layers, B, H, mini-batches, 3), or NULL */
};

/* --- putting together ---------------------------------------------------------- */

/* Put the parts of all ranks together on rank 0: each byte that is not zero comes from one rank, or
 * from several that have the same value. */
static void gather(const struct grid *g, void *data, int64_t bytes)
{
    const int64_t most = 1 << 30;
    for (int64_t at = 0; at < bytes; at += most) {
        const int n = mpi_count(bytes - at < most ? bytes - at : most);
        char *part = (char *)data + at;
        mpi_do(MPI_Reduce(g->world.rank == 0 ? MPI_IN_PLACE : part, part, n, MPI_BYTE, MPI_BOR, 0,
                          g->world.comm));
    }
}

/* Tensors from number `first` on. */
static void gather_tensors(struct probing *z, int first)
{
    for (int i = first; i < z->p->n; i++)
        gather(z->g, z->p->t[i].data, tensor_n(&z->p->t[i]) * (int64_t)sizeof(real));
}

/* --- forward --------------------------------------------------------------------- */

/* Units of at least one mini-batch for every rank along S.  A last unit of one token would be
 * rounded differently (gemm.h), so another length is tried. */
static int choose_units(struct probing *z)
{
    const int K = z->in.m->dims.K, L = z->in.L;
    const struct grid_shape *s = &z->g->shape;
    int slice = z->o->slice ? z->o->slice : s->S == 1 ? L : L / s->S / K * K;

    if (slice < K && slice < L) slice = K;
    while (!z->o->slice && slice > K && slice < L && (L - 1) % slice == 0) slice -= K;
    if (slice < L && slice % K)
        return fail(ERR_USAGE, "--slice is %d; on a grid it must be a multiple of the mini-batch, "
                    "%d tokens", slice, K);
    z->pass = (struct pass_opts){
        .context = L, .slice_tokens = slice < L ? slice : L, .remat = REMAT_NONE, .mask_token = -1,
        .inner_group = PROBE_INNER_GROUP, .micro_batch = (z->in.B + s->D - 1) / s->D,
    };
    const struct step_shape work = { .L = z->in.m->dims.L, .U = pass_units(&z->pass),
                                     .sequences = z->in.B, .micro_batch = z->pass.micro_batch };
    if (s->S > work.U)
        return fail(ERR_CONFIG, "grid %dx%dx%d: %d tokens make %d units of %d tokens, and each of "
                    "%d ranks needs one", s->D, s->P, s->S, L, work.U, z->pass.slice_tokens, s->S);
    return share_check(s, &work);
}

static void tell_inner(void *ctx, int l, int64_t sequence, int64_t position, const double *stats,
                       int n)
{
    struct probing *z = ctx;
    const struct dims *d = &z->in.m->dims;
    const int all = z->in.L / d->K;
    const int64_t b = z->a->q0 + sequence, k0 = position / d->K;

    for (int h = 0; h < d->H; h++)
        memcpy(z->stats + ((((int64_t)l * z->in.B + b) * d->H + h) * all + k0) * 3,
               stats + (int64_t)h * n * 3, (size_t)n * 3 * sizeof *stats);
}

/* Means over sequences, heads and tokens, added in the order of one process. */
static void put_inner(struct probing *z)
{
    const struct dims *d = &z->in.m->dims;
    const int n = z->in.L / d->K;
    const int64_t heads = (int64_t)z->in.B * d->H;
    double *mean = mem_new((int64_t)3 * d->L * n, sizeof *mean, "inner losses");

    gather(z->g, z->stats, d->L * heads * n * 3 * (int64_t)sizeof *z->stats);
    for (int i = 0; i < 3; i++)
        for (int l = 0; l < d->L; l++)
            for (int k = 0; k < n; k++) {
                double sum = 0;
                for (int64_t bh = 0; bh < heads; bh++)
                    sum += z->stats[((l * heads + bh) * n + k) * 3 + i];
                mean[((int64_t)i * d->L + l) * n + k] = sum / ((double)heads * d->K);
            }
    probe_put_inner(z->p, &z->in, mean, n, n);
    mem_free(mean);
}

/* Copy the rows of unit u, x (B,T,C), of this rank's sequences to their place in out (B,L,C). */
static void place(const struct probing *z, real *out, const real *x, int u)
{
    const int C = z->in.m->dims.C, T = stage_tokens(step_exec_stage(z->exec), u);
    const int64_t t0 = (int64_t)u * z->pass.slice_tokens;
    for (int b = z->a->q0; b < z->a->q1; b++)
        memcpy(out + ((int64_t)b * z->in.L + t0) * C, x + (int64_t)(b - z->a->q0) * T * C,
               (size_t)T * (size_t)C * sizeof *x);
}

/* Final norm, logits and losses of unit u, on the last stage. */
static void score(struct probing *z, real *norm, real *logits, double *nll, int u)
{
    const struct model *m = z->in.m;
    struct stage *st = step_exec_stage(z->exec);
    const int C = m->dims.C, T = stage_tokens(st, u), B = z->a->q1 - z->a->q0;
    real *x = mem_new((int64_t)B * T * C, sizeof *x, "probe hidden states");
    real *r = mem_new((int64_t)B * T, sizeof *r, "probe hidden states");

    rmsnorm_forward(x, r, stage_x(st, 0, m->dims.L, u), m->w + m->params.p[m->i_norm].offset,
                    B * T, C, m->dims.rms_eps);
    for (int b = 0; b < B; b++)
        probe_score(&z->in, logits, nll, x + (int64_t)b * T * C, z->a->q0 + b,
                    (int64_t)u * z->pass.slice_tokens, T);
    if (norm) place(z, norm, x, u);
    mem_free(x);
    mem_free(r);
}

/* Copy the activations that the step left in its slot. */
static void put_forward(struct probing *z)
{
    const struct dims *d = &z->in.m->dims;
    const struct share *a = z->a;
    const int64_t shape[3] = { z->in.B, z->in.L, d->C }, losses = (int64_t)z->in.B * (z->in.L - 1);
    const int here = a->q1 > a->q0, last = here && a->p == z->g->shape.P - 1;
    double *nll = mem_new(losses, sizeof *nll, "probe losses");
    real *logits = probe_put(z->p, 3, (int64_t[]){ z->in.B, z->in.L, d->V }, "logits"), *norm;

    if (z->o->hidden)
        for (int l = 0; l <= d->L; l++) {
            real *out = probe_put(z->p, 3, shape, "hidden.%d", l);
            if (here && l >= a->l0 && l <= a->l1)
                for (int u = a->u0; u < a->u1; u++)
                    place(z, out, stage_x(step_exec_stage(z->exec), 0, l, u), u);
        }
    norm = z->o->hidden ? probe_put(z->p, 3, shape, "hidden.norm") : NULL;
    if (last)
        for (int u = a->u0; u < a->u1; u++) score(z, norm, logits, nll, u);
    gather(z->g, nll, losses * (int64_t)sizeof *nll);
    gather_tensors(z, 0);
    probe_put_losses(z->p, &z->in, nll);
    mem_free(nll);
}

/* The carries after the last chunk. */
static void put_states(struct probing *z)
{
    const struct share *a = z->a;
    const int first = z->p->n, last = a->q1 > a->q0 && a->s == z->g->shape.S - 1;

    for (int l = 0; l < z->in.m->dims.L; l++) {
        const int ours = last && l >= a->l0 && l < a->l1;
        const real *carry = ours ? stage_carry(step_exec_stage(z->exec), 0, l) : NULL;
        for (int i = 0; probe_put_state(z->p, &z->in, l, i, carry, a->q0, a->q1 - a->q0); i++) ;
    }
    gather_tensors(z, first);
    probe_put_tails(z->p, &z->in);
}

/* --- backward -------------------------------------------------------------------- */

/* Gradients: each rank has the part of the sum that it owns. */
static void put_grads(struct probing *z, const struct grad *g, const struct reducer *red)
{
    const struct param_table *t = &z->in.m->params;
    const int first = z->p->n;
    const struct span *own;
    const int n = reducer_spans(red, &own);
    struct fixed sum;

    for (int i = 0; i < t->count; i++) {
        const struct param *q = &t->p[i];
        real *out = probe_put(z->p, q->ndim, q->shape, "grad.%s", q->name);
        for (int k = 0; k < n; k++) {
            const int64_t end = q->offset + q->n;
            const int64_t from = own[k].begin > q->offset ? own[k].begin : q->offset;
            const int64_t to = own[k].end < end ? own[k].end : end;
            if (to > from) grad_read(g, out + (from - q->offset), from, to - from);
        }
    }
    gather_tensors(z, first);
    const int good = grad_sumsq_part(g, own, n, &sum);
    int64_t v[3] = { good ? sum.hi : 0, good ? sum.lo : 0, !good };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 3, MPI_INT64_T, MPI_SUM, z->g->world.comm));
    *probe_put(z->p, 1, (int64_t[]){ 1 }, "grad_norm") =
        v[2] ? (real)NAN : (real)sqrt(fixed_value((struct fixed){ v[0], v[1] }));
}

/* --- the step -------------------------------------------------------------------- */

/* Tokens of this rank's sequences and units; the target of the last token is unknown. */
static int32_t *make_windows(const struct probing *z, int64_t *stride)
{
    const struct share *a = z->a;
    const int64_t begin = (int64_t)a->u0 * z->pass.slice_tokens, L = z->in.L;
    const int64_t end = (int64_t)a->u1 * z->pass.slice_tokens;

    *stride = (end < L ? end : L) - begin + 1;
    int32_t *windows = mem_new((a->q1 - a->q0) * *stride, sizeof *windows, "probe windows");
    for (int b = a->q0; b < a->q1; b++)
        for (int64_t i = 0; i < *stride; i++)
            windows[(b - a->q0) * *stride + i] =
                begin + i < L ? z->in.tok[b * L + begin + i] : -1;
    return windows;
}

static void run(struct probing *z)
{
    const struct model *m = z->in.m;
    const int inner = z->o->inner && model_has_inner(m);
    const struct pass_tap tap = { .ctx = z, .inner = inner ? tell_inner : NULL };
    struct pass_sums sums = { .tap = &tap };
    struct reducer *red = reducer_new(z->g, m);
    struct grad g;
    int64_t stride;

    z->exec = step_exec_new(z->g, m, &z->pass, z->in.B);
    z->a = step_exec_share(z->exec);
    const int64_t stats = (int64_t)m->dims.L * z->in.B * m->dims.H * (z->in.L / m->dims.K) * 3;
    if (inner) z->stats = mem_new(stats, sizeof *z->stats, "inner losses");
    int32_t *windows = make_windows(z, &stride);
    int64_t *valid = mem_new(z->in.B, sizeof *valid, "probe windows");
    for (int b = 0; b < z->in.B; b++) valid[b] = z->in.L - 1;
    if (z->o->grads) {
        grad_init(&g, &m->params, REDUCE_FAST);
        grad_begin(&g, (int64_t)pass_units(&z->pass) * z->in.B);
        reducer_attach(red, &g);
    }
    step_exec_run(z->exec, windows, stride, valid, z->o->grads ? &g : NULL,
                  z->o->grads ? red : NULL, &sums, NULL);
    if (z->o->grads) reducer_end(red);

    put_forward(z);
    if (inner) put_inner(z);
    if (z->o->states) put_states(z);
    if (z->o->grads) {
        put_grads(z, &g, red);
        grad_done(&g);
    }
    mem_free(z->stats);
    mem_free(windows);
    mem_free(valid);
    reducer_free(red);
    step_exec_free(z->exec);
}

int grid_probe(struct probe **out, const struct grid *g, const struct model *m,
               const int32_t *tok, int B, int L, const struct probe_opts *o)
{
    struct probing z = { .g = g, .o = o, .in = { m, tok, B, L } };
    int rc = OK;

    *out = NULL;
    TRY(axis_agree(&g->world, probe_check(&z.in)));
    TRY(axis_agree(&g->world, choose_units(&z)));
    z.p = mem_new(1, sizeof *z.p, "probe");
    run(&z);
    *out = z.p;
out:
    return rc;
}
