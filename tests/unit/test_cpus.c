/* SPDX-License-Identifier: Apache-2.0 */
/* test_cpus.c -- cores and NUMA nodes of an affinity mask, on machines of recorded files. */
#include <sched.h>

#include "src/base/cpus.h"
#include "tests/unit/store_test.h"

/* A file below the test's folder, whose folders are made. */
static void put(const char *path, const char *text)
{
    char *file = mem_format("%s/%s", work, path), *dir = mem_string(file);

    *strrchr(dir, '/') = '\0';
    assert_int_equal(dir_make(dir), OK);
    put_file(file, text, strlen(text));
    mem_free(dir);
    mem_free(file);
}

/* Two sockets of 4 cores with two hardware threads each: 0-3,8-11 and 4-7,12-15. */
static int make(void **state)
{
    if (work_make(state) != 0) return -1;
    for (int i = 0; i < 16; i++) {
        char *path = mem_format("cpu/cpu%d/topology/thread_siblings_list", i);
        char *text = mem_format("%d,%d\n", i % 8, i % 8 + 8);
        put(path, text);
        mem_free(text);
        mem_free(path);
    }
    put("node/online", "0-1\n");
    put("node/node0/cpulist", "0-3,8-11\n");
    put("node/node1/cpulist", "4-7,12-15\n");
    return 0;
}

static void masks(void **state)
{
    (void)state;
    static const struct { const char *list; int units, cores, nodes; } rows[] = {
        { "0-15", 16, 8, 2 }, { "0-7", 8, 8, 2 },     /* one hardware thread of each core */
        { "0-3,8-11", 8, 4, 1 }, { "5", 1, 1, 1 }, { "5,13", 2, 1, 1 }, { "3-4", 2, 2, 2 },
        { "0,2,4,6", 4, 4, 2 }, { "11-12", 2, 2, 2 },
    };
    struct cpus c;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cpus_of(&c, rows[i].list, work);
        assert_int_equal(c.units, rows[i].units);
        assert_int_equal(c.cores, rows[i].cores);
        assert_int_equal(c.nodes, rows[i].nodes);
        assert_string_equal(c.list, rows[i].list);
    }
}

/* Where the system tells nothing, or a list is odd, there is still a core to run on. */
static void nothing_known(void **state)
{
    (void)state;
    static const char *const odd[] = { "", "x", "-", "99999999-999999999", "3-1" };
    struct cpus c;
    char list[400] = "";

    cpus_of(&c, "2-5", "/nowhere");
    assert_true(c.units == 4 && c.cores == 4 && c.nodes == 1);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        cpus_of(&c, odd[i], work);
        assert_true(c.units == 1 && c.cores == 1 && c.nodes == 1);
    }
    for (int i = 0; i < 64; i++) sprintf(list + strlen(list), "%s%d", i ? "," : "", 2 * i);
    cpus_of(&c, list, "/nowhere");
    assert_true(c.cores == 64 && strlen(c.list) == sizeof c.list - 1);
    assert_string_equal(c.list + strlen(c.list) - 3, "...");
}

/* A process that was put on one processor sees one, and knows that it could have more. */
static void this_process(void **state)
{
    (void)state;
    struct cpus before, c;
    cpu_set_t all, one;

    cpus_read(&before);
    assert_true(before.cores >= 1 && before.units >= before.cores);
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_int_equal(before.units, CPU_COUNT(&all));
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &all)) last--;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    cpus_read(&c);
    assert_true(c.units == 1 && c.cores == 1 && atoi(c.list) == last);
    if (CPU_COUNT(&all) > 1) assert_true(cpus_are_narrowed());
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_true(CPU_EQUAL(&all, &one));   /* asking has changed nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks), cmocka_unit_test(nothing_known), cmocka_unit_test(this_process),
    };
    return cmocka_run_group_tests(tests, make, work_remove);
}
