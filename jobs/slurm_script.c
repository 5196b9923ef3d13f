/* SPDX-License-Identifier: Apache-2.0 */
/* The batch script: jobs/slurm.sh, filled in.  Text of the user is quoted as a shell word
 * (words.h), or is in a line that only sbatch reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs/slurm.h"
#include "src/base/mem.h"
#include "src/base/status.h"

/* jobs/slurm.sh as a string. */
extern const char slurm_template[];
__asm__(".section .rodata\n"
        "slurm_template: .incbin \"jobs/slurm.sh\"\n"
        ".byte 0\n"
        ".previous\n");

/* Can a path be quoted in a line for sbatch, where % begins a pattern? */
static int plain_path(const char *what, const char *path)
{
    const char *p = path;

    while (*p && !strchr("\"\\%\x7f", *p) && (unsigned char)*p >= ' ') p++;
    if (!*p) return 1;
    fail(ERR_CONFIG, "%s: '%s' contains one of the characters \" \\ %%, or a control character, "
         "which sbatch would interpret", what, path);
    return 0;
}

static void job_name(FILE *out, const char *name)
{
    for (; *name; name++)
        fputc(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *name)
              ? *name : '-', out);
}

static void nodes(FILE *out, const struct conf *c)
{
    const int most = c->launch.slurm.nodes, least = c->launch.slurm.min_nodes;
    if (least < most) fprintf(out, "%d-", least);
    fprintf(out, "%d", most);
}

/* Lines for sbatch that are optional. */
static void options(FILE *out, const struct slurm_job *j)
{
    const struct conf *c = j->conf;
    const struct { const char *name, *value; } optional[] = {
        { "partition", c->launch.slurm.partition }, { "account", c->launch.slurm.account },
        { "qos", c->launch.slurm.qos }, { "constraint", c->launch.slurm.constraint },
        { "mem", c->launch.slurm.memory }, { "array", j->array },
    };

    fprintf(out, "#SBATCH --%srequeue\n", c->launch.slurm.chain ? "no-" : "");
    if (c->launch.slurm.min_nodes < c->launch.slurm.nodes) fprintf(out, "#SBATCH --no-kill\n");
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
        if (optional[i].value && optional[i].value[0])
            fprintf(out, "#SBATCH --%s=%s\n", optional[i].name, optional[i].value);
    for (const char *p = c->launch.slurm.options; *p; p += p[0] == '\n') {
        const int n = (int)strcspn(p, "\n");
        /* sbatch wants blanks in double quotes; conf_launch.c refuses quotes in the text. */
        const char *quote = memchr(p, ' ', (size_t)n) ? "\"" : "";
        fprintf(out, "#SBATCH %s%.*s%s\n", quote, n, p, quote);
        p += n;
    }
}

/* One line for each text of a list. */
static void lines(FILE *out, const char *before, const char *list, const char *after)
{
    char item[CONF_LIST_SIZE];

    for (size_t n; *list; list += n + (list[n] != '\0')) {
        n = strcspn(list, "\n");
        snprintf(item, sizeof item, "%.*s", (int)n, list);
        char *path = word_path(item), *word = shell_word(path);
        fprintf(out, "%s%s%s\n", before, word, after);
        mem_free(word);
        mem_free(path);
    }
}

static void setup(FILE *out, const struct slurm_job *j)
{
    const struct conf *c = j->conf;

    if (c->launch.slurm.modules[0])
        fprintf(out, "command -v module >/dev/null || . /etc/profile\n");
    lines(out, "module load ", c->launch.slurm.modules, " || exit 78");
    lines(out, ". ", c->launch.slurm.source, " || exit 66");
    lines(out, "export ", c->launch.slurm.environment, "");
    if (j->before) fprintf(out, "%s\n", j->before);
}

/* Write what replaces {{NAME}}. */
static void fill(FILE *out, const char *name, size_t n, const struct slurm_job *j, const char *cwd)
{
    const struct conf *c = j->conf;

    if (!strncmp(name, "NAME", n)) job_name(out, j->name);
    else if (!strncmp(name, "NODES", n)) nodes(out, c);
    else if (!strncmp(name, "TASKS", n)) fprintf(out, "%d", c->launch.slurm.tasks_per_node);
    else if (!strncmp(name, "CPUS", n)) fprintf(out, "%d", c->launch.slurm.cpus_per_task);
    else if (!strncmp(name, "TIME", n)) fputs(c->launch.slurm.time, out);
    else if (!strncmp(name, "FOLDER", n)) fputs(cwd, out);
    else if (!strncmp(name, "LOG", n)) fprintf(out, "%s/%s", j->dir, j->log);
    else if (!strncmp(name, "SIGNAL", n)) fprintf(out, "%d", j->signal_s);
    else if (!strncmp(name, "OPTIONS", n)) options(out, j);
    else if (!strncmp(name, "SETUP", n)) setup(out, j);
    else if (!strncmp(name, "COMMAND", n)) fputs(j->command, out);
    else die("jobs/slurm.sh: {{%.*s}} is not known", (int)n, name);
}

char *slurm_script(const struct slurm_job *j)
{
    char *text = NULL, *cwd = getcwd(NULL, 0);
    size_t bytes = 0;

    check(cwd);
    if (!plain_path("the working folder", cwd) || !plain_path("run.dir", j->dir)) {
        free(cwd);
        return NULL;
    }
    FILE *out = open_memstream(&text, &bytes);
    check(out);
    for (const char *p = slurm_template, *open; *p; p = open) {
        open = strstr(p, "{{");
        if (!open) open = p + strlen(p);
        fwrite(p, 1, (size_t)(open - p), out);
        if (!*open) break;
        const char *name = open + 2;
        const size_t n = strcspn(name, "}");
        fill(out, name, n, j, cwd);
        open = name + n + 2;
        /* What consists of lines ends with a newline of its own. */
        if (*open == '\n' && (!strncmp(name, "OPTIONS", n) || !strncmp(name, "SETUP", n))) open++;
    }
    if (fclose(out) != 0) leave(fail(ERR_MEMORY, "out of memory: batch script"));
    char *counted = mem_string(text);
    free(text);
    free(cwd);
    return counted;
}
