/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/app/on_grid.h"

#include "mpi/grid/agree.h"
#include "src/base/hash.h"
#include "src/base/status.h"
#include "src/cli/team.h"
#include "src/model/model.h"

static int agree(void *ctx, int rc)
{
    const struct on_grid *j = ctx;
    return axis_agree(&j->world, rc);
}

struct team on_grid_team(struct on_grid *j)
{
    return (struct team){ .ctx = j, .speaks = j->world.rank == 0, .agree = agree };
}

int on_grid_make(struct grid *g, const struct on_grid *j, const struct step_shape *w)
{
    struct grid_shape shape = grid_auto(j->world.size, w);
    int rc = j->grid ? grid_parse(&shape, j->grid) : OK;
    rc = axis_agree(&j->world, rc);
    return rc == OK ? axis_agree(&j->world, grid_init(g, &j->world, &shape)) : rc;
}

int on_grid_same_model(const struct on_grid *j, const struct model *m)
{
    struct proof_of p;
    char hex[HASH_HEX];
    model_proof(&p, &m->dims, m->bf16 != NULL);
    hash_hex(hex, hash_bytes(m->w, (size_t)m->params.total * sizeof *m->w));
    const int rc = job_agree(&j->world, "weights", hex);
    return rc == OK ? job_prove(&j->world, &p, 1) : rc;
}
