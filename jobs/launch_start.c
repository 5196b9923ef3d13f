/* SPDX-License-Identifier: Apache-2.0 */
/* A start after which the run did not go on: was memory used up, and did any of its processes begin? */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "jobs/launch.h"
#include "jobs/relay.h"
#include "src/base/file.h"
#include "src/base/human.h"
#include "src/base/limit.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define START_LOG ((size_t)1 << 20)
#define SHOWN 240   /* bytes of a message of mpirun */

static char *start_log(const struct launch *l)
{
    return mem_format("%s/" RELAY_FILE, l->conf->run.dir);
}

void launch_mark(struct start_mark *m, const struct launch *l)
{
    char *path = start_log(l);

    unlink(path);
    mem_free(path);
    m->bytes = launch_log_size(l->conf->run.dir);
    m->kills = limit_kills();
}

int launch_out_of_memory(const struct launch *l, const struct start_mark *m)
{
    return limit_kills() > m->kills || launch_log_has(l->conf->run.dir, m->bytes, "oom");
}

int launch_has_begun(const struct launch *l, const struct start_mark *m)
{
    char *path = start_log(l);
    const int silent = !path_exists(path);   /* or one of them was heard */

    mem_free(path);
    return silent || launch_log_has(l->conf->run.dir, m->bytes, "ranks");
}

void launch_tell_memory(const struct launch *l)
{
    char want[HUMAN_TEXT], have[HUMAN_TEXT];
    const char *memory = l->job[0] ? l->conf->launch.slurm.memory : "";

    log_warn("out of memory: the prediction is %s per machine, and the processes on this one may use "
             "%s%s%s; more memory, more machines, optim.state, train.remat or train.slice_tokens help",
             human_bytes(want, l->predicted_bytes), human_bytes(have, limit_memory()),
             memory[0] ? ", launch.slurm.memory is " : "", memory);
}

/* --- nothing began ----------------------------------------------------------------- */

/* Does a line of mpirun, srun or ssh tell a reason? */
static int is_telling(const char *line)
{
    static const char *const words[] = { "error", "not found", "no such", "unable", "cannot", "can't",
                                         "could not", "couldn't", "not enough", "refused", "denied",
                                         "fail", "invalid", "unknown" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(line, words[i])) return 1;
    return 0;
}

static int has_letters(const char *line)
{
    while (*line && !isalpha((unsigned char)*line)) line++;
    return *line != '\0';
}

/* The line without the time that the relay has put in front, and without blanks. */
static char *bare(char *line)
{
    int n = 0;

    line[strcspn(line, "\r")] = '\0';
    (void)sscanf(line, "%*2d-%*2d %*2d:%*2d:%*2d%n", &n);
    return line + n + strspn(line + n, " \t");
}

/* The first line that tells a reason, else the first one with letters, with the rest of its sentence;
 * a counted string, or NULL. */
static char *reason_in(char *text)
{
    char *line, *best = NULL, *rest = text, *said;

    while ((line = strsep(&rest, "\n")) != NULL) {
        line = bare(line);
        const int telling = is_telling(line);
        if (!has_letters(line) || (best && !telling)) continue;
        best = line;
        if (telling) break;
    }
    if (!best) return NULL;
    said = mem_string(best);
    /* Open MPI breaks its sentences into lines; those of srun and ssh have one each. */
    while ((line = strsep(&rest, "\n")) != NULL && has_letters(line) && !strchr(said, ':') &&
           !strchr(".!", said[strlen(said) - 1])) {
        char *longer = mem_format("%s %s", said, bare(line));
        mem_free(said);
        said = longer;
    }
    if (strlen(said) > SHOWN) strcpy(said + SHOWN - 3, "...");
    return said;
}

char *launch_not_begun(const struct launch *l, const char *why)
{
    char *path = start_log(l), *text = NULL, *reason = NULL, *said;
    size_t n = 0;

    if (path_exists(path) && file_slurp(&text, &n, path, START_LOG) == OK) reason = reason_in(text);
    said = reason ? mem_format("%s started no process of the run (%s): %s [all that it printed is in %s]",
                               l->mpirun, why, reason, path)
                  : mem_format("%s started no process of the run (%s), and printed no reason",
                               l->mpirun, why);
    char *const all[] = { path, text, reason };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    return said;
}

void launch_show_start(const struct launch *l)
{
    char *path = start_log(l), *text = NULL, *rest, *line;
    size_t n = 0;

    if (path_exists(path) && file_slurp(&text, &n, path, START_LOG) == OK) {
        rest = text;
        while ((line = strsep(&rest, "\n")) != NULL)
            if (line[0]) log_phase("%s", line);
        unlink(path);
    }
    mem_free(text);
    mem_free(path);
}
