/* SPDX-License-Identifier: Apache-2.0 */
/* A job whose ranks were started with different things says so, once, on all ranks. */
#include <string.h>

#include "mpi/grid/agree.h"
#include "src/base/log.h"
#include "tests/mpi/mpitest.h"

/* What rank 0 said; only it speaks. */
static int said(const char *text) { return world.rank > 0 || strstr(log_last_error(), text); }

static void equal_texts_agree(void **state)
{
    (void)state;
    all_true(&world, job_agree(&world, "configuration", "seed: 1\ntrain:\n  steps: 4\n") == OK);
    all_true(&world, job_agree(&world, "nothing", "") == OK);
}

/* Every rank in turn differs, alone or with all that follow: the first one is named. */
static void first_that_differs_is_named(void **state)
{
    (void)state;
    char want[64];
    for (int r = 1; r < world.size; r++)
        for (int alone = 0; alone < 2; alone++) {
            const int other = alone ? world.rank == r : world.rank >= r;
            const int rc = job_agree(&world, "configuration",
                                     other ? "seed: 1\nsteps: 5\nlr: 2\n"
                                           : "seed: 1\nsteps: 4\nlr: 1\n");
            snprintf(want, sizeof want, "'steps: 4' on rank 0, 'steps: 5' on rank %d", r);
            all_true(&world, rc == ERR_CONFIG);
            all_true(&world, said("configuration is not the same") && said(want));
        }
}

/* One is the beginning of the other; empty; a line so long that its difference has to be shown. */
static void every_difference_is_shown(void **state)
{
    (void)state;
    enum { LONG = 100000 };
    char *text = mem_new(LONG, 1, "text");
    const int last = world.rank == world.size - 1;

    if (world.size > 1) {
        all_true(&world, job_agree(&world, "build", last ? "a\nb\nc\n" : "a\nb\n") == ERR_CONFIG);
        all_true(&world, said("'' on rank 0, 'c' on rank"));
        all_true(&world, job_agree(&world, "data", last ? "" : "hash") == ERR_CONFIG);
        all_true(&world, said("'hash' on rank 0, '' on rank"));
        memset(text, 'x', LONG - 1);
        memcpy(text + 90000, last ? "there" : "where", 5);
        all_true(&world, job_agree(&world, "line", text) == ERR_CONFIG);
        all_true(&world, said("xxxwherexxx") && said("xxxtherexxx"));
    }
    mem_free(text);
}

static const struct CMUnitTest tests[] = {
    mpi_test(equal_texts_agree),
    mpi_test(first_that_differs_is_named),
    mpi_test(every_difference_is_shown),
};

MPITEST_MAIN(tests)
