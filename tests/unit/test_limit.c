/* SPDX-License-Identifier: Apache-2.0 */
/* test_limit.c -- limits of control groups, of both versions, from files like the system's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/base/limit.h"

static char root[] = "/tmp/ttt-limit-XXXXXX";

/* A file below root, whose folders are made. */
static void put(const char *path, const char *text)
{
    char command[512];
    snprintf(command, sizeof command, "f='%s/%s'; mkdir -p \"${f%%/*}\" && printf '%s' >\"$f\"",
             root, path, text);
    assert_int_equal(system(command), 0);
}

static int64_t limit(const char *groups)
{
    char path[256];
    put("groups", groups);
    snprintf(path, sizeof path, "%s/groups", root);
    return limit_groups(path, root);
}

static int make(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int clean(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* The least of a group and of those it is in. */
static void second_version(void **state)
{
    (void)state;
    assert_true(limit("0::/slurm/job_7/step_0\n") == INT64_MAX);
    put("slurm/memory.max", "9000000000\n");
    assert_true(limit("0::/slurm/job_7/step_0\n") == 9000000000);
    put("slurm/job_7/memory.max", "5000000000\n");
    put("slurm/job_7/step_0/memory.max", "max\n");
    assert_true(limit("0::/slurm/job_7/step_0\n") == 5000000000);
    assert_true(limit("0::/slurm/job_8\n") == 9000000000);
    assert_true(limit("0::/other\n") == INT64_MAX);
    put("memory.max", "4000000000\n");                     /* a container's own root */
    assert_true(limit("0::/\n") == 4000000000);
    assert_true(limit("0::/slurm/job_7/step_0\n") == 4000000000);
}

static void first_version(void **state)
{
    (void)state;
    put("memory/docker/a/memory.limit_in_bytes", "1000\n");
    put("memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("cpu/docker/a/memory.limit_in_bytes", "1\n");
    assert_true(limit("5:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n") == 1000);
    assert_true(limit("4:hugetlb,memory:/docker/a\n") == 1000);
    assert_true(limit("4:memory:/docker/b\n") == 9223372036854771712);
    assert_true(limit("4:memory_recursive:/docker/a\n") == INT64_MAX);
}

static int64_t kills(const char *groups)
{
    char path[256];
    put("groups", groups);
    snprintf(path, sizeof path, "%s/groups", root);
    return limit_kills_in(path, root);
}

/* The kernel's own counters, as Linux 6.1 writes them. */
static void kills_for_lack_of_memory(void **state)
{
    (void)state;
    static const char events[] = "low 0\nhigh 0\nmax 181\noom 3\noom_kill %d\noom_group_kill 0\n";
    char text[128];

    assert_true(kills("0::/session\n") == 0);
    snprintf(text, sizeof text, events, 2);
    put("session/memory.events", text);
    assert_true(kills("0::/session\n") == 2);
    assert_true(kills("0::/other\n") == 0);
    /* The ranks are in a step next to that of the launcher: the job counts for both. */
    snprintf(text, sizeof text, events, 0);
    put("slurm/job_7/step_batch/user/task_0/memory.events", text);
    assert_true(kills("0::/slurm/job_7/step_batch/user/task_0\n") == 0);
    snprintf(text, sizeof text, events, 1);
    put("slurm/job_7/memory.events", text);
    assert_true(kills("0::/slurm/job_7/step_batch/user/task_0\n") == 1);
    snprintf(text, sizeof text, events, 5);     /* of other jobs, too */
    put("slurm/memory.events", text);
    assert_true(kills("0::/slurm/job_7/step_batch/user/task_0\n") == 1);
    assert_true(kills("0::/slurm/job_seven/x\n") == 0);
    put("memory/docker/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
    assert_true(kills("5:cpu:/docker/b\n4:memory:/docker/a\n") == 4);
    put("memory/old/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n");  /* before 4.13 */
    assert_true(kills("4:memory:/old\n") == 0);

    /* What tests of the program use. */
    put("cgroup", "0::/session\n");
    setenv("TTT_CGROUPS", root, 1);
    assert_true(limit_kills() == 2);
    put("session/memory.max", "77\n");
    assert_true(limit_memory() == 77);
    unsetenv("TTT_CGROUPS");
    assert_true(limit_memory() > 77);
}

static void nonsense_is_no_limit(void **state)
{
    (void)state;
    assert_true(limit("") == INT64_MAX);
    assert_true(limit("no colons\n:\n") == INT64_MAX);
    assert_true(limit_groups("/nowhere/at all", root) == INT64_MAX);
    put("memory/zero/memory.limit_in_bytes", "0\n");
    put("memory/word/memory.limit_in_bytes", "many\n");
    put("memory/memory.limit_in_bytes", "");
    assert_true(limit("4:memory:/zero\n5:memory:/word\n") == INT64_MAX);
}

/* MiB that SLURM promised; what is no such number is no limit. */
static void of_a_job(void **state)
{
    (void)state;
    unsetenv("SLURM_MEM_PER_NODE");
    unsetenv("SLURM_MEM_PER_CPU");
    assert_true(limit_job() == INT64_MAX);
    setenv("SLURM_MEM_PER_CPU", "10", 1);
    setenv("SLURM_CPUS_ON_NODE", "4(x2)", 1);
    assert_true(limit_job() == INT64_MAX);
    setenv("SLURM_CPUS_ON_NODE", "4", 1);
    assert_true(limit_job() == 40 << 20);
    assert_true(limit_memory() <= 40 << 20);
    setenv("SLURM_MEM_PER_NODE", "30", 1);
    assert_true(limit_memory() <= 30 << 20);
    setenv("SLURM_MEM_PER_NODE", "9223372036854775807", 1);
    assert_true(limit_job() == 40 << 20);
    setenv("SLURM_MEM_PER_NODE", "0", 1);       /* all of the node */
    setenv("SLURM_MEM_PER_CPU", "9223372036854", 1);
    assert_true(limit_job() == INT64_MAX);
    unsetenv("SLURM_MEM_PER_NODE");
    unsetenv("SLURM_MEM_PER_CPU");
}

static void this_machine(void **state)
{
    (void)state;
    assert_true(limit_memory() > 0);
    assert_true(limit_memory() <= (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_version),
        cmocka_unit_test(first_version),
        cmocka_unit_test(kills_for_lack_of_memory),
        cmocka_unit_test(nonsense_is_no_limit),
        cmocka_unit_test(of_a_job),
        cmocka_unit_test(this_machine),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
