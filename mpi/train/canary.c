/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/canary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpi/step/step_exec.h"
#include "src/base/failpoint.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/infer/eval_pass.h"

/* Loss on the reference sequence, nats; NaN if it is not finite.  Collective on the grid. */
static double reference_loss(const struct grid *g, const struct model *m, const struct pass_opts *o)
{
    struct step_exec *e = step_exec_forward(g, m, o, 1);
    const struct share *a = step_exec_share(e);
    const int64_t first = (int64_t)a->u0 * o->slice_tokens, valid = o->context;
    const int64_t n = (int64_t)(a->u1 - a->u0) * o->slice_tokens + 1;
    int32_t *tok = mem_new(n, sizeof *tok, "reference sequence");
    const uint64_t key = rng_key(1, "probe");
    struct pass_sums sums = { 0 };

    for (int64_t i = 0; i < n; i++)
        tok[i] = (int32_t)(rng_u64(key, (uint64_t)(first + i)) % (uint64_t)m->dims.V);
    step_exec_run(e, tok, n, &valid, NULL, NULL, &sums, NULL);
    int64_t v[3] = { sums.loss.hi, sums.loss.lo, sums.bad };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 3, MPI_INT64_T, MPI_SUM, g->world.comm));
    mem_free(tok);
    step_exec_free(e);
    return v[2] ? NAN : fixed_value((struct fixed){ v[0], v[1] });
}

json_t *canary_record(const struct grid *g, const struct model *m, const struct pass_opts *o)
{
    const struct pass_opts ref = canary_pass(&m->dims, o);
    char loss[64];

    snprintf(loss, sizeof loss, "%a", reference_loss(g, m, &ref));
    json_t *j = json_pack("{s:s,s:i,s:i}", "loss_nats", loss, "tokens", ref.context,
                          "unit_tokens", ref.slice_tokens);
    check(j);
    return j;
}

/* On the first rank. */
static int judge(double now, double was, const struct ckpt *c, int allow)
{
    const double delta = fabs(now / was - 1);

    if (now == was) {
        log_phase("reference loss %.9g: bit for bit that of the checkpoint", now);
        return OK;
    }
    if (delta <= CANARY_LIMIT || allow) {
        log_warn("this machine or build computes other bits than the one that wrote %s: reference "
                 "loss %.17g, was %.17g, a relative difference of %.1e", ckpt_path(c), now, was,
                 delta);
        return OK;
    }
    return fail(ERR_CONFIG, "this machine or build computes other numbers than the one that wrote "
                "%s: reference loss %.17g, was %.17g, a relative difference of %.1e, more than "
                "%.0e; to resume all the same, use --allow-numerics-change", ckpt_path(c), now, was,
                delta, CANARY_LIMIT);
}

int canary_verify(const struct grid *g, const struct model *m, const struct pass_opts *o,
                  const struct ckpt *c, int allow)
{
    const struct pass_opts ref = canary_pass(&m->dims, o);
    const json_t *said = json_object_get(ckpt_info(c), "probe");
    const char *loss = json_string_value(json_object_get(said, "loss_nats"));
    const double was = loss ? strtod(loss, NULL) : NAN;

    if (!isfinite(was) || json_integer_value(json_object_get(said, "tokens")) != ref.context ||
        json_integer_value(json_object_get(said, "unit_tokens")) != ref.slice_tokens)
        return OK;
    double now = reference_loss(g, m, &ref);
    if (FAILPOINT("canary.resume") != OK) now *= 1.001;
    return axis_agree(&g->world, g->world.rank == 0 ? judge(now, was, c, allow) : OK);
}
