/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/train_step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mpi/step/reduce.h"
#include "mpi/train/step_faults.h"
#include "mpi/train/step_state.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/order.h"
#include "src/optim/adamw.h"
#include "src/optim/sched.h"

/* The arrays of our part of the batch. */
static void batch_init(struct stepper *s)
{
    const struct pass_opts *p = &s->o.pass;
    const struct share *a = step_exec_share(s->exec);
    const int64_t last = (int64_t)a->u1 * p->slice_tokens;
    struct step_batch *b = &s->batch;

    *b = (struct step_batch){ .n = a->q1 - a->q0, .first = a->q0,
                              .position = (int64_t)a->u0 * p->slice_tokens };
    b->stride = (last < p->context ? last : p->context) - b->position + 1;
    b->windows = mem_new(b->n * b->stride, sizeof *b->windows, "token windows");
    b->valid = mem_new(b->n, sizeof *b->valid, "token windows");
}

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
    s->reads = a->p == 0 || a->p == g->shape.P - 1;
    batch_init(s);
    s->ids = mem_new(o->batch, sizeof *s->ids, "samples");
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
    mem_free(s->batch.windows);
    mem_free(s->batch.valid);
    mem_free(s->ids);
    mem_free(s->hit);
    mem_free(s->sums);
    mem_free(s->inner);
    mem_free(s);
}

const struct step_batch *stepper_batch(struct stepper *s) { return &s->batch; }

struct step_bytes stepper_bytes(const struct stepper *s)
{
    const struct exec_bytes b = step_exec_bytes(s->exec);
    return (struct step_bytes){ b.carries, b.heads, b.activations, reducer_bytes(s->reducer) };
}

struct exec_waits stepper_waits(const struct stepper *s) { return step_exec_waits(s->exec); }

/* --- samples ------------------------------------------------------------------- */

int64_t step_samples(const struct dataset *d, int context)
{
    return (dataset_tokens(d) - 1) / context;
}

/* Number of the k-th sample of the step that comes. */
static int64_t sample_number(const struct train_state *st, int64_t k)
{
    return ranges_nth_outside(&st->skip, st->sample, k);
}

/* Which window of the data set it is. */
static int64_t sample_id(const struct train_state *st, const struct dataset *d, int context,
                         int64_t k)
{
    const int64_t n = step_samples(d, context), number = sample_number(st, k);
    return order_sample((uint64_t)st->seed, number / n, number % n, n);
}

/* Our units of our sequences, and how many targets of each count.  Collective: if one rank can't
 * read, no rank continues. */
static int read_batch(struct stepper *s, int64_t *targets, const struct train_state *st,
                      struct dataset *d)
{
    const struct pass_opts *p = &s->o.pass;
    const struct step_batch *b = &s->batch;
    const int tokens = (int)(b->stride - 1);
    int rc = FAILPOINT("train.step");

    for (int64_t k = 0; k < s->o.batch; k++) s->ids[k] = sample_id(st, d, p->context, k);
    if (s->reads)
        for (int q = 0; q < b->n && rc == OK; q++) {
            int32_t *window = b->windows + q * b->stride;
            const int64_t from = s->ids[b->first + q] * p->context + b->position;
            rc = dataset_read(d, window, from, b->stride);
            if (rc == OK) b->valid[q] = stage_count_targets(window, tokens, p->mask_token);
        }
    rc = axis_agree(&s->grid->world, rc);
    if (rc != OK) return rc;
    *targets = 0;
    if (step_exec_share(s->exec)->p == s->grid->shape.P - 1)
        for (int q = 0; q < b->n; q++) *targets += b->valid[q];
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, b->valid, b->n, MPI_INT64_T, MPI_SUM, s->grid->seq.comm));
    return OK;
}

/* --- forward only -------------------------------------------------------------- */

double stepper_loss(struct stepper *s)
{
    struct pass_sums sums = { 0 };

    step_forward(s, NULL, &sums);
    int64_t v[3] = { sums.loss.hi, sums.loss.lo, sums.bad };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 3, MPI_INT64_T, MPI_SUM, s->grid->world.comm));
    return v[2] ? NAN : fixed_value((struct fixed){ v[0], v[1] }) / (double)s->o.batch;
}

/* --- the step ------------------------------------------------------------------ */

/* What ranks add up after a step: integers, so that nothing depends on the order. */
enum { V_LOSS_HI, V_LOSS_LO, V_BAD, V_TARGETS, V_SQ_HI, V_SQ_LO, V_SQ_BAD, V_INNER };

/* Sum over all ranks.  returns whether all of it was finite.  Collective. */
static int add_up(struct step_result *r, struct stepper *s, struct pass_sums *sums)
{
    const struct span *own;
    const int n_own = reducer_spans(s->reducer, &own), n = V_INNER + 6 * s->L;
    int64_t *v = mem_new(n, sizeof *v, "sums of a step");
    const double begin = clock_s();
    struct fixed sq;

    reducer_end(s->reducer);
    r->sums_s += clock_s() - begin;
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
static double finish_reading(struct saver *saver)
{
    const double begin = clock_s();
    if (!saver || !saver_busy(saver)) return 0;
    beacon_phase(BEACON_SAVE);
    saver_finish_reading(saver);
    beacon_phase(BEACON_STEP);
    return clock_s() - begin;
}

/* Our own tiles, then everybody's weights. */
static void update(struct step_result *r, struct stepper *s, struct train_state *st)
{
    const double begin = clock_s();

    train_state_update(st, &s->o.optim, &s->grad, r->clip);
    const double updated = clock_s();
    reducer_gather(s->reducer, st->model->w);
    r->weights_s = clock_s() - updated;
    train_state_changed(st);
    r->update_s = clock_s() - begin;
}

/* Loss and gradient of the batch, on all ranks.  returns whether they are finite.  Collective. */
static int compute(struct step_result *r, struct stepper *s, int64_t targets,
                   const struct step_asks *asks, const struct step_faults *f)
{
    struct pass_sums sums = { .targets = targets };
    const struct step_batch *b = &s->batch;
    const double begin = clock_s();

    memset(s->sums, 0, 3 * (size_t)s->L * sizeof *s->sums);
    if (asks->inner) {
        sums.inner_w0 = s->sums;
        sums.inner_before = s->sums + s->L;
        sums.inner_after = s->sums + 2 * s->L;
    }
    grad_begin(&s->grad, s->o.batch * pass_units(&s->o.pass));
    step_faults_gradient(f, &s->grad, r->again);
    step_exec_run(s->exec, s->reads ? b->windows : NULL, b->stride, b->valid, &s->grad,
                  s->reducer, &sums, asks->trace);
    r->pass_s += clock_s() - begin;
    const int good = add_up(r, s, &sums);
    for (int i = 0; i < 3 * s->L; i++) s->inner[i] = fixed_value(s->sums[i]) / (double)s->o.batch;
    if (asks->inner) r->inner = s->inner;
    r->bad_loss = sums.bad;
    return good;
}

/* What is not finite may be a fault of the moment, so it is computed once more.  Collective. */
static void compute_twice(struct step_result *r, struct stepper *s, int64_t targets,
                          const struct step_asks *asks, const struct step_faults *f)
{
    if (compute(r, s, targets, asks, f)) return;
    const char *tensor = grad_bad_name(&s->grad);
    const int rank = r->rank;
    snprintf(r->what, sizeof r->what, "%s%s", tensor ? "gradient of " : "loss",
             tensor ? tensor : "");
    r->again = 1;
    r->bad = !compute(r, s, targets, asks, f);
    r->rank = rank;
    if (r->bad) step_source(r, s);
}

void stepper_reset(struct stepper *s)
{
    if (s->guard) guard_reset(s->guard);
}

int stepper_step(struct step_result *r, struct stepper *s, struct train_state *st,
                 int64_t targets, const struct step_asks *asks)
{
    struct step_faults faults;

    memset(r, 0, sizeof *r);
    beacon_phase(BEACON_STEP);
    step_exec_inner_factor(s->exec, sched_inner(&s->o.optim, st->step));
    if (step_faults_begin(&faults, st->model)) train_state_changed(st);
    compute_twice(r, s, targets, asks, &faults);
    if (step_faults_end(&faults)) train_state_changed(st);
    step_faults_flip(st, "flip");
    r->damaged = s->guard && guard_verify(s->guard) != OK;
    if (r->damaged) return ERR_IO;

    r->lr = sched_lr(&s->o.optim, st->step);
    if (r->bad) {
        st->skipped++;
        st->bad_run++;
    } else {
        r->clip = clip_factor(&s->o.optim, r->grad_norm);
        r->waited_s = finish_reading(s->o.saver);
        update(r, s, st);
        st->bad_run = 0;
    }
    st->step++;
    st->sample = sample_number(st, s->o.batch - 1) + 1;
    st->tokens += s->o.batch * s->o.pass.context;
    step_faults_flip(st, "flip-gathered");
    r->damaged = s->guard && st->step % s->o.guard_every == 0 && guard_seal(s->guard) != OK;
    return r->damaged ? ERR_IO : OK;
}

int stepper_run(struct step_result *r, struct stepper *s, struct train_state *st,
                struct dataset *d, const struct step_asks *asks)
{
    int64_t targets = 0;

    memset(r, 0, sizeof *r);
    beacon_phase(BEACON_DATA);
    const int rc = read_batch(s, &targets, st, d);
    return rc == OK ? stepper_step(r, s, st, targets, asks) : rc;
}
