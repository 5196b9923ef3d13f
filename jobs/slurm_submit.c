/* From a run to a job in the queue. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs/slurm.h"
#include "jobs/tool.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/run_note.h"

#define ID_CAP 64

/* "123" or, of a series, "123_4". */
static int is_id(const char *text)
{
    const size_t n = strspn(text, "0123456789");
    if (!n || n > 10) return 0;
    if (text[n] != '_') return !text[n];
    const size_t m = strspn(text + n + 1, "0123456789");
    return m > 0 && m <= 10 && !text[n + 1 + m];
}

int slurm_submit(char id[SLURM_ID], const char *script, const char *after)
{
    char out[256], first[300];
    char *words[5] = { "sbatch", "--parsable" };
    int n = 2;

    if (after) {
        snprintf(first, sizeof first, "--dependency=afterany:%s", after);
        words[n++] = first;
    }
    words[n] = (char *)script;
    const int code = tool_run(out, sizeof out, 0, words);
    if (code < 0)
        return fail(ERR_MISSING, "sbatch is not there: is this a machine of a SLURM cluster?");
    if (code > 0)
        return fail(ERR_CONFIG, "sbatch does not take %s (its exit code is %d)", script, code);
    out[strcspn(out, "\n;")] = '\0';  /* the name of a cluster may follow */
    if (!is_id(out))
        return fail(ERR_IO, "sbatch was to print the number of the job, and printed '%.60s'; look "
                    "with squeue whether there is one", out);
    snprintf(id, SLURM_ID, "%.*s", SLURM_ID - 1, out);
    return OK;
}

/* The value behind KEY= in a line of scontrol; 0 if it is not there. */
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

void slurm_say_partition(const struct conf *c)
{
    char name[128], mode[64], grace[64], text[1 << 16];

    snprintf(name, sizeof name, "%.*s", (int)strcspn(c->launch.slurm.partition, ","),
             c->launch.slurm.partition);
    if (tool(text, sizeof text, 1, "scontrol", "show", "partition", "-o") != 0) return;
    const char *line = our_partition(text, name);
    if (!line || !value_of(mode, line, "PreemptMode") || !value_of(grace, line, "GraceTime") ||
        strstr(mode, "OFF"))
        return;
    value_of(name, line, "PartitionName");
    const int grace_s = atoi(grace);
    if (grace_s == 0)
        log_warn("partition %s: a job may be pre-empted (PreemptMode %s) without notice (GraceTime "
                 "0): what was done since the last checkpoint is done again, "
                 "checkpoint.every_minutes is %g", name, mode, c->checkpoint.every_minutes);
    else
        log_phase("partition %s: a job may be pre-empted (PreemptMode %s), and has %d s to save",
                  name, mode, grace_s);
}

static char *id_file(const char *dir) { return mem_format("%s/slurm/job", dir); }

void slurm_known(char id[SLURM_ID], const char *dir)
{
    char *path = id_file(dir), *text = NULL;
    size_t n = 0;

    id[0] = '\0';
    if (path_exists(path) && file_slurp(&text, &n, path, ID_CAP) == OK) {
        text[strcspn(text, "\n")] = '\0';
        if (is_id(text)) snprintf(id, SLURM_ID, "%.*s", SLURM_ID - 1, text);
    }
    mem_free(text);
    mem_free(path);
}

int slurm_remember(const char *dir, const char *id)
{
    char *path = id_file(dir), *text = mem_format("%s\n", id);
    const int rc = file_replace(path, text, strlen(text));
    mem_free(text);
    mem_free(path);
    return rc;
}

void slurm_queued(char id[SLURM_ID], const char *dir)
{
    char state[256];

    slurm_known(id, dir);
    if (id[0] && (tool(state, sizeof state, 1, "squeue", "-h", "-o", "%T", "-j", id) != 0 ||
                  !state[0]))
        id[0] = '\0';
}

/* Our own program; a counted string. */
static char *ourselves(void)
{
    char path[CONF_PATH] = "";
    if (readlink("/proc/self/exe", path, sizeof path - 1) < 0) die("/proc is not there");
    return mem_string(path);
}

char *slurm_command(const struct launch *l, const char *file)
{
    char *program = ourselves(), *word = slurm_quote(program);
    char *line = mem_format("%s launch %s --inside-slurm%s%s%s", word, file,
                            l->o->takeover ? " --takeover" : "",
                            l->o->allow_config_change ? " --allow-config-change" : "",
                            l->o->allow_data_change ? " --allow-data-change" : "");
    mem_free(word);
    mem_free(program);
    return line;
}

/* An absolute path; a counted string. */
char *slurm_absolute(const char *path)
{
    char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *whole = cwd ? mem_format("%s/%s", cwd, path) : mem_string(path);
    free(cwd);
    return whole;
}

char *slurm_run_script(const struct launch *l)
{
    char *dir = slurm_absolute(l->conf->run.dir), *files = mem_format("%s/slurm", dir);
    char *run = mem_format("%s/run.yaml", files), *word = slurm_quote(run);
    char *command = slurm_command(l, word);
    const struct slurm_job j = {
        .conf = l->conf, .name = l->conf->run.name, .dir = files, .log = "%j.log",
        .command = command, .signal_s = slurm_signal_s(l->conf),
    };
    char *script = slurm_script(&j);
    char *const all[] = { dir, files, run, word, command };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    return script;
}

int slurm_write(const struct launch *l, const char *script)
{
    const char *dir = l->conf->run.dir;
    char *files = mem_format("%s/slurm", dir), *conf = conf_text(l->conf);
    char *run = mem_format("%s/run.yaml", files), *job = mem_format("%s/job.sh", files);
    int rc = OK;

    TRY(dir_make(files));
    TRY(file_replace(run, conf, strlen(conf)));
    TRY(file_replace(job, script, strlen(script)));
out:
    mem_free(files);
    mem_free(conf);
    mem_free(run);
    mem_free(job);
    return rc;
}

int slurm_launch(struct launch *l, int dry)
{
    const char *dir = l->conf->run.dir;
    char id[SLURM_ID], *job = mem_format("%s/slurm/job.sh", dir), *script = NULL;
    int rc = OK;

    slurm_queued(id, dir);
    if (id[0] && !dry)
        TRY(fail(ERR_OWNER, "job %s of %s is in the queue: scancel %s ends it", id, dir, id));
    if (launch_newest(dir).step >= l->conf->train.steps && !dry) {
        log_run("%s is finished: nothing is submitted", dir);
        goto out;
    }
    slurm_say_partition(l->conf);
    script = slurm_run_script(l);
    if (!script) TRY(ERR_CONFIG);
    if (dry) {
        fputs(script, stdout);
        goto out;
    }
    TRY(slurm_write(l, script));
    TRY(launch_unask(dir));
    TRY(slurm_submit(id, job, NULL));
    TRY(slurm_remember(dir, id));
    run_note(dir, "submit", json_pack("{s:s}", "id", id));
    printf("submitted job %s; its messages: %s/slurm/%s.log\n", id, dir, id);
out:
    mem_free(script);
    mem_free(job);
    return rc;
}
