/* SPDX-License-Identifier: Apache-2.0 */
/* ttt probe: on one process without MPI, on several as a grid. */
#include "mpi/app/on_grid.h"
#include "mpi/grid/agree.h"
#include "mpi/infer/grid_probe.h"
#include "src/base/hash.h"
#include "src/base/status.h"
#include "src/cli/cmd.h"
#include "src/cli/team.h"

static int probe_on_grid(void *ctx, struct probe **out, const struct model *m, const int32_t *tok,
                         int B, int L, const struct probe_opts *o)
{
    struct on_grid *j = ctx;
    const struct step_shape work = { .L = m->dims.L, .U = (L + m->dims.K - 1) / m->dims.K,
                                     .sequences = B, .micro_batch = 1 };
    char hex[HASH_HEX];
    struct grid g;
    int rc;

    hash_hex(hex, hash_bytes(tok, (size_t)B * (size_t)L * sizeof *tok));
    TRY(on_grid_same_model(j, m));
    TRY(job_agree(&j->world, "tokens", hex));
    TRY(on_grid_make(&g, j, &work));
    rc = grid_probe(out, &g, m, tok, B, L, o);
    grid_done(&g);
out:
    return rc;
}

int cmd_probe(int argc, char **argv)
{
    struct probe_command c;
    struct on_grid j;

    comm_first_reports();
    int rc = probe_command_parse(&c, argc, argv);
    if (rc != OK || !c.model) return rc;
    if (!c.grid && !comm_several()) return probe_command_run(&c, NULL);
    comm_start(&j.world);
    j.grid = c.grid;
    struct team team = on_grid_team(&j);
    team.probe = probe_on_grid;
    rc = probe_command_run(&c, &team);
    comm_stop(&j.world);
    return rc;
}
