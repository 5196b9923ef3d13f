/* SPDX-License-Identifier: Apache-2.0 */
/* disagree.c -- rank 1 passes something else where arguments must agree; for test_must_agree.sh,
 * which runs it in builds that compare them (make CHECK=1). */
#include <string.h>

#include "mpi/grid/agree.h"
#include "mpi/step/reduce.h"
#include "mpi/step/step_exec.h"
#include "src/base/status.h"

static struct axis world;
static int other;

static void grid(void)
{
    struct grid g;
    const struct grid_shape shape = { 1, other ? world.size : 1, other ? 1 : world.size };
    grid_init(&g, &world, &shape);
}

static struct model *small(struct grid *g)
{
    static const struct dims d = { .layer = "ttt_linear", .V = 37, .L = 2, .C = 12, .H = 2, .E = 10,
                                   .K = 4, .conv_width = 4, .rope_theta = 1e4, .rms_eps = 1e-6,
                                   .ln_eps = 1e-6, .init_std = 0.3, .inner_lr = 1 };
    const struct grid_shape shape = { world.size, 1, 1 };
    struct model *m;
    check(grid_init(g, &world, &shape) == OK && model_new(&m, &d) == OK);
    return m;
}

static void sequences(void)
{
    struct grid g;
    const struct pass_opts o = { .context = 16, .slice_tokens = 8, .micro_batch = 1,
                                 .inner_group = 1, .mask_token = -1 };
    step_exec_new(&g, small(&g), &o, other ? 6 : 5);
}

/* Layers have equal sizes, so without the comparison their gradients would be added across. */
static void buckets(void)
{
    struct grid g;
    struct grad sum;
    struct model *m = small(&g);
    struct reducer *r = reducer_new(&g, m);
    grad_init(&sum, &m->params, REDUCE_EXACT);
    reducer_attach(r, &sum);
    reducer_begin(r, other);
    reducer_begin(r, !other);
    reducer_end(r);
}

/* The whole job ends like this when its ranks were started with different things. */
static int job(void) { return job_agree(&world, "seed", other ? "seed: 2" : "seed: 1"); }

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int rc = OK;

    comm_start(&world);
    other = world.rank == 1;
    if (!strcmp(what, "grid")) grid();
    else if (!strcmp(what, "sequences")) sequences();
    else if (!strcmp(what, "buckets")) buckets();
    else rc = job();
    comm_stop(&world);
    return -rc;
}
