/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/inner.h"

#include <math.h>
#include <string.h>

#include "src/kernels/inner_vec.h"

/* --- the state ---------------------------------------------------------------------- */

int64_t inner_model_reals(const struct inner_model *m, int F)
{
    struct inner_part p;
    int64_t n = 0;
    for (int i = 0; m->part(i, F, &p); i++) n += (int64_t)p.rows * p.cols;
    return n;
}

int inner_part(const struct inner *f, int i, int F, struct inner_part *part)
{
    int n = 0;
    for (; f->model->part(n, F, part); n++)
        if (n == i) return 1;
    return f->step->part && f->step->part(f->model, i - n, F, part);
}

static int64_t state_reals(const struct inner *f, int F)
{
    struct inner_part p;
    int64_t n = 0;
    for (int i = 0; inner_part(f, i, F, &p); i++) n += (int64_t)p.rows * p.cols;
    return n;
}

/* --- the composition ------------------------------------------------------------------ */

/* One mini-batch of a pair, and its scratch.  Backward keeps the sums G_i of a segment of about
 * sqrt(r) tokens, and the sums that segments begin with. */
struct loop {
    const struct inner *f;
    const real *state;              /* (state) before the mini-batch                         */
    real       *seen, *dseen;       /* (state) after a step, and its gradient                */
    real       *sum, *dsum;         /* (sum)                                                 */
    real       *firsts, *inside;    /* (segments, sum), (segment, sum)                       */
    real       *work;               /* of model and step                                     */
    int64_t     state_n, model_n, sum_n, used;
    int         segment;
};

static struct loop loop_at(const struct inner *f, const real *state, int r, int F, real *p)
{
    struct loop c = { .f = f, .state = state, .state_n = state_reals(f, F),
                      .model_n = inner_model_reals(f->model, F) };
    c.segment = f->output_before ? r : (int)ceil(sqrt(r));
    c.sum_n = c.model_n + f->step->rates;
    const int64_t whole = align_reals(c.state_n), sum = align_reals(c.sum_n);
    const int64_t kept = f->output_before ? 0 : sum, n = (r + c.segment - 1) / c.segment;
    const int64_t model = f->model->work_reals(r, F);
    const int64_t step = f->step->work_reals ? f->step->work_reals(f->model, F) : 0;
    const struct { real **to; int64_t n; } arrays[] = {
        { &c.seen, whole }, { &c.dseen, whole }, { &c.sum, sum }, { &c.dsum, sum },
        { &c.firsts, n * kept }, { &c.inside, c.segment * kept },
        { &c.work, align_reals(model > step ? model : step) },
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i].to = p ? p + c.used : NULL;
        c.used += arrays[i].n;
    }
    return c;
}

static void copy(real *to, const real *from, int64_t n)
{
    memcpy(to, from, (size_t)n * sizeof *to);
}


/* Row i alone. */
static struct inner_in row_of(const struct inner_in *in, int i)
{
    const int64_t at = (int64_t)i * in->F;
    struct inner_in row = *in;
    row.Q += at;
    row.X += at;
    row.V += at;
    row.lr += i;
    row.tok += i;
    row.at += i;
    row.r = 1;
    row.complete = in->complete && i == in->r - 1;
    return row;
}

static struct inner_grad row_grad(const struct inner_grad *g, int i, int F)
{
    struct inner_grad row = *g;
    row.dQ += (int64_t)i * F;
    row.dX += (int64_t)i * F;
    row.dV += (int64_t)i * F;
    row.dlr += i;
    row.dtok += i;
    return row;
}

/* sum += the rows' gradients, and their rates of the step. */
static void add_rows(const struct loop *c, real *sum, const struct inner_in *in)
{
    const struct inner *f = c->f;
    const real *rates = in->lr + (int64_t)f->model->rates * in->ld;

    f->model->gradient(sum, c->state, in, c->work);
    for (int k = 0; k < f->step->rates; k++)
        for (int j = 0; j < in->r; j++) sum[c->model_n + k] += rates[(int64_t)k * in->ld + j];
}

/* The step after the last of these rows. */
static struct inner_move move_of(const struct loop *c, const real *sum, const struct inner_in *in)
{
    return (struct inner_move){ .model = c->f->model, .F = in->F, .tokens = in->at + in->r,
                                .tok = in->tok[in->r - 1], .G = sum, .sums = sum + c->model_n };
}

static void move(const struct loop *c, const real *sum, const struct inner_in *in)
{
    const struct inner_move by = move_of(c, sum, in);
    c->f->step->move(c->seen, c->state, &by, c->work);
}

/* Rows of a mini-batch: [E70] or [E71].  sum [in,out]; O: NULL, not wanted.  When they complete
 * it, c->seen is the state after it. */
static void read_rows(const struct loop *c, real *O, real *sum, const struct inner_in *in)
{
    const struct inner_model *model = c->f->model;

    if (c->f->output_before) {
        if (O) model->output(O, c->state, in, c->work);
        add_rows(c, sum, in);
        if (in->complete) move(c, sum, in);
        return;
    }
    for (int i = 0; i < in->r; i++) {
        const struct inner_in row = row_of(in, i);
        add_rows(c, sum, &row);
        if (O || row.complete) move(c, sum, &row);
        if (O) model->output(O + (int64_t)i * in->F, c->seen, &row, c->work);
    }
}

/* --- its derivative ---------------------------------------------------------------------
 *
 * All tokens of a mini-batch take their gradients at the same state S, so [E70] is a chain of sums
 * G_i with a branch (the step, then f) at every token.  Backward goes through the chain in reverse
 * and carries two gradients: that of S, and that of the sum, to which every branch adds its own.
 * With the gradient dS_i of the state that token i sees (from O_i and, if i is the last, from the
 * state after),
 *
 *     (dS, dm, dG, dtok_i) += the step's derivative at (S, m; G_i, tok_i), applied to (dS_i, dm_i)
 *     (dS, dx_i, dv_i, dlr_i) += the derivative of lr_i d loss_i / dS, applied to dG       [E73]
 *
 * The second line needs second derivatives of the inner loss in the direction dG: it is
 * backpropagation through a gradient step, as in MAML (Finn et al. 2017, arXiv 1703.03400), and
 * the reason why a model brings gradient_backward().  When outputs see the state before the step
 * [E71], there is one branch, after the last token.
 */

/* From c->dseen, the gradient of the state after a step. */
static void move_backward(const struct loop *c, real *dtok, real *dstate, const real *sum,
                          const struct inner_in *in)
{
    const struct inner_move by = move_of(c, sum, in);
    struct inner_move_grad d = { c->dsum, c->dsum + c->model_n, dtok };
    c->f->step->move_backward(dstate, &d, c->dseen, c->state, &by, c->work);
}

/* From c->dsum to the rows. */
static void rows_backward(const struct loop *c, struct inner_grad *g, real *dstate,
                          const struct inner_in *in)
{
    const struct inner *f = c->f;
    real *drates = g->dlr + (int64_t)f->model->rates * in->ld;

    f->model->gradient_backward(g, dstate, c->dsum, c->state, in, c->work);
    for (int k = 0; k < f->step->rates; k++)
        for (int j = 0; j < in->r; j++) drates[(int64_t)k * in->ld + j] += c->dsum[c->model_n + k];
}

static void before_backward(const struct loop *c, struct inner_grad *g, real *dstate,
                            const real *dO, const struct inner_in *in)
{
    if (in->complete) {
        copy(c->dseen, dstate, c->state_n);
        inner_zero(dstate, c->state_n);
        inner_zero(c->sum, c->sum_n);
        inner_zero(c->dsum, c->sum_n);
        add_rows(c, c->sum, in);
        move_backward(c, g->dtok + in->r - 1, dstate, c->sum, in);
        rows_backward(c, g, dstate, in);
    }
    c->f->model->output_backward(g, dstate, dO, c->state, in, c->work);
}

/* Rows [first, last) of a mini-batch, from their sums in c->inside.  c->dseen has the gradient of
 * the state after, if there is one. */
static void segment_backward(const struct loop *c, struct inner_grad *g, real *dstate,
                             const real *dO, const struct inner_in *in, int first, int last)
{
    for (int i = last - 1; i >= first; i--) {
        const struct inner_in row = row_of(in, i);
        const real *sum = c->inside + (i - first) * align_reals(c->sum_n);
        struct inner_grad row_g = row_grad(g, i, in->F);
        move(c, sum, &row);
        c->f->model->output_backward(&row_g, c->dseen, dO + (int64_t)i * in->F, c->seen, &row,
                                     c->work);
        move_backward(c, row_g.dtok, dstate, sum, &row);
        rows_backward(c, &row_g, dstate, &row);
        inner_zero(c->dseen, c->state_n);
    }
}

static void after_backward(const struct loop *c, struct inner_grad *g, real *dstate,
                           const real *dO, const struct inner_in *in)
{
    const int64_t each = align_reals(c->sum_n);
    const int n = c->segment, r = in->r;

    inner_zero(c->dsum, c->sum_n);
    inner_zero(c->dseen, c->state_n);
    if (in->complete) {
        copy(c->dseen, dstate, c->state_n);
        inner_zero(dstate, c->state_n);
    }
    inner_zero(c->sum, c->sum_n);
    for (int i = 0; i < r; i++) {
        const struct inner_in row = row_of(in, i);
        if (i % n == 0) copy(c->firsts + i / n * each, c->sum, c->sum_n);
        add_rows(c, c->sum, &row);
    }
    for (int first = (r - 1) / n * n; first >= 0; first -= n) {
        const int last = first + n < r ? first + n : r;
        copy(c->sum, c->firsts + first / n * each, c->sum_n);
        for (int i = first; i < last; i++) {
            const struct inner_in row = row_of(in, i);
            add_rows(c, c->sum, &row);
            copy(c->inside + (i - first) * each, c->sum, c->sum_n);
        }
        segment_backward(c, g, dstate, dO, in, first, last);
    }
}

/* --- fused or composed ------------------------------------------------------------------ */

struct inner_reals inner_reals(const struct inner *f, int K, int F)
{
    const struct inner_fused *fused = f->fused;
    const struct loop c = loop_at(f, NULL, K, F, NULL);
    struct inner_reals n = { .state = c.state_n, .sum = c.sum_n, .work = c.used };

    if (!fused) return n;
    n.kept = fused->kept_reals(K, F);
    n.saved = fused->saved_reals(K, F);
    n.work = fused->work_reals(K, F);
    return n;
}

void inner_batch_forward(const struct inner *f, const struct inner_result *to, const real *state,
                   const struct inner_in *in, real *work)
{
    if (f->fused) {
        f->fused->forward(to, state, in, work);
        return;
    }
    const struct loop c = loop_at(f, state, in->r, in->F, work);
    if (to->loss) *to->loss = f->model->loss(state, in, c.work);
    inner_zero(c.sum, c.sum_n);
    read_rows(&c, to->O, c.sum, in);
    if (to->igrad) copy(to->igrad, c.sum, c.sum_n);
    if (to->next) copy(to->next, c.seen, c.state_n);
}

void inner_batch_replay(const struct inner *f, const struct inner_tape *t, real *next,
                  const struct inner_in *in, real *work)
{
    if (f->fused) {
        f->fused->replay(t, next, in, work);
        return;
    }
    if (!next) return;
    const struct loop c = loop_at(f, t->state, in->r, in->F, work);
    inner_zero(c.sum, c.sum_n);
    read_rows(&c, NULL, c.sum, in);
    copy(next, c.seen, c.state_n);
}

void inner_batch_backward(const struct inner *f, struct inner_grad *g, real *dstate, const real *dO,
                    const struct inner_tape *t, const struct inner_in *in, real *work)
{
    if (f->fused) {
        f->fused->backward(g, dstate, dO, t, in, work);
        return;
    }
    const struct loop c = loop_at(f, t->state, in->r, in->F, work);
    if (f->output_before) before_backward(&c, g, dstate, dO, in);
    else after_backward(&c, g, dstate, dO, in);
}

void inner_token(const struct inner *f, real *O, real *state, real *igrad,
                 const struct inner_in *in, real *work)
{
    if (f->fused) {
        f->fused->token(O, state, igrad, in, work);
        return;
    }
    const struct loop c = loop_at(f, state, in->r, in->F, work);
    read_rows(&c, O, igrad, in);
    if (!in->complete) return;
    copy(state, c.seen, c.state_n);
    inner_zero(igrad, c.sum_n);
}
