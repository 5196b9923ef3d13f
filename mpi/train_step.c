#include "mpi/train_step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/order.h"

struct stepper {
    struct step_opts o;
    struct grad      grad;
    struct pass     *pass;
    int32_t         *windows;  /* (micro_batch, context + 1)              */
    struct fixed    *sums;     /* (3,L) inner losses, summed              */
    double          *inner;    /* (3,L) their means                       */
    int              L;
};

struct stepper *stepper_new(const struct train_state *st, const struct step_opts *o)
{
    struct stepper *s = mem_new(1, sizeof *s, "stepper");
    s->o = *o;
    s->L = st->model->dims.L;
    grad_init(&s->grad, &st->model->params, o->reduction);
    s->pass = pass_new(st->model, &o->pass);
    s->windows = mem_new((int64_t)o->pass.micro_batch * (o->pass.context + 1), sizeof *s->windows,
                         "token windows");
    s->sums = mem_new(3 * (int64_t)s->L, sizeof *s->sums, "inner losses");
    s->inner = mem_new(3 * (int64_t)s->L, sizeof *s->inner, "inner losses");
    return s;
}

void stepper_free(struct stepper *s)
{
    if (!s) return;
    pass_free(s->pass);
    grad_done(&s->grad);
    mem_free(s->windows);
    mem_free(s->sums);
    mem_free(s->inner);
    mem_free(s);
}

int64_t step_samples(const struct dataset *d, int context)
{
    return (dataset_tokens(d) - 1) / context;
}

/* Which window is sample number k of the run. */
static int64_t sample_id(const struct train_state *st, const struct dataset *d, int context,
                         int64_t k)
{
    const int64_t n = step_samples(d, context);
    return order_sample((uint64_t)st->seed, k / n, k % n, n);
}

static int read_window(int32_t *out, const struct train_state *st, struct dataset *d, int context,
                       int64_t k)
{
    return dataset_read(d, out, sample_id(st, d, context, k) * context, context + 1);
}

/* Loss and gradients of the next batch. */
static int run_passes(struct stepper *s, struct pass_sums *sums, const struct train_state *st,
                      struct dataset *d)
{
    const struct pass_opts *p = &s->o.pass;

    for (int64_t done = 0; done < s->o.batch; done += p->micro_batch) {
        const int64_t left = s->o.batch - done;
        const int B = left < p->micro_batch ? (int)left : p->micro_batch;
        for (int b = 0; b < B; b++) {
            const int rc = read_window(s->windows + (int64_t)b * (p->context + 1), st, d,
                                       p->context, st->sample + done + b);
            if (rc != OK) return rc;
        }
        pass_run(s->pass, &s->grad, sums, s->windows, B);
    }
    return OK;
}

/* --- faults for tests --------------------------------------------------------
 *
 * TTT_FAIL="nan-weight:NAME#3=err": during step 3 of this process the first element of parameter
 * NAME is NaN; "nan-grad:NAME#*=err": in every step a contribution to its gradient is. */

static int injected(const char *kind, const char *name)
{
    char place[PARAM_NAME + 16];
    snprintf(place, sizeof place, "%s:%s", kind, name);
    return FAILPOINT(place) != OK;
}

/* The element that was made NaN, and what it was; NULL: none. */
static real *poison_weight(struct model *m, real *was)
{
    for (int i = 0; failpoint_armed && i < m->params.count; i++) {
        if (!injected("nan-weight", m->params.p[i].name)) continue;
        real *w = m->w + m->params.p[i].offset;
        *was = *w;
        *w = (real)NAN;
        return w;
    }
    return NULL;
}

static void poison_gradient(struct grad *g)
{
    const real bad = (real)NAN;
    for (int i = 0; failpoint_armed && i < g->table->count; i++)
        if (injected("nan-grad", g->table->p[i].name)) grad_add(g, g->table->p[i].offset, &bad, 1);
}

/* --- where NaN came from ---------------------------------------------------- */

static int all_finite(const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return 0;
    return 1;
}

struct suspect { int place, C; };  /* residual stream after block place - 1; -1: none so far */

static void look(void *ctx, int i, const real *x, int B, int T)
{
    struct suspect *s = ctx;
    if ((s->place < 0 || i < s->place) && !all_finite(x, (int64_t)B * T * s->C)) s->place = i;
}

/* Read the batch again, sequence by sequence, and note the samples whose activations are not
 * finite.  returns the first place where that is so, -1: nowhere */
static int find_source(struct step_result *r, const struct stepper *s,
                       const struct train_state *st, struct dataset *d)
{
    const struct pass_opts *p = &s->o.pass;
    const struct dims *dims = &st->model->dims;
    const int T = p->slice_tokens < p->context ? p->slice_tokens : p->context;
    struct stream *stream = stream_new(st->model, 1, T);
    real *x = mem_new((int64_t)T * dims->C, sizeof *x, "activations");
    int first = -1;

    for (int64_t k = 0; k < s->o.batch && r->n_samples < STEP_SAMPLES; k++) {
        struct suspect here = { -1, dims->C };
        const struct stream_tap tap = { .ctx = &here, .hidden = look };
        if (read_window(s->windows, st, d, p->context, st->sample + k) != OK) break;
        stream_reset(stream);
        for (int t = 0; t < p->context; t += T)
            stream_read(stream, x, s->windows + t, p->context - t < T ? p->context - t : T, &tap);
        if (here.place < 0) continue;
        r->samples[r->n_samples++] = sample_id(st, d, p->context, st->sample + k);
        if (first < 0 || here.place < first) first = here.place;
    }
    mem_free(x);
    stream_free(stream);
    return first;
}

/* Fill in what a person needs to find the cause. */
static void explain(struct step_result *r, const struct stepper *s, const struct train_state *st,
                    struct dataset *d, int bad_loss)
{
    const char *tensor = grad_bad_name(&s->grad);
    const int place = find_source(r, s, st, d);

    if (place == 0) snprintf(r->what, sizeof r->what, "output of the embedding");
    else if (place > 0) snprintf(r->what, sizeof r->what, "output of model.layers.%d", place - 1);
    else if (tensor) snprintf(r->what, sizeof r->what, "gradient of %s", tensor);
    else snprintf(r->what, sizeof r->what, bad_loss ? "loss" : "norm of the gradient");
    if (r->n_samples > 0) return;
    for (int64_t k = 0; k < s->o.batch && r->n_samples < STEP_SAMPLES; k++)
        r->samples[r->n_samples++] = sample_id(st, d, s->o.pass.context, st->sample + k);
}

/* --- the step ------------------------------------------------------------------ */

static void inner_means(struct step_result *r, const struct stepper *s, int64_t sequences)
{
    for (int i = 0; i < 3 * s->L; i++) s->inner[i] = fixed_value(s->sums[i]) / (double)sequences;
    r->inner = s->inner;
}

int stepper_run(struct step_result *r, struct stepper *s, struct train_state *st,
                struct dataset *d, int inner)
{
    const struct optim_opts *opt = &s->o.optim;
    struct pass_sums sums = { 0 };
    real was = 0;

    memset(r, 0, sizeof *r);
    if (inner) {
        memset(s->sums, 0, 3 * (size_t)s->L * sizeof *s->sums);
        sums.inner_w0 = s->sums;
        sums.inner_before = s->sums + s->L;
        sums.inner_after = s->sums + 2 * s->L;
    }
    grad_begin(&s->grad, s->o.batch * pass_units(&s->o.pass));
    real *poisoned = poison_weight(st->model, &was);
    const int rc = run_passes(s, &sums, st, d);
    if (rc != OK) return rc;
    poison_gradient(&s->grad);

    r->loss = fixed_value(sums.loss) / (double)sums.sequences;
    r->targets = sums.targets;
    r->lr = sched_lr(opt, st->step);
    if (inner) inner_means(r, s, sums.sequences);
    r->grad_norm = sums.bad || s->grad.bad != INT64_MAX ? NAN : sqrt(grad_sumsq(&s->grad));
    r->bad = !isfinite(r->grad_norm) || !isfinite(r->loss);
    if (r->bad) explain(r, s, st, d, sums.bad);
    if (poisoned) *poisoned = was;
    if (r->bad) {
        st->skipped++;
        st->bad_run++;
    } else {
        r->clip = clip_factor(opt, r->grad_norm);
        adamw_update(opt, st->step, r->clip, &s->grad, st->model->w, st->m, st->v, 0,
                     st->model->params.total);
        st->bad_run = 0;
    }
    st->step++;
    st->sample += s->o.batch;
    st->tokens += s->o.batch * s->o.pass.context;
    return OK;
}
