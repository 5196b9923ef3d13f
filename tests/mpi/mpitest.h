/* SPDX-License-Identifier: Apache-2.0 */
/* mpitest.h -- cmocka for programs with more than one process.
 *
 * cmocka leaves a failing test by longjmp, on an assertion and on a crash alike (it catches
 * SIGSEGV).  A rank that leaves alone keeps its neighbours waiting in their next collective,
 * so here
 *   - ranks agree on a verdict first and assert it together: all_true();
 *   - a crash kills its process, and mpirun then ends the others.
 * Only rank 0 reports.
 */
#ifndef MPITEST_H
#define MPITEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "mpi/grid/comm.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#include <cmocka.h>  /* behind ours: it has a macro fail() */

static struct axis world;

/* Assert a condition that may differ between ranks.  Collective on axis. */
#define all_true(axis, cond) \
    assert_int_equal(axis_agree((axis), (cond) ? OK : ERR_DATA), OK)

/* A row of the test table. */
#define mpi_test(f) { #f, mpitest_call, NULL, NULL, &(CMUnitTestFunction){ f } }

static void mpitest_call(void **state)
{
    static const int crash[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    for (size_t i = 0; i < sizeof crash / sizeof *crash; i++) signal(crash[i], SIG_DFL);
    (*(CMUnitTestFunction *)*state)(NULL);
}

static int mpitest_balance(void **state)
{
    (void)state;
    return mem_live_blocks() == 0 ? 0 : -1;
}

/* main() of a test program. */
#define MPITEST_MAIN(tests)                                                       \
    int main(void)                                                                \
    {                                                                             \
        comm_start(&world);                                                       \
        if (world.rank > 0) {                                                     \
            if (!freopen("/dev/null", "w", stdout)) return 1;                     \
            if (!freopen("/dev/null", "w", stderr)) return 1;                     \
        }                                                                         \
        const int failed = cmocka_run_group_tests((tests), NULL, mpitest_balance); \
        comm_stop(&world);                                                        \
        return failed;                                                            \
    }

#endif
