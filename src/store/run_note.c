/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/run_note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/json_name.h"

const char *run_job(char id[RUN_JOB])
{
    const char *job = getenv("SLURM_JOB_ID"), *array = getenv("SLURM_ARRAY_JOB_ID");
    const char *task = getenv("SLURM_ARRAY_TASK_ID");

    if (array && task) snprintf(id, RUN_JOB, "%.10s_%.10s", array, task);
    else snprintf(id, RUN_JOB, "%.20s", job ? job : "");
    return id;
}

void run_note(const char *dir, const char *kind, json_t *event)
{
    char *path = mem_format("%s/launch.jsonl", dir), *line = NULL, *text;
    char job[RUN_JOB];
    json_t *o = json_pack("{s:s,s:f}", "kind", kind, "time", (double)time(NULL));

    if (o && run_job(job)[0]) json_object_set_new(o, "job", json_name(job));
    if (o && event) json_object_update(o, event);
    json_decref(event);
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    check(text);
    line = mem_format("%s\n", text);
    int rc = dir_make(dir);
    const int fd = rc == OK ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
        log_warn("%s: can't write: %s", path, strerror(errno));
    file_close(fd);
    free(text);
    json_decref(o);
    mem_free(line);
    mem_free(path);
}
