#include "mpi/train/train_step.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mpi/state/guard.h"
#include "mpi/step/reduce.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/order.h"
#include "src/optim/sched.h"

struct stepper {
    struct step_opts   o;
    const struct grid *grid;
    struct reducer    *reducer;     /* borrowed from the state                      */
    struct step_exec  *exec;
    struct guard      *guard;       /* NULL: not wanted                             */
    struct grad        grad;
    int                reads;       /* does our stage look at tokens?               */
    int                tokens;      /* of our units                                 */
    int64_t            stride;      /* tokens + 1                                   */
    int32_t           *windows;     /* (q1 - q0, stride)                            */
    int64_t           *valid;       /* (q1 - q0)                                    */
    int               *hit;         /* (batch)                                      */
    struct fixed      *sums;        /* (3,L) inner losses, summed                   */
    double            *inner;       /* (3,L) their means                            */
    int                L;
};

struct stepper *stepper_new(const struct train_state *st, const struct step_opts *o,
                            const struct grid *g)
{
    struct stepper *s = mem_new(1, sizeof *s, "stepper");
    const struct span *held;

    *s = (struct stepper){ .o = *o, .grid = g, .L = st->model->dims.L, .reducer = st->reducer };
    grad_init(&s->grad, &st->model->params, o->reduction);
    const int n_held = reducer_holds(s->reducer, &held);
    grad_hold(&s->grad, held, n_held);
    reducer_attach(s->reducer, &s->grad);
    s->guard = o->guard_every ? guard_new(st) : NULL;
    s->exec = step_exec_new(g, st->model, &o->pass, o->batch);

    const struct share *a = step_exec_share(s->exec);
    const int last = a->u1 * o->pass.slice_tokens;
    s->reads = a->p == 0 || a->p == g->shape.P - 1;
    s->tokens = (last < o->pass.context ? last : o->pass.context) - a->u0 * o->pass.slice_tokens;
    s->stride = s->tokens + 1;
    s->windows = mem_new((a->q1 - a->q0) * s->stride, sizeof *s->windows, "token windows");
    s->valid = mem_new(a->q1 - a->q0, sizeof *s->valid, "token windows");
    s->hit = mem_new(o->batch, sizeof *s->hit, "samples");
    s->sums = mem_new(3 * (int64_t)s->L, sizeof *s->sums, "inner losses");
    s->inner = mem_new(3 * (int64_t)s->L, sizeof *s->inner, "inner losses");
    return s;
}

void stepper_free(struct stepper *s)
{
    if (!s) return;
    guard_free(s->guard);
    step_exec_free(s->exec);
    grad_done(&s->grad);
    mem_free(s->windows);
    mem_free(s->valid);
    mem_free(s->hit);
    mem_free(s->sums);
    mem_free(s->inner);
    mem_free(s);
}

struct step_bytes stepper_bytes(const struct stepper *s)
{
    const struct exec_bytes b = step_exec_bytes(s->exec);
    return (struct step_bytes){ b.carries + b.heads, b.activations, reducer_bytes(s->reducer) };
}

int64_t step_samples(const struct dataset *d, int context)
{
    return (dataset_tokens(d) - 1) / context;
}

/* Number of the k-th sample of the step that comes. */
static int64_t sample_number(const struct train_state *st, int64_t k)
{
    return ranges_nth_outside(&st->skip, st->sample, k);
}

/* Which window it is. */
static int64_t sample_id(const struct train_state *st, const struct dataset *d, int context,
                         int64_t k)
{
    const int64_t n = step_samples(d, context), number = sample_number(st, k);
    return order_sample((uint64_t)st->seed, number / n, number % n, n);
}

/* Our units of our sequences, and how many targets of each count.  Collective: if one rank can't
 * read, no rank goes on. */
static int read_batch(struct stepper *s, int64_t *targets, const struct train_state *st,
                      struct dataset *d)
{
    const struct pass_opts *p = &s->o.pass;
    const struct share *a = step_exec_share(s->exec);
    const int n = a->q1 - a->q0;
    int rc = FAILPOINT("train.step");

    if (s->reads)
        for (int q = 0; q < n && rc == OK; q++) {
            int32_t *window = s->windows + q * s->stride;
            const int64_t id = sample_id(st, d, p->context, a->q0 + q);
            rc = dataset_read(d, window, id * p->context + (int64_t)a->u0 * p->slice_tokens,
                              s->stride);
            if (rc == OK) s->valid[q] = stage_count_targets(window, s->tokens, p->mask_token);
        }
    rc = axis_agree(&s->grid->world, rc);
    if (rc != OK) return rc;
    *targets = 0;
    if (a->p == s->grid->shape.P - 1)
        for (int q = 0; q < n; q++) *targets += s->valid[q];
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, s->valid, n, MPI_INT64_T, MPI_SUM, s->grid->seq.comm));
    return OK;
}

/* --- faults for tests --------------------------------------------------------
 *
 * TTT_FAIL="nan-weight:NAME#3=err": during step 3 of this process the first element of parameter
 * NAME is NaN; "nan-grad:NAME#*=err": in every step a contribution to its gradient is;
 * "nan-once:NAME": the same, but not when the step is computed again; "flip:NAME": a bit of this
 * tensor of the state flips in the step, where it is held or owned; "flip-gathered:NAME": when the
 * step's update is done. */

struct poison { real *weight, was; int64_t grad, once; };  /* flat offsets, -1: none */

static int injected(const char *kind, const char *name)
{
    char place[TENSOR_NAME + 16];
    snprintf(place, sizeof place, "%s:%s", kind, name);
    return FAILPOINT(place) != OK;
}

static struct poison poison_begin(struct model *m)
{
    struct poison p = { .grad = -1, .once = -1 };
    if (failpoint_armed)
        for (int i = 0; i < m->params.count; i++) {
            const struct param *q = &m->params.p[i];
            if (injected("nan-grad", q->name)) p.grad = q->offset;
            if (injected("nan-once", q->name)) p.once = q->offset;
            if (p.weight || !injected("nan-weight", q->name)) continue;
            p.weight = m->w + q->offset;
            p.was = *p.weight;
            *p.weight = (real)NAN;
        }
    return p;
}

static void poison_gradient(struct grad *g, const struct poison *p, int again)
{
    const real bad = (real)NAN;
    if (p->grad >= 0) grad_add(g, p->grad, &bad, 1);
    if (p->once >= 0 && !again) grad_add(g, p->once, &bad, 1);
}

static void poison_end(const struct poison *p)
{
    if (p->weight) *p->weight = p->was;
}

static void flip(const struct train_state *st, const char *kind)
{
    int64_t n;
    int count;

    if (!failpoint_armed) return;
    struct tensor *t = train_state_tensors(st, &count);
    struct place *p = train_state_places(st, 1, &n);
    for (int i = 0; i < count; i++) {
        if (!injected(kind, t[i].name)) continue;
        for (int64_t k = 0; k < n; k++)
            if (p[k].tensor == i && p[k].tile == 0) ((unsigned char *)p[k].raw)[1] ^= 4;
    }
    mem_free(t);
    mem_free(p);
}

/* --- where NaN came from ---------------------------------------------------- */

/* Read the batch forward again and look at every residual stream.  returns the first place
 * that is not finite, INT_MAX: nowhere; r gets the samples that were hit.  Collective. */
static int find_source(struct step_result *r, struct stepper *s, const struct train_state *st,
                       const struct dataset *d)
{
    const struct share *a = step_exec_share(s->exec);
    struct watch w = { INT_MAX, s->hit + a->q0 };
    struct pass_sums sums = { 0 };

    memset(s->hit, 0, (size_t)s->o.batch * sizeof *s->hit);
    step_exec_watch(s->exec, &w);
    step_exec_run(s->exec, s->reads ? s->windows : NULL, s->stride, s->valid, NULL, NULL, &sums,
                  NULL);
    step_exec_watch(s->exec, NULL);
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &w.place, 1, MPI_INT, MPI_MIN, s->grid->world.comm));
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, s->hit, mpi_count(s->o.batch), MPI_INT, MPI_MAX,
                         s->grid->world.comm));
    for (int64_t k = 0; k < s->o.batch && r->n_samples < STEP_SAMPLES; k++)
        if (s->hit[k])
            r->samples[r->n_samples++] = sample_id(st, d, s->o.pass.context, k);
    return w.place;
}

/* Fill in what a person needs to find the cause. */
static void explain(struct step_result *r, struct stepper *s, const struct train_state *st,
                    const struct dataset *d)
{
    const char *tensor = grad_bad_name(&s->grad);
    const int place = find_source(r, s, st, d);

    if (place == 0) snprintf(r->what, sizeof r->what, "output of the embedding");
    else if (place < INT_MAX)
        snprintf(r->what, sizeof r->what, "output of model.layers.%d", place - 1);
    else if (tensor) snprintf(r->what, sizeof r->what, "gradient of %s", tensor);
    else snprintf(r->what, sizeof r->what, r->bad_loss ? "loss" : "norm of the gradient");
    if (r->n_samples > 0) return;
    for (int64_t k = 0; k < s->o.batch && r->n_samples < STEP_SAMPLES; k++)
        r->samples[r->n_samples++] = sample_id(st, d, s->o.pass.context, k);
}

/* --- the step ------------------------------------------------------------------ */

/* What ranks add up after a step: integers, so that nothing depends on the order. */
enum { V_LOSS_HI, V_LOSS_LO, V_BAD, V_TARGETS, V_SQ_HI, V_SQ_LO, V_SQ_BAD, V_INNER };

/* Sum over all ranks; returns whether all of it was finite.  Collective. */
static int add_up(struct step_result *r, struct stepper *s, struct pass_sums *sums)
{
    const struct span *own;
    const int n_own = reducer_spans(s->reducer, &own), n = V_INNER + 6 * s->L;
    int64_t *v = mem_new(n, sizeof *v, "sums of a step");
    struct fixed sq;

    reducer_end(s->reducer);
    const int met = sums->bad || s->grad.bad != INT64_MAX;
    v[V_SQ_BAD] = !grad_sumsq_part(&s->grad, own, n_own, &sq);
    v[V_SQ_HI] = sq.hi;
    v[V_SQ_LO] = sq.lo;
    v[V_LOSS_HI] = sums->loss.hi;
    v[V_LOSS_LO] = sums->loss.lo;
    v[V_BAD] = sums->bad;
    v[V_TARGETS] = sums->targets;
    memcpy(v + V_INNER, s->sums, 3 * (size_t)s->L * sizeof *s->sums);
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, n, MPI_INT64_T, MPI_SUM, s->grid->world.comm));
    /* The first bad gradient, and the first rank that met anything. */
    int64_t first[2] = { s->grad.bad, met ? s->grid->world.rank : s->grid->world.size - 1 };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, first, 2, MPI_INT64_T, MPI_MIN, s->grid->world.comm));
    s->grad.bad = first[0];
    r->rank = (int)first[1];
    memcpy(s->sums, v + V_INNER, 3 * (size_t)s->L * sizeof *s->sums);
    sums->bad = v[V_BAD] > 0;
    r->targets = v[V_TARGETS];
    r->loss = fixed_value((struct fixed){ v[V_LOSS_HI], v[V_LOSS_LO] }) / (double)s->o.batch;
    const int good = !v[V_BAD] && !v[V_SQ_BAD] && s->grad.bad == INT64_MAX;
    r->grad_norm = good ? sqrt(fixed_value((struct fixed){ v[V_SQ_HI], v[V_SQ_LO] })) : NAN;
    mem_free(v);
    return good && isfinite(r->grad_norm) && isfinite(r->loss);
}

/* A save may still read what an update changes.  returns the seconds that took */
static double settle(struct saver *saver)
{
    const double begin = clock_s();
    if (!saver || !saver_busy(saver)) return 0;
    beacon_phase(BEACON_SAVE);
    saver_settle(saver);
    beacon_phase(BEACON_STEP);
    return clock_s() - begin;
}

/* Our own tiles, then everybody's weights. */
static void update(struct stepper *s, struct train_state *st, double factor)
{
    train_state_update(st, &s->o.optim, &s->grad, factor);
    reducer_gather(s->reducer, st->model->w);
    train_state_changed(st);
}

/* Loss and gradient of the batch that was read, on all ranks.  returns whether they are finite. */
static int compute(struct step_result *r, struct stepper *s, int64_t targets, int inner,
                   const struct poison *p, struct trace *trace)
{
    struct pass_sums sums = { .targets = targets };

    memset(s->sums, 0, 3 * (size_t)s->L * sizeof *s->sums);
    if (inner) {
        sums.inner_w0 = s->sums;
        sums.inner_before = s->sums + s->L;
        sums.inner_after = s->sums + 2 * s->L;
    }
    grad_begin(&s->grad, s->o.batch * pass_units(&s->o.pass));
    poison_gradient(&s->grad, p, r->again);
    step_exec_run(s->exec, s->reads ? s->windows : NULL, s->stride, s->valid, &s->grad,
                  s->reducer, &sums, trace);
    const int good = add_up(r, s, &sums);
    for (int i = 0; i < 3 * s->L; i++) s->inner[i] = fixed_value(s->sums[i]) / (double)s->o.batch;
    if (inner) r->inner = s->inner;
    r->bad_loss = sums.bad;
    return good;
}

/* What is not finite may be a fault of the moment, so it is computed once more. */
static void compute_twice(struct step_result *r, struct stepper *s, int64_t targets, int inner,
                          const struct poison *p, struct trace *trace)
{
    if (compute(r, s, targets, inner, p, trace)) return;
    const char *tensor = grad_bad_name(&s->grad);
    const int rank = r->rank;
    snprintf(r->what, sizeof r->what, "%s%s", tensor ? "gradient of " : "loss",
             tensor ? tensor : "");
    r->again = 1;
    r->bad = !compute(r, s, targets, inner, p, trace);
    r->rank = rank;
}

void stepper_forget(struct stepper *s)
{
    if (s->guard) guard_forget(s->guard);
}

int stepper_run(struct step_result *r, struct stepper *s, struct train_state *st,
                struct dataset *d, int inner, struct trace *trace)
{
    int64_t targets = 0;

    memset(r, 0, sizeof *r);
    beacon_phase(BEACON_DATA);
    const int rc = read_batch(s, &targets, st, d);
    if (rc != OK) return rc;
    beacon_phase(BEACON_STEP);
    step_exec_inner_factor(s->exec, sched_inner(&s->o.optim, st->step));
    const struct poison p = poison_begin(st->model);
    if (p.weight) train_state_changed(st);
    compute_twice(r, s, targets, inner, &p, trace);
    if (r->bad) explain(r, s, st, d);
    poison_end(&p);
    if (p.weight) train_state_changed(st);
    flip(st, "flip");
    r->damaged = s->guard && guard_verify(s->guard) != OK;
    if (r->damaged) return ERR_IO;

    r->lr = sched_lr(&s->o.optim, st->step);
    if (r->bad) {
        st->skipped++;
        st->bad_run++;
    } else {
        r->clip = clip_factor(&s->o.optim, r->grad_norm);
        r->waited_s = settle(s->o.saver);
        update(s, st, r->clip);
        st->bad_run = 0;
    }
    st->step++;
    st->sample = sample_number(st, s->o.batch - 1) + 1;
    st->tokens += s->o.batch * s->o.pass.context;
    flip(st, "flip-gathered");
    r->damaged = s->guard && st->step % s->o.guard_every == 0 && guard_seal(s->guard) != OK;
    return r->damaged ? ERR_IO : OK;
}
