/* ttt eval, ttt probe: on one process without MPI, on several as a grid. */
#include <string.h>

#include "mpi/grid/agree.h"
#include "mpi/infer/grid_eval.h"
#include "mpi/infer/grid_probe.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/cli/cmd.h"
#include "src/cli/team.h"
#include "src/data/dataset.h"
#include "src/infer/eval_sums.h"

struct job {
    struct axis world;
    const char *grid;   /* NULL: as fits */
};

static int agree(void *ctx, int rc)
{
    const struct job *j = ctx;
    return axis_agree(&j->world, rc);
}

/* The grid that was asked for, or one that fits the work.  Collective. */
static int make_grid(struct grid *g, const struct job *j, const struct step_shape *w)
{
    struct grid_shape shape = grid_auto(j->world.size, w);
    int rc = j->grid ? grid_parse(&shape, j->grid) : OK;
    rc = axis_agree(&j->world, rc);
    return rc == OK ? axis_agree(&j->world, grid_init(g, &j->world, &shape)) : rc;
}

/* Files of another node may be others, and its processor one that equal bits can't be promised on:
 * that is warned of. */
static int same_model(const struct job *j, const struct model *m)
{
    const struct proof_of p = { .bf16 = m->bf16 != NULL, .K = m->dims.K, .F = head_width(&m->dims) };
    char hex[HASH_HEX];
    hash_hex(hex, hash_bytes(m->w, (size_t)m->params.total * sizeof *m->w));
    const int rc = job_agree(&j->world, "weights", hex);
    return rc == OK ? job_prove(&j->world, &p, 1) : rc;
}

static int eval_on_grid(void *ctx, struct eval_result *r, const struct model *m,
                        struct dataset *d, const struct eval_opts *o)
{
    struct job *j = ctx;
    char hex[HASH_HEX];
    struct grid g;
    int64_t n;
    int rc;

    hash_hex(hex, dataset_fingerprint(d));
    TRY(same_model(j, m));
    TRY(job_agree(&j->world, "data", hex));
    TRY(axis_agree(&j->world, eval_targets(&n, m, d, o)));
    const int64_t longest = n < o->context ? n : o->context, windows = (n + longest - 1) / longest;
    const struct step_shape work = {
        .L = m->dims.L, .U = (int)((longest + EVAL_SLICE - 1) / EVAL_SLICE), .micro_batch = 1,
        .sequences = windows < GRID_RANKS ? (int)windows : GRID_RANKS,
    };
    TRY(make_grid(&g, j, &work));
    rc = grid_eval(r, &g, m, d, o);
    grid_done(&g);
out:
    return rc;
}

static int probe_on_grid(void *ctx, struct probe **out, const struct model *m, const int32_t *tok,
                         int B, int L, const struct probe_opts *o)
{
    struct job *j = ctx;
    const struct step_shape work = { .L = m->dims.L, .U = (L + m->dims.K - 1) / m->dims.K,
                                     .sequences = B, .micro_batch = 1 };
    char hex[HASH_HEX];
    struct grid g;
    int rc;

    hash_hex(hex, hash_bytes(tok, (size_t)B * (size_t)L * sizeof *tok));
    TRY(same_model(j, m));
    TRY(job_agree(&j->world, "tokens", hex));
    TRY(make_grid(&g, j, &work));
    rc = grid_probe(out, &g, m, tok, B, L, o);
    grid_done(&g);
out:
    return rc;
}

static struct team team_of(struct job *j)
{
    return (struct team){ .ctx = j, .speaks = j->world.rank == 0, .agree = agree,
                          .eval = eval_on_grid, .probe = probe_on_grid };
}

int cmd_eval(int argc, char **argv)
{
    struct eval_command c;
    struct job j;

    comm_hush();
    int rc = eval_command_parse(&c, argc, argv);
    if (rc != OK || !c.model) return rc;
    if (!c.grid && !comm_several()) return eval_command_run(&c, NULL);
    comm_start(&j.world);
    j.grid = c.grid;
    const struct team team = team_of(&j);
    rc = eval_command_run(&c, &team);
    comm_stop(&j.world);
    return rc;
}

int cmd_probe(int argc, char **argv)
{
    struct probe_command c;
    struct job j;

    comm_hush();
    int rc = probe_command_parse(&c, argc, argv);
    if (rc != OK || !c.model) return rc;
    if (!c.grid && !comm_several()) return probe_command_run(&c, NULL);
    comm_start(&j.world);
    j.grid = c.grid;
    const struct team team = team_of(&j);
    rc = probe_command_run(&c, &team);
    comm_stop(&j.world);
    return rc;
}
