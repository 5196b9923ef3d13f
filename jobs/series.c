/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/series.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/conf/conf_table.h"
#include "src/infer/start_model.h"

#define KEY(section, field)                                             \
    #section "." #field, offsetof(struct series_conf, section.field),   \
    sizeof(((struct series_conf *)0)->section.field)
#define NO_RANGE 0, 0, ""

static const struct conf_key keys[] = {
    { KEY(series, dir), CONF_TEXT, "", NO_RANGE, "folder of all runs", { 0 } },
    { KEY(series, runs), CONF_LIST, "", NO_RANGE,
      "YAML files of the runs, relative to this file, or installed with the program", { 0 } },
    { KEY(series, set), CONF_LIST, "", NO_RANGE, "KEY=VALUE for all runs", { 0 } },
    { KEY(series, grid), CONF_LIST, "", NO_RANGE,
      "KEY=VALUE,VALUE,...: a run for every combination of values", { 0 } },
    { KEY(series, at_once), CONF_INT, "0", 0, SERIES_MAX, "jobs",
      "number of jobs that run at a time; 0: all", { 0 } },
};

static const struct conf_schema schema = {
    .keys = keys, .count = sizeof keys / sizeof *keys, .sections = { "series" },
    .size = sizeof(struct series_conf), .lists = "jobs/README.md",
};

/* The first text of a list, counted, and the rest of it; NULL at its end. */
static char *next_text(const char **list)
{
    if (!**list) return NULL;
    const size_t n = strcspn(*list, "\n");
    char *text = mem_format("%.*s", (int)n, *list);
    *list += n + ((*list)[n] == '\n');
    return text;
}

/* --- members --------------------------------------------------------------------- */

static void give(struct member *m, const char *set)
{
    check(m->sets.n < (int)(sizeof m->sets.v / sizeof *m->sets.v));
    m->sets.v[m->sets.n++] = mem_string(set);
}

static void rename_member(struct member *m, const char *more)
{
    char *longer = mem_format("%s-%s", m->name, more);
    mem_free(m->name);
    m->name = longer;
    for (char *p = m->name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p)) *p = '_';
}

static void member_done(struct member *m)
{
    mem_free(m->name);
    mem_free(m->file);
    mem_free(m->conf);
    for (int i = 0; i < m->sets.n; i++) mem_free(m->sets.v[i]);
}

static struct member copy_of(const struct member *m)
{
    struct member c = { .name = mem_string(m->name), .file = mem_string(m->file) };
    for (int i = 0; i < m->sets.n; i++) give(&c, m->sets.v[i]);
    return c;
}

/* A member for each file: its name without folder and ".yaml". */
static void add_files(struct series *s)
{
    const char *list = s->conf.series.runs;

    for (char *path; (path = next_text(&list)) != NULL; mem_free(path)) {
        const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        const char *dot = strrchr(base, '.');
        s->m = mem_resize(s->m, s->n + 1, sizeof *s->m, "series");
        struct member *m = &s->m[s->n++];
        *m = (struct member){ 0 };
        m->file = conf_locate(s->file, path);
        m->name = mem_format("%.*s", dot ? (int)(dot - base) : (int)strlen(base), base);
    }
}

/* Replace every member by one for each value. */
static void multiply(struct series *s, const char *key, char *values, int count)
{
    struct member *all = mem_new((int64_t)s->n * count, sizeof *all, "series");
    const char *leaf = strrchr(key, '.') + 1;
    int n = 0;

    for (int i = 0; i < s->n; i++) {
        const char *value = values;
        for (int j = 0; j < count; j++, value += strlen(value) + 1) {
            struct member *m = &all[n++];
            *m = copy_of(&s->m[i]);
            char *set = mem_format("%s=%s", key, value), *more = mem_format("%s%s", leaf, value);
            give(m, set);
            if (count > 1) rename_member(m, more);
            mem_free(set);
            mem_free(more);
        }
        member_done(&s->m[i]);
    }
    mem_free(s->m);
    s->m = all;
    s->n = n;
}

/* Ends every value of a list with a zero; commas inside brackets are of a value that is a list itself,
 * as model.layer has.  returns how many there are */
static int split_values(char *values)
{
    int count = 1, depth = 0;

    for (char *p = values; *p; p++) {
        depth += (*p == '[') - (*p == ']');
        if (*p == ',' && depth <= 0) *p = '\0', count++;
    }
    return count;
}

/* One line of the grid. */
static int add_values(struct series *s, char *line)
{
    char *equals = strchr(line, '=');

    if (!equals || equals == line || !equals[1])
        return fail(ERR_CONFIG, "%s: series.grid: expected KEY=VALUE,VALUE,..., found '%.100s'",
                    s->file, line);
    *equals = '\0';
    if (conf_find(&conf_run, line) < 0 || !strcmp(line, "run.name") || !strcmp(line, "run.dir"))
        return fail(ERR_CONFIG, "%s: series.grid: expected a key that runs may differ in, found "
                    "'%.100s'", s->file, line);
    const int count = split_values(equals + 1);
    if ((int64_t)count * s->n > SERIES_MAX)
        return fail(ERR_CONFIG, "%s: expected at most %d runs, found more", s->file, SERIES_MAX);
    multiply(s, line, equals + 1, count);
    return OK;
}

int series_resolve(struct series *s, struct member *m, const struct arg_list *sets)
{
    const char *list = s->conf.series.set;
    char *dir = mem_format("run.dir=%s/%s", s->conf.series.dir, m->name);
    char *name = mem_format("run.name=%s", m->name);
    struct member whole = { .sets = { .n = 0 } };

    for (char *text; (text = next_text(&list)) != NULL; mem_free(text)) give(&whole, text);
    for (int i = 0; i < m->sets.n; i++) give(&whole, m->sets.v[i]);
    for (int i = 0; i < sets->n; i++) give(&whole, sets->v[i]);
    give(&whole, name);
    give(&whole, dir);
    mem_free(m->conf);
    m->conf = mem_new(1, sizeof *m->conf, "configuration");
    const int rc = conf_read(m->conf, m->file, whole.sets.v, whole.sets.n, &start_models);
    if (rc != OK)
        fail(rc, "%s: the error is in %s with the settings of run %s", s->file, m->file, m->name);
    member_done(&whole);
    mem_free(dir);
    mem_free(name);
    return rc;
}

/* Members must have names, which differ. */
static int check_names(const struct series *s)
{
    for (int i = 0; i < s->n; i++) {
        if (!s->m[i].name[0])  /* its folder would be the folder of all */
            return fail(ERR_CONFIG,
                        "%s: %s: expected a file name before .yaml, because it names the run",
                        s->file, s->m[i].file);
        if (strlen(s->m[i].name) >= sizeof s->m[i].conf->run.name)
            return fail(ERR_CONFIG, "%s: the name %s is longer than %zu bytes", s->file,
                        s->m[i].name, sizeof s->m[i].conf->run.name - 1);
        for (int j = 0; j < i; j++)
            if (!strcmp(s->m[i].name, s->m[j].name))
                return fail(ERR_CONFIG, "%s: two runs have the name %s", s->file, s->m[i].name);
    }
    return OK;
}

/* Count the overrides of every member, with its name and folder. */
static int count_sets(const struct series *s, const struct arg_list *sets)
{
    const struct arg_list *most = NULL;
    int n = sets->n + 2;

    for (const char *p = s->conf.series.set; *p; p++) n += *p == '\n' || p[1] == '\0';
    for (const char *p = s->conf.series.grid; *p; p++) n += *p == '\n' || p[1] == '\0';
    if (n <= (int)(sizeof most->v / sizeof *most->v)) return OK;
    return fail(ERR_CONFIG, "%s: expected at most %zu settings, found %d", s->file,
                sizeof most->v / sizeof *most->v, n);
}

int series_open(struct series *s, const char *file, const struct arg_list *sets)
{
    const char *list;
    int rc = OK, wrong = OK;

    *s = (struct series){ .file = mem_string(file) };
    TRY(schema_read(&schema, &s->conf, file, NULL, 0));
    if (!s->conf.series.dir[0] || !s->conf.series.runs[0])
        TRY(fail(ERR_CONFIG, "%s:1:1: series.%s: expected %s, found nothing: it has no default", file,
                 s->conf.series.dir[0] ? "runs" : "dir",
                 s->conf.series.dir[0] ? "files of runs" : "a folder"));
    TRY(count_sets(s, sets));
    add_files(s);
    if (s->n > SERIES_MAX)
        TRY(fail(ERR_CONFIG, "%s: expected at most %d runs, found more", file, SERIES_MAX));
    list = s->conf.series.grid;
    for (char *line; rc == OK && (line = next_text(&list)) != NULL; mem_free(line))
        rc = add_values(s, line);
    if (rc != OK) goto out;
    TRY(check_names(s));
    for (int i = 0; i < s->n; i++) {
        rc = series_resolve(s, &s->m[i], sets);
        if (rc != OK) wrong = rc;
    }
    rc = wrong;
out:
    return rc;
}

void series_close(struct series *s)
{
    for (int i = 0; i < s->n; i++) member_done(&s->m[i]);
    mem_free(s->m);
    mem_free(s->file);
    *s = (struct series){ .n = 0 };
}
