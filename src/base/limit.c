/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/base/text.h"

/* A number in a file; INT64_MAX: no file, or "max". */
static int64_t number_in(const char *path)
{
    char text[32] = "";
    FILE *f = fopen(path, "r");

    if (!f) return INT64_MAX;
    const int there = fgets(text, sizeof text, f) != NULL;
    fclose(f);
    char *end = text;
    const long long n = strtoll(text, &end, 10);
    return there && end != text && n > 0 ? n : INT64_MAX;
}

/* The least of root/group/name, root/parent/name, ..., root/name; group is cut down. */
static int64_t least(const char *root, char *group, const char *name)
{
    int64_t most = INT64_MAX;

    for (;;) {
        char *path = mem_format("%s%s/%s", root, group, name);
        const int64_t n = number_in(path);
        mem_free(path);
        if (n < most) most = n;
        char *slash = strrchr(group, '/');
        if (!slash) return most;
        *slash = '\0';
    }
}

/* "memory" in a list with commas. */
static int has_memory(const char *list)
{
    const size_t n = strlen("memory");
    for (const char *s = list; (s = strstr(s, "memory")); s += n)
        if ((s == list || s[-1] == ',') && (s[n] == '\0' || s[n] == ',')) return 1;
    return 0;
}

/* The next group that has to do with memory.  Lines are NUMBER:CONTROLLERS:GROUP; without controllers
 * it is the second version. */
static int next_group(char **group, int *version, char line[4096], FILE *f)
{
    while (f && fgets(line, 4096, f)) {
        char *list = strchr(line, ':'), *name = list ? strchr(list + 1, ':') : NULL;
        if (!name) continue;
        list++;
        *name++ = '\0';
        name[strcspn(name, "\n")] = '\0';
        *group = name;
        *version = *list ? 1 : 2;
        if (!*list || has_memory(list)) return 1;
    }
    return 0;
}

int64_t limit_groups(const char *file, const char *root)
{
    int64_t most = INT64_MAX;
    char line[4096], *group, *own = mem_format("%s/memory", root);
    int version;
    FILE *f = fopen(file, "r");

    while (next_group(&group, &version, line, f)) {
        const int64_t n = version == 2 ? least(root, group, "memory.max")
                                       : least(own, group, "memory.limit_in_bytes");
        if (n < most) most = n;
    }
    if (f) fclose(f);
    mem_free(own);
    return most;
}

/* The number after "oom_kill " in memory.events or memory.oom_control; 0: there is none. */
static int64_t kills(const char *root, const char *group, const char *name)
{
    char *path = mem_format("%s%s/%s", root, group, name), line[128];
    FILE *f = fopen(path, "r");
    long long n = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "oom_kill %lld", &n) == 1) break;
    if (f) fclose(f);
    mem_free(path);
    return n > 0 ? n : 0;
}

/* Cut ".../job_7/step_batch/task_0" after the job: SLURM's steps are groups next to each other.  The
 * second version counts what happens below a group, too; the first one counts it nowhere else. */
static void cut_after_job(char *group)
{
    for (char *p = group; (p = strstr(p, "/job_")) != NULL; p++) {
        const size_t n = strspn(p + 5, "0123456789");
        if (n && p[5 + n] == '/') p[5 + n] = '\0';
    }
}

int64_t limit_kills_in(const char *file, const char *root)
{
    int64_t most = 0;
    char line[4096], *group, *own = mem_format("%s/memory", root);
    int version;
    FILE *f = fopen(file, "r");

    while (next_group(&group, &version, line, f)) {
        if (version == 2) cut_after_job(group);
        const int64_t n = version == 2 ? kills(root, group, "memory.events")
                                       : kills(own, group, "memory.oom_control");
        if (n > most) most = n;
    }
    if (f) fclose(f);
    mem_free(own);
    return most;
}

/* Call `ask` with this machine's files, or with those of a test. */
static int64_t here(int64_t (*ask)(const char *file, const char *root))
{
    const char *test = getenv("TTT_CGROUPS");
    if (!test || !*test) return ask("/proc/self/cgroup", "/sys/fs/cgroup");
    char *file = mem_format("%s/cgroup", test);
    const int64_t n = ask(file, test);
    mem_free(file);
    return n;
}

int64_t limit_kills(void) { return here(limit_kills_in); }

int64_t limit_installed(void)
{
    return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

/* A whole number from 1 to `most` in the environment; 0: there is none. */
static int64_t number_of(const char *name, int64_t most)
{
    const char *text = getenv(name);
    int64_t n;
    return text && text_int(&n, text) && n > 0 && n <= most ? n : 0;
}

int64_t limit_job(void)
{
    const int64_t most = INT64_MAX >> 20, node = number_of("SLURM_MEM_PER_NODE", most);
    const int64_t cpus = number_of("SLURM_CPUS_ON_NODE", 65536);

    if (node) return node << 20;
    const int64_t one = cpus ? number_of("SLURM_MEM_PER_CPU", most / cpus) : 0;
    return one ? one * cpus << 20 : INT64_MAX;
}

int64_t limit_memory(void)
{
    const int64_t all = limit_installed(), job = limit_job();
    const int64_t group = here(limit_groups);
    const int64_t ours = group < job ? group : job;
    return ours < all ? ours : all;
}
