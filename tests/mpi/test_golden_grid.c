/* SPDX-License-Identifier: Apache-2.0 */
/* The authors' numbers (tests/golden/README.md) on every grid of this many ranks; forward numbers
 * and states are, bit for bit, those of one process. */
#include <string.h>

#include "mpi/infer/grid_probe.h"
#include "src/infer/load.h"
#include "tests/lib/golden_probe.h"
#include "tests/mpi/mpitest.h"

static const struct probe_opts all = { .hidden = 1, .states = 1, .inner = 1, .grads = 1 };

static struct model *open_model(const struct golden_case *c)
{
    struct load_info info;
    struct model *m;
    all_true(&world, load_model(&m, &info, c->model) == OK);
    load_done(&info);
    return m;
}

/* Tensors that are not the same bits; gradients, whose sums have another order, aside. */
static int differences(const struct golden *a, const struct golden *b)
{
    int n = a->count != b->count;
    for (int i = 0; i < a->count; i++) {
        const struct array *x = &a->a[i], *y = golden_find(b, x->name);
        if (!strncmp(x->name, "grad", 4) && y) continue;
        n += !y || x->n != y->n || memcmp(x->v, y->v, (size_t)x->n * sizeof *x->v) != 0;
    }
    return n;
}

static void probe_on(struct golden *found, const struct grid_shape *shape, const struct model *m,
                     const struct golden_case *c, int slice)
{
    struct probe_opts o = all;
    struct probe *p;
    struct grid g;
    int B, L;
    int32_t *tok = golden_tokens(c, &B, &L);

    o.slice = slice;
    all_true(&world, grid_init(&g, &world, shape) == OK);
    all_true(&world, grid_probe(&p, &g, m, tok, B, L, &o) == OK);
    if (world.rank == 0) golden_found(found, p);
    probe_free(p);
    mem_free(tok);
    grid_done(&g);
}

/* In float, gradients of a sequence in slices are added in another order than PyTorch's float32, by
 * which the tolerances were measured: twice as much.  In double nothing changes. */
static const struct golden_case *sliced(const struct golden_case *c, struct golden_case *two)
{
    *two = *c;
    two->grads *= 2;
    two->token_idx *= 2;
    return two;
}

/* On rank 0: off the golden numbers, or other bits than one process. */
static int64_t wrong(const struct golden_case *c, const struct golden *found,
                     const struct model *m)
{
    struct golden_case two;
    struct golden one;
    struct probe *p;
    int B, L;
    int32_t *tok = golden_tokens(c, &B, &L);

    check(probe_run(&p, m, tok, B, L, &all) == OK);
    golden_found(&one, p);
    const int64_t n = golden_off(sliced(c, &two), found) + differences(&one, found);
    golden_close(&one);
    probe_free(p);
    mem_free(tok);
    return n;
}

static void numbers_are_the_authors(void **state)
{
    (void)state;
    for (int i = 0; i < GOLDEN_CASES; i++) {
        const struct golden_case *c = &golden_cases[i];
        struct model *m = open_model(c);
        for (int P = 1; P <= 2; P++)
            for (int S = 1; S <= 5; S++) {
                const struct grid_shape shape = { world.size / (P * S), P, S };
                struct golden found;
                if (grid_ranks(&shape) != world.size) continue;
                probe_on(&found, &shape, m, c, 0);
                const int64_t n = world.rank == 0 ? wrong(c, &found, m) : 0;
                if (n) print_error("case %s on %dx%dx%d\n", c->name, shape.D, P, S);
                if (world.rank == 0) golden_close(&found);
                all_true(&world, n == 0);
            }
        model_free(m);
    }
}

/* One weight, wrong on the last rank only, and both comparisons say so. */
static void a_spoilt_rank_is_noticed(void **state)
{
    (void)state;
    const struct golden_case *c = &golden_cases[GOLDEN_M];
    const struct grid_shape shapes[2] = { { 1, 1, world.size }, { 1, 2, world.size / 2 } };
    struct model *m = open_model(c);
    struct golden_case two;
    struct golden right, found;

    for (int i = 0; i < 2; i++) {
        if (grid_ranks(&shapes[i]) != world.size || shapes[i].S > 5) continue;
        probe_on(&right, &shapes[i], m, c, 16);
        const struct param *q =
            &m->params.p[param_find(&m->params, "model.layers.1.mlp.down_proj.weight")];
        const int spoils = world.rank == world.size - 1;
        if (spoils)
            for (int64_t k = 0; k < q->n; k++) m->w[q->offset + k] *= (real)1.1;
        probe_on(&found, &shapes[i], m, c, 16);
        int noticed = 1;
        if (world.rank == 0) {
            golden_speak(0);
            noticed = golden_off(sliced(c, &two), &right) == 0 && golden_off(&two, &found) > 0 &&
                      differences(&right, &found) > 0;
            golden_speak(1);
            golden_close(&right);
            golden_close(&found);
        }
        all_true(&world, noticed);
        model_free(m);
        m = open_model(c);
    }
    model_free(m);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    const struct golden_case *c = &golden_cases[GOLDEN_M];
    const struct grid_shape shapes[3] = { { 1, 1, world.size }, { 1, world.size, 1 },
                                          { world.size, 1, 1 } };
    const struct probe_opts odd = { .slice = 20 }, long_one = { .slice = 96 };
    struct model *m = open_model(c);
    struct probe *p;
    struct grid g;
    int B, L;
    int32_t *tok = golden_tokens(c, &B, &L);

    for (int i = 0; i < 3; i++) {
        all_true(&world, grid_init(&g, &world, &shapes[i]) == OK);
        if (i == 0) all_true(&world, grid_probe(&p, &g, m, tok, B, L, &odd) == ERR_USAGE);
        if (i == 0 && world.size > 1)
            all_true(&world, grid_probe(&p, &g, m, tok, B, L, &long_one) == ERR_CONFIG);
        if (i == 1 && world.size > 2)
            all_true(&world, grid_probe(&p, &g, m, tok, B, L, &all) == ERR_CONFIG);
        if (i == 2) {
            if (world.rank == world.size - 1) tok[3] = 256;
            all_true(&world, grid_probe(&p, &g, m, tok, B, L, &all) == ERR_CONFIG);
        }
        grid_done(&g);
    }
    mem_free(tok);
    model_free(m);
}

static const struct CMUnitTest tests[] = {
    mpi_test(numbers_are_the_authors),
    mpi_test(a_spoilt_rank_is_noticed),
    mpi_test(what_does_not_fit_is_refused),
};

MPITEST_MAIN(tests)
