/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of launch.slurm.  What passes here can stand in a batch script: words have harmless
 * characters, lists become quoted shell words or lines that only sbatch reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/status.h"
#include "src/conf/conf_reader.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

int64_t conf_slurm_time(const char *text)
{
    static const int unit[] = { 3600, 60, 1 };
    int64_t part[4] = { 0 }, sum = 0;
    int n = 0, days = 0;

    for (;; text++) {
        const size_t digits = strspn(text, DIGITS);
        if (!digits || digits > 7 || n == 4) return -1;
        part[n++] = strtol(text, NULL, 10);
        text += digits;
        if (!*text) break;
        if (*text == '-' && n == 1) days = 1;
        else if (*text != ':') return -1;
    }
    if (n - days > 3) return -1;
    const int first = days || n == 3 ? 0 : 1;  /* hours or minutes */
    for (int i = days; i < n; i++) sum += part[i] * unit[first + i - days];
    return sum + (days ? part[0] * 86400 : 0);
}

/* Is the item a NAME=VALUE? */
static int is_variable(const char *item)
{
    const size_t n = strspn(item, LETTERS DIGITS "_");
    return n > 0 && !strchr(DIGITS, item[0]) && item[n] == '=';
}

static int is_module(const char *item)
{
    return strspn(item, LETTERS DIGITS "._+/:@=-") == strlen(item) && item[0] != '-';
}

static int is_any(const char *item) { return item[0] != '\0'; }

/* Options that the script has already, or that would make it another job, or one that squeue does not
 * show here. */
static int is_option(const char *item)
{
    static const char *const ours[] = {
        "job-name", "chdir", "nodes", "ntasks", "ntasks-per-node", "tasks-per-node",
        "cpus-per-task", "time", "partition", "account", "qos", "constraint", "mem", "signal",
        "requeue", "no-requeue", "open-mode", "output", "error", "array", "dependency", "no-kill",
        "wrap", "parsable", "test-only", "wait", "help", "usage", "version", "clusters",
    };
    if (strncmp(item, "--", 2) != 0) return 0;
    const size_t n = strspn(item + 2, LETTERS DIGITS "-");
    if (n < 2 || (item[2 + n] && item[2 + n] != '=')) return 0;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (!strncmp(item + 2, ours[i], n)) return 0;  /* sbatch takes their beginnings, too */
    return strcspn(item, "\"'\\#`$") == strlen(item);
}

/* Every text of a list must be good. */
static void each(struct conf_reader *r, const char *path, const char *list,
                 int (*good)(const char *), const char *expected)
{
    char item[CONF_LIST_SIZE];

    for (size_t n; *list; list += n + (list[n] != '\0')) {
        n = strcspn(list, "\n");
        snprintf(item, sizeof item, "%.*s", (int)n, list);
        if (!good(item)) conf_refuse(r, path, "expected %s, found '%.100s'", expected, item);
    }
}

void conf_check_launch(struct conf_reader *r)
{
    const struct conf *c = r->values;
    const int64_t time_s = conf_slurm_time(c->launch.slurm.time);

    if (time_s < 60)
        conf_refuse(r, "launch.slurm.time", "expected MINUTES, MINUTES:SECONDS, "
                    "HOURS:MINUTES:SECONDS or DAYS-HOURS[:MINUTES[:SECONDS]], at least a minute, "
                    "found '%s'", c->launch.slurm.time);
    if (time_s >= 60 && c->launch.slurm.signal_s >= time_s)
        conf_refuse(r, "launch.slurm.signal_s", "expected less than launch.slurm.time, found '%d'",
                    c->launch.slurm.signal_s);
    if (c->launch.slurm.min_nodes > c->launch.slurm.nodes)
        conf_refuse(r, "launch.slurm.min_nodes", "expected at most launch.slurm.nodes, found '%d'",
                    c->launch.slurm.min_nodes);
    each(r, "launch.slurm.modules", c->launch.slurm.modules, is_module,
         "names of modules, of letters, digits and ._+/:@=-");
    each(r, "launch.slurm.environment", c->launch.slurm.environment, is_variable, "NAME=VALUE");
    each(r, "launch.slurm.source", c->launch.slurm.source, is_any, "names of files");
    each(r, "launch.slurm.options", c->launch.slurm.options, is_option,
         "--NAME or --NAME=VALUE of sbatch that no other key sets, without quotes");
}
