/* SPDX-License-Identifier: Apache-2.0 */
/* Which launcher it is, by what each prints about its version, and the words that it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/launcher.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#include <cmocka.h>

#include "tests/unit/said.h"

/* What `mpirun --version` prints, or `mpiexec --version`. */
static const struct { const char *name, *text; } versions[] = {
    { "Open MPI 4", "mpirun (Open MPI) 4.1.4\n\n"
                    "Report bugs to http://www.open-mpi.org/community/help/\n" },
    { "Open MPI 4", "mpiexec (OpenRTE) 2.1.1\n\n"
                    "Report bugs to http://www.open-mpi.org/community/help/\n" },
    { "Open MPI 4", "mpirun (IBM Spectrum MPI) 10.4.0.03rtm4\n\n" },
    { "Open MPI 5", "mpirun (Open MPI) 5.0.3\n\n"
                    "Report bugs to https://www.open-mpi.org/community/help/\n" },
    { "Open MPI 5", "mpirun (Open MPI) 10.0.0a1\n" },
    { "Open MPI 5", "prterun (PRRTE) 3.0.6\n\n"
                    "Report bugs to https://github.com/openpmix/prrte\n" },
    { "MPICH", "HYDRA build details:\n"
               "    Version:                                 4.0.2\n"
               "    Release Date:                            Thu Apr  7 12:34:45 CDT 2022\n"
               "    CC:                              gcc   -g -O2 -Wl,-z,relro \n" },
    { "Intel MPI", "Intel(R) MPI Library for Linux* OS, Version 2021.6 Build 20220227 "
                   "(id: 28877f3f32)\nCopyright 2003-2022, Intel Corporation.\n" },
    { "Intel MPI", "Intel(R) MPI Library for Linux* OS, Version 2019 Update 12 Build 202010429 "
                   "(id: e380127cb)\nCopyright 2003-2021, Intel Corporation.\n" },
    { "Cray PALS", "mpiexec version 1.8.0 revision 5a4c1b2\n" },
};

static void versions_of_launchers(void **state)
{
    (void)state;
    static const char *const unknown[] = { "", "mpirun_rsh version 2.3.7\n", "slurm 22.05.8\n", "3\n" };

    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        const struct launcher *by = launcher_of(versions[i].text);
        assert_non_null(by);
        assert_string_equal(by->name, versions[i].name);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_null(launcher_of(unknown[i]));
}

static struct conf conf;
static struct host hosts[] = { { .name = "a", .slots = 2 }, { .name = "gone", .slots = 2, .lost = 1 },
                               { .name = "b", .slots = 2 } };
static const struct launch_opts opts = { .file = "my.yaml" };

/* The words of a kind of launcher before the program's, joined by blanks.  A counted string. */
static char *line_of(int kind, struct launch *l)
{
    conf.launch.mpirun_kind = kind;
    conf.launch.kill_wait_s = 5;
    conf.launch.slurm.start = START_SRUN;
    conf.launch.slurm.cpus_per_task = 3;
    snprintf(conf.launch.slurm.mpi, sizeof conf.launch.slurm.mpi, "pmix");
    l->o = &opts;
    l->conf = &conf;
    l->grid = (struct grid_shape){ 4, 1, 1 };
    l->ranks = 4;
    l->threads = 3;
    assert_int_equal(launcher_find(l), OK);
    char **words = launch_command(l), *line = mem_string(""), *self = launch_self();
    for (int i = 0; words[i] && strcmp(words[i], self) != 0; i++) {
        if (!strcmp(words[i], "--allow-run-as-root")) continue;
        char *longer = mem_format("%s%s%s", line, *line ? " " : "", words[i]);
        mem_free(line);
        line = longer;
    }
    mem_free(self);
    mem_free(words);
    mem_free(l->mpirun);
    return line;
}

#define KEEPALIVE "--mca oob_tcp_keepalive_time 10 --mca oob_tcp_keepalive_intvl 3 " \
                  "--mca oob_tcp_keepalive_probes 3"

static void command_lines(void **state)
{
    (void)state;
    static const struct { int kind, job; const char *here, *hosts; } rows[] = {
        { MPIRUN_OPENMPI4, 0,
          "mpirun --mca odls_base_sigkill_timeout 5 " KEEPALIVE " --oversubscribe -n 4 "
          "--bind-to none -x OMP_NUM_THREADS=3",
          "mpirun --mca odls_base_sigkill_timeout 5 " KEEPALIVE " --host a:2,b:2 -n 4 "
          "--map-by slot:PE=3 --bind-to core -x OMP_NUM_THREADS=3" },
        { MPIRUN_OPENMPI5, 0,
          "mpirun --prtemca odls_base_sigkill_timeout 5 -n 4 --map-by slot:OVERSUBSCRIBE "
          "--bind-to none -x OMP_NUM_THREADS=3",
          "mpirun --prtemca odls_base_sigkill_timeout 5 --host a:2,b:2 -n 4 --map-by slot:PE=3 "
          "--bind-to core -x OMP_NUM_THREADS=3" },
        { MPIRUN_MPICH, 0,
          "mpirun -rmk user -launcher fork -n 4 -bind-to none -genv OMP_NUM_THREADS 3",
          "mpirun -hosts a:2,b:2 -n 4 -bind-to core:3 -genv OMP_NUM_THREADS 3" },
        { MPIRUN_INTEL, 0,
          "mpiexec.hydra -genvall -rmk user -launcher fork -n 4 -genv I_MPI_PIN off "
          "-genv OMP_NUM_THREADS 3",
          "mpiexec.hydra -genvall -hosts a,b -ppn 2 -n 4 -genv I_MPI_PIN_CELL core "
          "-genv I_MPI_PIN_DOMAIN 3:compact -genv OMP_NUM_THREADS 3" },
        { MPIRUN_PALS, 0, "mpirun -n 4 --cpu-bind none --env OMP_NUM_THREADS=3",
          "mpirun --hosts a,b --ppn 2 -n 4 --cpu-bind depth --depth 3 --env OMP_NUM_THREADS=3" },
        { MPIRUN_AUTO, 1, NULL,
          "srun --mpi=pmix --nodes=2 --nodelist=a,b --ntasks=4 --cpus-per-task=3 "
          "--distribution=block --wait=20 --cpu-bind=cores --export=ALL,OMP_NUM_THREADS=3" },
    };
    static const char *const passed[] = { "LD_LIBRARY_PATH", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT",
                                          "TTT_FAIL", "MPIRUN" };

    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) unsetenv(passed[i]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct launch here = { .bound = 0 };
        struct launch there = { .hosts = hosts, .n_hosts = 3, .bound = 1 };
        if (rows[i].job) strcpy(there.job, "7");
        char *line = rows[i].here ? line_of(rows[i].kind, &here) : NULL;
        if (line) assert_string_equal(line, rows[i].here);
        mem_free(line);
        line = line_of(rows[i].kind, &there);
        assert_string_equal(line, rows[i].hosts);
        mem_free(line);
    }
}

/* Open MPI's passes only the variables that it is told to pass; the others pass all on. */
static void variables_of_the_run(void **state)
{
    (void)state;
    struct launch l = { .bound = 0 };

    setenv("TTT_FAIL", "x=err", 1);
    char *line = line_of(MPIRUN_OPENMPI4, &l);
    assert_non_null(strstr(line, " -x TTT_FAIL"));
    mem_free(line);
    l = (struct launch){ .bound = 0 };
    line = line_of(MPIRUN_MPICH, &l);
    assert_null(strstr(line, "TTT_FAIL"));
    mem_free(line);
    unsetenv("TTT_FAIL");
}

/* One number for all hosts does not describe different hosts. */
static void unequal_hosts(void **state)
{
    (void)state;
    struct host uneven[] = { { .name = "a", .slots = 2 }, { .name = "b", .slots = 3 } };
    struct launch l = { .o = &opts, .conf = &conf, .hosts = uneven, .n_hosts = 2 };

    conf.launch.mpirun_kind = MPIRUN_MPICH;
    assert_int_equal(launcher_find(&l), OK);
    mem_free(l.mpirun);
    l.by = NULL;
    conf.launch.mpirun_kind = MPIRUN_INTEL;
    hear(1);
    const int rc = launcher_find(&l);
    hear(0);
    assert_int_equal(rc, ERR_CONFIG);
    assert_non_null(strstr(said, "but a has 2 slots and b has 3"));
    uneven[1].lost = 1;
    assert_int_equal(launcher_find(&l), OK);
    mem_free(l.mpirun);
}

/* The signal that ended a process, by its launcher's exit code. */
static void signals(void **state)
{
    (void)state;
    const struct launcher *openmpi = launcher_of("(Open MPI) 4."), *mpich = launcher_of("HYDRA build details");

    assert_int_equal(launcher_signal(openmpi, 128 + 9), 9);
    assert_int_equal(launcher_signal(openmpi, 9), 0);
    assert_int_equal(launcher_signal(openmpi, 85), 0);
    assert_int_equal(launcher_signal(mpich, 9), 9);
    assert_int_equal(launcher_signal(mpich, 128 + 6), 6);   /* with a core file */
    assert_int_equal(launcher_signal(mpich, 1), 0);
    assert_int_equal(launcher_signal(mpich, 85), 0);
    assert_int_equal(launcher_signal(mpich, 255), 0);       /* it could not start them */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_of_launchers), cmocka_unit_test(command_lines),
        cmocka_unit_test(variables_of_the_run), cmocka_unit_test(unequal_hosts),
        cmocka_unit_test(signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
