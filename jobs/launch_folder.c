/* SPDX-License-Identifier: Apache-2.0 */
/* What a launcher reads and removes in a run's folder. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs/launch.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/ckpt.h"

struct commit launch_newest(const char *dir)
{
    char *ckpt = mem_format("%s/ckpt", dir);
    struct ckpt_entry *list = NULL;
    struct commit newest = { -1, 0 };
    int count = 0;

    if (ckpt_list(&list, &count, ckpt) == OK)
        for (int i = count - 1; i >= 0; i--)
            if (list[i].committed) newest = (struct commit){ list[i].step, list[i].attempt };
    mem_free(list);
    mem_free(ckpt);
    return newest;
}

int launch_fruitless_jobs(const char *dir, int64_t step)
{
    char *path = mem_format("%s/launch.jsonl", dir), *line = NULL;
    FILE *f = fopen(path, "re");
    size_t room = 0;
    int n = 0;

    while (f && getline(&line, &room, f) > 0) {
        json_t *o = json_loads(line, 0, NULL);
        const char *kind = json_string_value(json_object_get(o, "kind"));
        const json_t *at = json_object_get(o, "committed");
        const json_t *status = json_object_get(o, "status");
        if (kind && !strcmp(kind, "submit")) n = 0;  /* the user has submitted it again */
        if (kind && !strcmp(kind, "end") && json_integer_value(status) == -ERR_NO_PROGRESS) n = 0;
        if (kind && !strcmp(kind, "job")) n = json_integer_value(at) == step ? n + 1 : 0;
        json_decref(o);
    }
    if (f) fclose(f);
    free(line);
    mem_free(path);
    return n;
}

int launch_stop_requested(const char *dir)
{
    char *path = mem_format("%s/STOP", dir);
    const int yes = path_exists(path);
    mem_free(path);
    return yes;
}

int launch_clear_stop(const char *dir)
{
    char *path = mem_format("%s/STOP", dir);
    const int rc = unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR
                       ? OK : fail(ERR_IO, "%s: can't remove: %s", path, strerror(errno));
    mem_free(path);
    return rc;
}

int64_t launch_log_size(const char *dir)
{
    char *path = mem_format("%s/launch.jsonl", dir);
    int64_t size = 0;
    int fd = -1;

    if (path_exists(path) && file_open(&fd, &size, path) == OK) file_close(fd);
    mem_free(path);
    return size;
}

int launch_log_has(const char *dir, int64_t mark, const char *kind)
{
    char *path = mem_format("%s/launch.jsonl", dir), *text = NULL, *rest;
    char *begins = mem_format("{\"kind\":\"%s\"", kind);
    size_t n = 0;
    int has = 0;

    if (path_exists(path) && file_slurp(&text, &n, path, SIZE_MAX / 2) == OK && (int64_t)n > mark) {
        rest = text + mark;
        for (char *line; (line = strsep(&rest, "\n")) != NULL;)
            has |= strncmp(line, begins, strlen(begins)) == 0;
    }
    mem_free(begins);
    mem_free(text);
    mem_free(path);
    return has;
}
