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

/* Lines are NUMBER:CONTROLLERS:GROUP; without controllers it is the second version. */
int64_t limit_groups(const char *file, const char *root)
{
    int64_t most = INT64_MAX, n = INT64_MAX;
    char line[4096];
    FILE *f = fopen(file, "r");

    while (f && fgets(line, sizeof line, f)) {
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (!group) continue;
        list++;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (!*list) {
            n = least(root, group, "memory.max");
        } else if (has_memory(list)) {
            char *own = mem_format("%s/memory", root);
            n = least(own, group, "memory.limit_in_bytes");
            mem_free(own);
        }
        if (n < most) most = n;
    }
    if (f) fclose(f);
    return most;
}

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
    const int64_t group = limit_groups("/proc/self/cgroup", "/sys/fs/cgroup");
    const int64_t ours = group < job ? group : job;
    return ours < all ? ours : all;
}
