/* SPDX-License-Identifier: Apache-2.0 */
/* How many seconds before its time limit a job must be told to save. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/slurm.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#define UNKNOWN_S 300  /* nothing was measured                                        */
#define LEAST_S 120    /* SLURM may be a minute early or late                         */
#define MORE_S 30      /* start of the launcher's tools, the file system's slowness   */
#define MOST_S 65535   /* of sbatch --signal                                          */

struct samples { double *x; int64_t n, room; };

static void add(struct samples *s, const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    if (!json_is_number(value)) return;
    if (s->n == s->room) {
        s->room = 2 * s->room + 64;
        s->x = mem_resize(s->x, s->room, sizeof *s->x, "samples");
    }
    s->x[s->n++] = json_number_value(value);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The 99th percentile; NAN if there are no values. */
static double p99(struct samples *s)
{
    double x = NAN;
    if (s->n) {
        qsort(s->x, (size_t)s->n, sizeof *s->x, ascending);
        x = s->x[(s->n * 99 - 1) / 100];
    }
    mem_free(s->x);
    return x;
}

/* From metrics.jsonl, as far as it can be read. */
static void measured(double *save_s, double *step_s, const struct conf *c)
{
    char *path = mem_format("%s/metrics.jsonl", c->run.dir), *line = NULL;
    struct samples saves = { 0 }, steps = { 0 }, evals = { 0 };
    FILE *f = fopen(path, "re");
    size_t room = 0;

    while (f && getline(&line, &room, f) > 0) {
        json_t *o = json_loads(line, 0, NULL);
        const char *kind = json_string_value(json_object_get(o, "kind"));
        if (kind && !strcmp(kind, "save")) add(&saves, o, "save_s");
        if (kind && !strcmp(kind, "step")) add(&steps, o, "step_s");
        if (kind && !strcmp(kind, "eval")) add(&evals, o, "eval_s");
        json_decref(o);
    }
    if (f) fclose(f);
    free(line);
    mem_free(path);
    *save_s = p99(&saves);
    *step_s = fmax(p99(&steps), p99(&evals));   /* a signal waits for either to end */
}

int slurm_signal_s(const struct conf *c)
{
    const int64_t half = conf_slurm_time(c->launch.slurm.time) / 2;
    double save_s, step_s, want = UNKNOWN_S;

    if (c->launch.slurm.signal_s > 0) return c->launch.slurm.signal_s;
    measured(&save_s, &step_s, c);
    if (!isnan(save_s) && !isnan(step_s)) {
        want = fmin(ceil(2 * save_s + step_s + MORE_S), MOST_S);
        if (want < LEAST_S) want = LEAST_S;
        log_phase("a save takes %.1f s, a step or an evaluation %.1f s (99th percentile): the run is "
                  "told to save %.0f s before the time limit", save_s, step_s, want);
    }
    if (want <= (double)half) return (int)want;
    log_warn("launch.slurm.time %s is short: half of it, %lld s, is reserved for saving",
             c->launch.slurm.time, (long long)half);
    return (int)half;
}
