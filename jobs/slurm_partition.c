/* SPDX-License-Identifier: Apache-2.0 */
/* What the cluster says of its partitions: sinfo's nodes, CPUs, memory and time limits, scontrol's
 * pre-emption and default memory. */
#include "jobs/slurm_partition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/tool.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"

#define ANSWER ((size_t)1 << 20)

/* --- sinfo ------------------------------------------------------------------------- */

/* "down*", "drained", "mixed-", ...: no job starts on such a node before somebody repairs it. */
static int is_down(const char *state)
{
    static const char *const words[] = { "down", "drain", "fail", "maint", "error", "unknown",
                                         "future", "inval", "no_respond" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(state, words[i], strlen(words[i]))) return 1;
    return 0;
}

/* "cpu*|4|96|192000|1-00:00:00|idle" */
static int read_line(struct node_group *g, char *line)
{
    char *field[6];
    int64_t nodes, cpus, mib;

    for (int i = 0; i < 6; i++)
        if (!(field[i] = strsep(&line, "|"))) return 0;
    if (line || !text_int(&nodes, field[1]) || !text_int(&cpus, field[2]) ||
        !text_int(&mib, field[3]) || nodes < 0 || cpus < 0 || mib < 0 || mib > INT64_MAX >> 20)
        return 0;
    if (mib <= 1) mib = 0;  /* of a node that nobody described */
    const size_t n = strlen(field[0]);
    *g = (struct node_group){ .nodes = nodes, .cpus = cpus, .memory = mib << 20,
                              .limit_s = conf_slurm_time(field[4]), .down = is_down(field[5]) };
    g->preset = n > 0 && field[0][n - 1] == '*';
    snprintf(g->partition, sizeof g->partition, "%.*s", (int)(n - (size_t)g->preset), field[0]);
    snprintf(g->limit, sizeof g->limit, "%s", field[4]);
    return g->partition[0] != '\0';
}

int slurm_read_nodes(struct node_group **out, int *count, char *text)
{
    struct node_group *g = NULL;
    int n = 0;

    *out = NULL;
    *count = 0;
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        if (!line[0]) continue;
        g = mem_resize(g, n + 1, sizeof *g, "nodes");
        if (read_line(&g[n++], line)) continue;
        mem_free(g);
        return 0;
    }
    *out = g;
    *count = n;
    return n > 0;
}

int slurm_nodes(struct node_group **out, int *count)
{
    char why[TOOL_WHY], *text = mem_new(ANSWER, 1, "answer of sinfo");
    const int code = tool_ask(text, ANSWER, why, (char *const[]){
        "sinfo", "--noheader", "--all", "--exact", "--format=%P|%D|%c|%m|%l|%T", NULL });
    const int good = code == 0 && slurm_read_nodes(out, count, text);

    mem_free(text);
    if (good) return 1;
    *out = NULL;
    *count = 0;
    return 0;
}

/* --- scontrol ---------------------------------------------------------------------- */

/* The value after KEY= in a line of scontrol.  returns 0 if there is none */
static int value_of(char value[64], const char *line, const char *key)
{
    const size_t n = strlen(key);

    for (const char *p = line; (p = strstr(p, key)) != NULL; p += n) {
        if ((p != line && p[-1] != ' ' && p[-1] != '\n') || p[n] != '=') continue;
        snprintf(value, 64, "%.*s", (int)strcspn(p + n + 1, " \n"), p + n + 1);
        return 1;
    }
    return 0;
}

/* The line of our partition among those that scontrol prints, cut out of text. */
static char *our_partition(char *text, const char *name)
{
    char value[64];
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        if (name[0] ? value_of(value, line, "PartitionName") && !strcmp(value, name)
                    : value_of(value, line, "Default") && !strcmp(value, "YES"))
            return line;
    }
    return NULL;
}

/* MiB of a key; 0: unlimited, or unknown. */
static int64_t mib_of(const char *line, const char *key)
{
    char value[64];
    int64_t n;
    return value_of(value, line, key) && text_int(&n, value) && n > 0 && n < INT64_MAX >> 36 ? n : 0;
}

static void report_preemption(const struct conf *c, const char *line)
{
    char name[64], mode[64], grace[64];

    if (!value_of(mode, line, "PreemptMode") || !value_of(grace, line, "GraceTime") ||
        !value_of(name, line, "PartitionName") || strstr(mode, "OFF"))
        return;
    const int grace_s = atoi(grace);
    if (grace_s == 0)
        log_warn("partition %s: a job may be pre-empted (PreemptMode %s) without notice (GraceTime "
                 "0): the steps since the last checkpoint are then repeated; "
                 "checkpoint.every_minutes is %g", name, mode, c->checkpoint.every_minutes);
    else
        log_phase("partition %s: a job may be pre-empted (PreemptMode %s), and then has %d s to save",
                  name, mode, grace_s);
}

void slurm_partition(struct default_memory *m, const struct conf *c)
{
    static char text[1 << 16];
    char name[128];

    *m = (struct default_memory){ 0 };
    snprintf(name, sizeof name, "%.*s", (int)strcspn(c->launch.slurm.partition, ","),
             c->launch.slurm.partition);
    if (tool(text, sizeof text, 1, "scontrol", "show", "partition", "-o") != 0) return;
    const char *line = our_partition(text, name);
    if (!line) return;
    report_preemption(c, line);
    m->node_mib = mib_of(line, "DefMemPerNode");
    m->cpu_mib = mib_of(line, "DefMemPerCPU");
}
