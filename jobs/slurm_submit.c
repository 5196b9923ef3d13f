/* SPDX-License-Identifier: Apache-2.0 */
/* Submit a run as a job. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "jobs/slurm.h"
#include "jobs/tool.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/store/run_note.h"

#define ID_CAP 64

int slurm_submit(char id[SLURM_ID], const char *script, const char *after)
{
    char out[256], first[300], *path = word_path(script);
    char *words[5] = { "sbatch", "--parsable" };
    int n = 2;

    if (after) {
        snprintf(first, sizeof first, "--dependency=afterany:%s", after);
        words[n++] = first;
    }
    words[n] = path;
    strcpy(id, SLURM_UNSURE);
    const int code = tool_run(out, sizeof out, 0, words);
    mem_free(path);
    if (code == TOOL_LATE)
        return fail(ERR_IO,
                    "sbatch %s: no answer in %d s; check with squeue whether the job exists",
                    script, TOOL_CHANGES * tool_wait_s());
    if (code == TOOL_MISSING)
        return fail(ERR_MISSING, "sbatch was not found: is this a machine of a SLURM cluster?");
    if (code > 128)
        return fail(ERR_IO,
                    "sbatch %s was ended by signal %d; check with squeue whether the job exists",
                    script, code - 128);
    if (code > 0)
        return fail(ERR_CONFIG, "sbatch refused %s (exit code %d)", script, code);
    out[strcspn(out, "\n;")] = '\0';  /* the name of a cluster may follow */
    if (!slurm_is_id(out))
        return fail(ERR_IO, "expected sbatch to print the number of the job, but it printed '%.60s'; "
                    "check with squeue whether the job exists", out);
    snprintf(id, SLURM_ID, "%.*s", SLURM_ID - 1, out);
    return OK;
}

static char *id_file(const char *dir) { return mem_format("%s/slurm/job", dir); }

int slurm_job_id_read(char id[SLURM_ID], const char *dir)
{
    char *path = id_file(dir), *text = NULL;
    size_t n = 0;
    int rc = OK;

    id[0] = '\0';
    if (!path_exists(path)) goto out;
    TRY(file_slurp(&text, &n, path, ID_CAP));
    text[strcspn(text, "\n")] = '\0';
    if (!slurm_is_id(text))
        TRY(fail(ERR_DATA, "%s: expected the number of a job, found '%.30s': check with squeue; write "
                 "the number into the file, or remove the file if there is no job", path, text));
    snprintf(id, SLURM_ID, "%.*s", SLURM_ID - 1, text);
out:
    mem_free(text);
    mem_free(path);
    return rc;
}

int slurm_job_id_write(const char *dir, const char *id)
{
    char *path = id_file(dir), *text = mem_format("%s\n", id);
    int rc = file_replace(path, text, strlen(text));
    if (rc != OK)
        fail(rc, "job %s was submitted, but its number can't be written to %s: cancel it with "
             "scancel before another job is submitted", id, path);
    mem_free(text);
    mem_free(path);
    return rc;
}

int slurm_submit_run(char id[SLURM_ID], const char *script, const char *after, const char *dir)
{
    const int rc = slurm_submit(id, script, after);
    const int kept = rc == OK || rc == ERR_IO ? slurm_job_id_write(dir, id) : OK;
    return rc == OK ? kept : rc;
}

int slurm_lock(const char *dir)
{
    char *files = mem_format("%s/slurm", dir), *path = mem_format("%s/lock", files);
    int rc = OK, fd;

    TRY(dir_make(files));
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) TRY(fail(ERR_IO, "%s: can't open: %s", path, strerror(errno)));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        rc = fail(ERR_OWNER, "%s: another command is submitting this run (it holds %s)", dir, path);
    if (rc != OK) close(fd);
out:
    mem_free(path);
    mem_free(files);
    return rc;
}

/* Check that SLURM has no job of this run any more; `anyway`: accept that it does not answer.
 * returns  OK; ERR_OWNER if the job exists or may exist, ERR_IO or ERR_DATA, reported */
static int check_no_job(const char *dir, int anyway)
{
    struct slurm_fact f = { .id = "" };
    int rc = OK;

    TRY(slurm_job_id_read(f.id, dir));
    slurm_ask(&f, 1);
    if (slurm_is_alive(f.state))
        TRY(fail(ERR_OWNER, "job %s of %s is in the queue (%s%s%s): ttt stop or scancel %s ends it",
                 f.id, dir, f.word, f.why[0] ? ", " : "", f.why, f.id));
    if (f.state != SLURM_UNKNOWN) goto out;
    if (!anyway)
        TRY(fail(ERR_OWNER, "%s: it is not known whether job %s is still in the queue (%s): nothing is "
                 "submitted; try again, or add --submit-anyway if the job has certainly ended", dir, f.id,
                 f.why));
    log_warn("%s: it is not known whether job %s is still in the queue (%s)", dir, f.id, f.why);
out:
    return rc;
}

char *slurm_command(const struct launch *l, const char *file)
{
    char *program = launch_self(), *word = shell_word(program);
    char *line = mem_format("%s launch %s --inside-slurm%s%s%s%s", word, file,
                            l->o->measure ? " --measure" : "",
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
    char *run = mem_format("%s/run.yaml", files), *word = shell_word(run);
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

int slurm_ready(const struct launch *l, const char *script, int dry)
{
    int rc = script ? OK : ERR_CONFIG;

    if (rc == OK && dry) fputs(script, stdout);
    fflush(stdout);
    if (rc == OK) rc = slurm_check(l);
    return rc == OK ? slurm_test(script) : rc;
}

int slurm_launch(struct launch *l, int dry, int anyway)
{
    const char *dir = l->conf->run.dir;
    char id[SLURM_ID], *job = mem_format("%s/slurm/job.sh", dir), *script = NULL;
    int rc = OK;

    if (launch_newest(dir).step >= l->conf->train.steps && !dry) {
        log_run("%s is finished: nothing is submitted", dir);
        goto out;
    }
    script = slurm_run_script(l);
    TRY(slurm_ready(l, script, dry));
    if (dry) goto out;
    TRY(slurm_lock(dir));
    TRY(check_no_job(dir, anyway));
    TRY(slurm_write(l, script));
    TRY(launch_clear_stop(dir));
    TRY(slurm_submit_run(id, job, NULL, dir));
    run_note(dir, "submit", json_pack("{s:s}", "id", id));
    printf("submitted job %s; its log: %s/slurm/%s.log\n", id, text_visible(dir), id);
out:
    mem_free(script);
    mem_free(job);
    return rc;
}
