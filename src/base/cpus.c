/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

enum { MOST = 1 << 13, LINE = 1 << 14 };   /* numbers of processors; bytes of a list */

/* First line of a file, without its end; "" if there is none. */
static void first_line(char text[LINE], const char *path)
{
    FILE *f = fopen(path, "re");

    if (!f || !fgets(text, LINE, f)) text[0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (f) fclose(f);
}

/* Mark the numbers of "0-3,8". */
static void mark(unsigned char set[MOST], const char *list)
{
    memset(set, 0, MOST);
    while (*list >= '0' && *list <= '9') {
        char *end;
        const long lo = strtol(list, &end, 10), hi = *end == '-' ? strtol(end + 1, &end, 10) : lo;
        for (long i = lo; i <= hi && i < MOST; i++) set[i] = 1;
        list = end + (*end == ',');
    }
}

/* Cores of the marked processors: each is known by the lowest of its processors. */
static int count_cores(const unsigned char set[MOST], const char *system, char text[LINE])
{
    unsigned char seen[MOST] = { 0 };
    int n = 0;

    for (int i = 0; i < MOST; i++) {
        if (!set[i]) continue;
        char *path = mem_format("%s/cpu/cpu%d/topology/thread_siblings_list", system, i);
        first_line(text, path);
        mem_free(path);
        const long first = text[0] >= '0' && text[0] <= '9' ? atol(text) : i;
        const int core = first < MOST ? (int)first : i;
        n += !seen[core];
        seen[core] = 1;
    }
    return n;
}

/* NUMA nodes with a marked processor. */
static int count_nodes(const unsigned char set[MOST], const char *system, char text[LINE])
{
    unsigned char ids[MOST], node[MOST];
    char *path = mem_format("%s/node/online", system);
    int n = 0;

    first_line(text, path);
    mem_free(path);
    mark(ids, text);
    for (int k = 0; k < MOST; k++) {
        if (!ids[k]) continue;
        path = mem_format("%s/node/node%d/cpulist", system, k);
        first_line(text, path);
        mem_free(path);
        mark(node, text);
        int i = 0;
        while (i < MOST && !(node[i] && set[i])) i++;
        n += i < MOST;
    }
    return n;
}

void cpus_of(struct cpus *c, const char *list, const char *system)
{
    static char text[LINE];
    unsigned char set[MOST];

    *c = (struct cpus){ .units = 0 };
    mark(set, list);
    for (int i = 0; i < MOST; i++) c->units += set[i];
    c->cores = count_cores(set, system, text);
    c->nodes = count_nodes(set, system, text);
    if (c->units < 1) c->units = 1;
    if (c->cores < 1) c->cores = 1;
    if (c->nodes < 1) c->nodes = 1;
    if (strlen(list) < sizeof c->list) strcpy(c->list, list);
    else snprintf(c->list, sizeof c->list, "%.*s...", (int)sizeof c->list - 4, list);
}

void cpus_read(struct cpus *c)
{
    static char line[LINE];
    char *list = NULL;
    FILE *f = fopen("/proc/self/status", "re");

    while (f && !list && fgets(line, sizeof line, f))
        if (!strncmp(line, "Cpus_allowed_list:", 18)) list = line + 18;
    if (f) fclose(f);
    if (list) list += strspn(list, " \t");
    if (list) list[strcspn(list, "\n")] = '\0';
    cpus_of(c, list ? list : "", "/sys/devices/system");
}

/* Ask for all processors: the kernel gives those of the cpuset. */
int cpus_are_narrowed(void)
{
    const size_t bytes = CPU_ALLOC_SIZE(MOST);
    cpu_set_t *now = CPU_ALLOC(MOST), *all = CPU_ALLOC(MOST);
    int narrowed = 0;

    if (now && all && sched_getaffinity(0, bytes, now) == 0) {
        memset(all, 0xff, bytes);
        if (sched_setaffinity(0, bytes, all) == 0 && sched_getaffinity(0, bytes, all) == 0) {
            narrowed = !CPU_EQUAL_S(bytes, now, all);
            (void)sched_setaffinity(0, bytes, now);
        }
    }
    CPU_FREE(now);
    CPU_FREE(all);
    return narrowed;
}
