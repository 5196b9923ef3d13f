/* SPDX-License-Identifier: Apache-2.0 */
/* ttt eval: on one process without MPI, on several as a grid. */
#include "mpi/app/on_grid.h"
#include "mpi/grid/agree.h"
#include "mpi/infer/grid_eval.h"
#include "src/base/hash.h"
#include "src/base/status.h"
#include "src/cli/cmd.h"
#include "src/cli/team.h"
#include "src/data/dataset.h"
#include "src/infer/eval_sums.h"

static int eval_on_grid(void *ctx, struct eval_result *r, const struct model *m,
                        struct dataset *d, const struct eval_opts *o)
{
    struct on_grid *j = ctx;
    char hex[HASH_HEX];
    struct grid g;
    int64_t n;
    int rc;

    hash_hex(hex, dataset_fingerprint(d));
    TRY(on_grid_same_model(j, m));
    TRY(job_agree(&j->world, "data", hex));
    TRY(axis_agree(&j->world, eval_targets(&n, m, d, o)));
    const int64_t longest = n < o->context ? n : o->context, windows = (n + longest - 1) / longest;
    const struct step_shape work = {
        .L = m->dims.L, .U = (int)((longest + EVAL_SLICE - 1) / EVAL_SLICE), .micro_batch = 1,
        .sequences = windows < GRID_RANKS ? (int)windows : GRID_RANKS,
    };
    TRY(on_grid_make(&g, j, &work));
    rc = grid_eval(r, &g, m, d, o);
    grid_done(&g);
out:
    return rc;
}

int cmd_eval(int argc, char **argv)
{
    struct eval_command c;
    struct on_grid j;

    comm_first_reports();
    int rc = eval_command_parse(&c, argc, argv);
    if (rc != OK || !c.model) return rc;
    if (!c.grid && !comm_several()) return eval_command_run(&c, NULL);
    comm_start(&j.world);
    j.grid = c.grid;
    struct team team = on_grid_team(&j);
    team.eval = eval_on_grid;
    rc = eval_command_run(&c, &team);
    comm_stop(&j.world);
    return rc;
}
