/* SPDX-License-Identifier: Apache-2.0 */
/* Submit a series as job arrays, one for all members with equal resources. */
#include <stdio.h>
#include <string.h>

#include "jobs/series.h"
#include "jobs/slurm.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/store/run_note.h"

struct array {
    const struct series *s;
    char *name, *dir;      /* of the jobs, of their files                    */
    int  *group;           /* of each member; -1: it is not to be submitted  */
    int   groups;
    int   signal_s;        /* the longest of the members                     */
};

static char *script_of(const struct array *a, const struct member *m, const char *array,
                       const char *before, const char *command)
{
    const struct slurm_job j = {
        .conf = m->conf, .name = a->name, .dir = a->dir, .log = "%A_%a.log", .array = array,
        .before = before, .command = command, .signal_s = a->signal_s,
    };
    return slurm_script(&j);
}

/* Members whose scripts would be the same share one. */
static int make_groups(struct array *a, const int *missing)
{
    const struct series *s = a->s;
    char **text = mem_new(s->n, sizeof *text, "series");
    int rc = OK;

    for (int i = 0; i < s->n && rc == OK; i++) {
        a->group[i] = -1;
        if (!missing[i]) continue;
        text[i] = script_of(a, &s->m[i], NULL, NULL, "");
        if (!text[i]) rc = ERR_CONFIG;
        for (int j = 0; j < i && rc == OK && a->group[i] < 0; j++)
            if (text[j] && !strcmp(text[i], text[j])) a->group[i] = a->group[j];
        if (a->group[i] < 0) a->group[i] = a->groups++;
    }
    for (int i = 0; i < s->n; i++) mem_free(text[i]);
    mem_free(text);
    return rc;
}

/* The script of a group: a bash array holds the names of its members. */
static char *group_script(const struct array *a, int group)
{
    const struct series *s = a->s;
    const struct member *first = NULL;
    char *names = mem_string("runs=(");
    int n = 0;

    for (int i = 0; i < s->n; i++) {
        if (a->group[i] != group) continue;
        if (!first) first = &s->m[i];
        char *word = shell_word(s->m[i].name);
        char *longer = mem_format("%s%s%s", names, n++ ? " " : "", word);
        mem_free(word);
        mem_free(names);
        names = longer;
    }
    const struct launch_opts o = { 0 };
    const struct launch l = { .o = &o };
    char *before = mem_format("%s)", names), *root = slurm_absolute(s->conf.series.dir);
    char *word = shell_word(root);
    char *file = mem_format("%s/\"${runs[$SLURM_ARRAY_TASK_ID]}\"/slurm/run.yaml", word);
    char *command = slurm_command(&l, file), *range;
    if (s->conf.series.at_once) range = mem_format("0-%d%%%d", n - 1, s->conf.series.at_once);
    else range = mem_format("0-%d", n - 1);
    char *script = script_of(a, first, range, before, command);
    char *const all[] = { names, before, root, word, file, command, range };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    return script;
}

/* Write every member's files.  Data and checkpoints of all are checked before a job is submitted.
 *  */
static int prepare(const struct array *a)
{
    const struct series *s = a->s;
    int rc = OK;

    for (int i = 0; i < s->n && rc == OK; i++) {
        if (a->group[i] < 0) continue;
        char *file = mem_format("%s/slurm/run.yaml", s->m[i].conf->run.dir), *script;
        const struct launch_opts o = { .file = file };
        struct launch whole = { .o = &o, .conf = s->m[i].conf }, l = { .o = NULL };
        script = slurm_run_script(&whole);
        rc = script ? slurm_write(&whole, script) : ERR_CONFIG;
        if (rc == OK) rc = launch_open(&l, &o);
        if (rc == OK) rc = slurm_check(&l);
        launch_close(&l);
        mem_free(script);
        mem_free(file);
    }
    return rc;
}

static int submit_group(const struct array *a, int group, const char *script)
{
    const struct series *s = a->s;
    char id[SLURM_ID], *path = mem_format("%s/job-%d.sh", a->dir, group);
    int rc = OK, n = 0;

    TRY(file_replace(path, script, strlen(script)));
    const int sent = slurm_submit(id, path, NULL);
    if (sent != OK && sent != ERR_IO) TRY(sent);
    for (int i = 0; i < s->n && rc == OK; i++) {
        if (a->group[i] != group) continue;
        const char *dir = s->m[i].conf->run.dir;
        char *own = sent == OK ? mem_format("%s_%d", id, n) : mem_string(id);
        n++;
        rc = launch_clear_stop(dir);
        if (rc == OK) rc = slurm_job_id_write(dir, own);
        if (sent == OK) run_note(dir, "submit", json_pack("{s:s}", "id", own));
        mem_free(own);
    }
    if (sent != OK) TRY(sent);
    printf("submitted job %s, an array of %d; its logs: %s/%s_*.log\n", id, n,
           text_visible(a->dir), id);
out:
    mem_free(path);
    return rc;
}

int series_submit(const struct series *s, const int *missing, int dry)
{
    const char *slash = strrchr(s->conf.series.dir, '/');
    char *root = slurm_absolute(s->conf.series.dir);
    struct array a = { .s = s, .name = mem_string(slash ? slash + 1 : s->conf.series.dir),
                       .dir = mem_format("%s/slurm", root),
                       .group = mem_new(s->n, sizeof *a.group, "series") };
    int rc = OK;

    for (int i = 0; i < s->n; i++) {
        const int needs = missing[i] ? slurm_signal_s(s->m[i].conf) : 0;
        if (needs > a.signal_s) a.signal_s = needs;
    }
    TRY(make_groups(&a, missing));
    if (!dry) TRY(dir_make(a.dir));
    if (!dry) TRY(prepare(&a));
    for (int g = 0; g < a.groups && rc == OK; g++) {
        char *script = group_script(&a, g);
        if (!script) rc = ERR_CONFIG;
        else if (dry) fputs(script, stdout);
        else rc = slurm_test(script);
        if (rc == OK && !dry) rc = submit_group(&a, g, script);
        mem_free(script);
    }
out:
    mem_free(a.name);
    mem_free(a.dir);
    mem_free(a.group);
    mem_free(root);
    return rc;
}
