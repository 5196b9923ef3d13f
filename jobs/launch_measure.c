/* SPDX-License-Identifier: Apache-2.0 */
/* `ttt launch --measure`: rates of the machines that a run would have, on them or as a short job. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jobs/slurm.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/forecast/rates_of_run.h"

#define MEASURE_TIME "5"   /* minutes; it takes about one */

int launch_measure(struct launch *l)
{
    const char *dir = l->conf->run.dir;
    int status = 0, rc = OK;
    char **words = NULL;

    TRY(dir_make(dir));
    l->token[0] = '\0';
    words = launch_command(l);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid < 0) TRY(fail(ERR_IO, "can't start a process: %s", strerror(errno)));
    if (pid == 0) {
        execvp(words[0], words);
        dprintf(STDERR_FILENO, "ttt: error: %s: %s\n", text_visible(words[0]), strerror(errno));
        _exit(-ERR_MISSING);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        TRY(fail(ERR_IO, "the rates were not measured: %s ended with %s %d", words[0],
                 WIFEXITED(status) ? "exit code" : "signal",
                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)));
    log_run("measured: %s/%s, which ttt launch and ttt plan use for this run; launch.rates names it "
            "for others", dir, RATES_FILE);
out:
    mem_free(words);
    return rc;
}

/* The script of a job with the nodes of the run, but short, and alone. */
static char *measure_script(const struct launch *l, const char *files)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    char *run = mem_format("%s/measure.yaml", files), *word = shell_word(run);
    char *command = slurm_command(l, word), *name = mem_format("%.50s-rates", l->conf->run.name);

    *c = *l->conf;
    snprintf(c->launch.slurm.time, sizeof c->launch.slurm.time, MEASURE_TIME);
    c->launch.slurm.chain = 1;  /* it is not requeued; and it does not go on as a chain would */
    const struct slurm_job j = {
        .conf = c, .name = name, .dir = files, .log = "measure-%j.log", .command = command,
        .signal_s = 30,
    };
    char *script = slurm_script(&j);
    char *const all[] = { run, word, command, name };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    mem_free(c);
    return script;
}

int slurm_measure(struct launch *l, int dry)
{
    char id[SLURM_ID], *files = mem_format("%s/slurm", l->conf->run.dir);
    char *absolute = slurm_absolute(files), *script = measure_script(l, absolute);
    char *job = mem_format("%s/measure.sh", files), *run = mem_format("%s/measure.yaml", files);
    char *conf = conf_text(l->conf);
    int rc = OK;

    TRY(slurm_ready(l, script, dry));
    if (dry) goto out;
    TRY(dir_make(files));
    TRY(file_replace(run, conf, strlen(conf)));
    TRY(file_replace(job, script, strlen(script)));
    TRY(slurm_submit(id, job, NULL));
    printf("submitted job %s, which writes %s/%s; its log: %s/measure-%s.log\n", id,
           text_visible(l->conf->run.dir), RATES_FILE, text_visible(files), id);
out:;
    char *const all[] = { files, absolute, script, job, run, conf };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    return rc;
}
