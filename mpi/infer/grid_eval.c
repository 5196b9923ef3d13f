/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/infer/grid_eval.h"

#include "mpi/step/step_exec.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/dataset.h"
#include "src/infer/eval_pass.h"
#include "src/infer/eval_sums.h"

struct reading {
    const struct grid      *g;
    const struct model     *m;
    struct dataset         *d;
    const struct eval_opts *o;
    struct pass_opts        pass;
    struct eval_sums        sums;
    int64_t                 targets, windows;
    struct step_exec       *exec;
    int64_t                 per_round;   /* windows that exec reads at once           */
    int64_t                 first;       /* of our windows of this round              */
    int                     tokens;      /* of our units                              */
    int32_t                *tok;         /* (our windows of a round, tokens + 1)      */
    int64_t                *valid;       /* (our windows of a round) zeros            */
};

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

/* Targets of window w. */
static int64_t length_of(const struct reading *z, int64_t w)
{
    return min(z->sums.longest, z->targets - w * z->sums.longest);
}

/* --- inner losses ---------------------------------------------------- */

static void tell_nll(void *ctx, int64_t sequence, int64_t position, const double *nll,
                     const int32_t *target, int n)
{
    struct reading *z = ctx;
    const int64_t token = (z->first + sequence) * z->sums.longest + position + 1;
    eval_sums_nll(&z->sums, token, position + 1, nll, target, n);
}

/* Means over heads and tokens of those mini-batches that are not padding. */
static void tell_inner(void *ctx, int l, int64_t sequence, int64_t position, const double *stats,
                       int n)
{
    struct reading *z = ctx;
    const struct dims *d = &z->m->dims;
    const int64_t whole = (length_of(z, z->first + sequence) - position) / d->K;

    for (int k = 0; k < n && k < whole; k++) {
        double mean[3];
        for (int i = 0; i < 3; i++) {
            double sum = 0;
            for (int h = 0; h < d->H; h++) sum += stats[((int64_t)h * n + k) * 3 + i];
            mean[i] = sum / ((double)d->H * d->K);
        }
        eval_sums_inner(&z->sums, l, 1, &mean[0], &mean[1], &mean[2]);
    }
}

/* --- reading ------------------------------------------------------------------ */

/* Prepare for rounds of `count` windows. */
static void round_init(struct reading *z, int64_t count)
{
    z->exec = step_exec_forward(z->g, z->m, &z->pass, count);
    z->per_round = count;
    const struct share *a = step_exec_share(z->exec);
    const int T = z->pass.slice_tokens;
    z->tokens = (int)(min((int64_t)a->u1 * T, z->pass.context) - (int64_t)a->u0 * T);
    z->tok = mem_new((a->q1 - a->q0) * ((int64_t)z->tokens + 1), sizeof *z->tok, "windows");
    z->valid = mem_new(a->q1 - a->q0, sizeof *z->valid, "windows");
}

static void round_done(struct reading *z)
{
    step_exec_free(z->exec);
    mem_free(z->tok);
    mem_free(z->valid);
    z->exec = NULL;
    z->tok = NULL;
    z->valid = NULL;
}

/* Tokens of this rank's units of its windows; -1 after the end of a window. */
static int read_tokens(struct reading *z)
{
    const struct share *a = step_exec_share(z->exec);
    const int64_t begin = (int64_t)a->u0 * z->pass.slice_tokens;
    int rc = OK;

    if (a->p != 0 && a->p != z->g->shape.P - 1) return OK;
    for (int q = 0; q < a->q1 - a->q0 && rc == OK; q++) {
        const int64_t w = z->first + q, left = length_of(z, w) - begin;
        const int64_t n = left > 0 ? min(left, z->tokens) + 1 : 0;
        int32_t *tok = z->tok + q * ((int64_t)z->tokens + 1);
        if (n > 0) rc = dataset_read(z->d, tok, w * z->sums.longest + begin, n);
        for (int64_t i = n; i <= z->tokens; i++) tok[i] = -1;
    }
    return rc;
}

static int read_round(struct reading *z, int64_t first)
{
    const struct pass_tap tap = { .ctx = z, .nll = tell_nll,
                                  .inner = z->sums.L ? tell_inner : NULL };
    struct pass_sums sums = { .tap = &tap };

    z->first = first + step_exec_share(z->exec)->q0;
    int rc = FAILPOINT("eval.slice");

    if (rc == OK) rc = z->o->asked && z->o->asked() ? ERR_SAVED : read_tokens(z);
    rc = axis_agree(&z->g->world, rc);
    if (rc != OK) return rc;
    step_exec_run(z->exec, z->tok, (int64_t)z->tokens + 1, z->valid, NULL, NULL, &sums, NULL);
    return OK;
}

/* A round has enough windows that filling the pipeline costs little time, and few enough that their
 * tokens take little memory. */
static int read_all(struct reading *z)
{
    const struct grid_shape *s = &z->g->shape;
    const int64_t round = (int64_t)s->D * z->pass.micro_batch * 8 * (s->P + s->S - 1);
    int rc = OK;

    for (int64_t first = 0; rc == OK && first < z->windows; first += z->per_round) {
        const int64_t count = min(round, z->windows - first);
        if (count != z->per_round) {
            round_done(z);
            round_init(z, count);
        }
        rc = read_round(z, first);
    }
    round_done(z);
    return rc;
}

/* --- all ranks ---------------------------------------------------------------- */

static int add_up(struct eval_result *r, struct reading *z)
{
    MPI_Comm comm = z->g->world.comm;
    int rc = OK;

    mpi_do(MPI_Allreduce(MPI_IN_PLACE, z->sums.v, mpi_count(z->sums.count), MPI_INT64_T, MPI_SUM,
                         comm));
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &z->sums.bad, 1, MPI_INT64_T, MPI_MIN, comm));
    TRY(axis_agree(&z->g->world, eval_sums_check(&z->sums)));
    if (z->g->world.rank == 0) rc = eval_bytes(&r->bytes, z->d, z->targets);
    TRY(axis_agree(&z->g->world, rc));
    mpi_do(MPI_Bcast(&r->bytes, 1, MPI_INT64_T, 0, comm));
    rc = axis_agree(&z->g->world, eval_finish(r, &z->sums, z->targets, z->o));
out:
    return rc;
}

int grid_eval(struct eval_result *r, const struct grid *g, const struct model *m,
              struct dataset *d, const struct eval_opts *o)
{
    struct reading z = { .g = g, .m = m, .d = d, .o = o };
    const struct step_shape work = { .L = m->dims.L, .U = g->shape.S, .sequences = 1,
                                     .micro_batch = 1 };
    const double start = clock_s();
    int rc = OK;

    *r = (struct eval_result){ .tokens = 0 };
    TRY(axis_agree(&g->world, share_check(&g->shape, &work)));
    TRY(axis_agree(&g->world, eval_targets(&z.targets, m, d, o)));
    eval_sums_init(&z.sums, d, z.targets, o->context, o->inner ? m->dims.L : 0);
    z.windows = (z.targets + z.sums.longest - 1) / z.sums.longest;
    TRY(axis_agree(&g->world, eval_pass(&z.pass, m->dims.K, z.sums.longest, z.windows, g->shape.D,
                                        g->shape.S)));
    z.pass.mask_token = o->mask_token;
    TRY(read_all(&z));
    TRY(add_up(r, &z));
    r->seconds = clock_s() - start;
out:
    eval_sums_done(&z.sums);
    return rc;
}
