/* SPDX-License-Identifier: Apache-2.0 */
#include "src/conf/conf_diff.h"

#include <string.h>

#include "src/base/log.h"
#include "src/base/status.h"
#include "src/conf/conf_table.h"

/* May this key change in the middle of a run without changing what is computed?
 * Where the data lies is free, since its fingerprint is compared. */
static int is_free(const char *path)
{
    static const char *const free_keys[] = {
        "run.name", "run.dir", "run.threads", "run.grid", "data.train", "data.val",
        "train.micro_batch", "train.remat", "train.sequence_mode", "train.inner_group",
        "train.inner_stats_every", "train.max_bad_steps", "train.guard_every",
        "train.spike_nats",
        "train.init_from", "train.init_change",
    };
    static const char *const free_sections[] = { "eval.", "checkpoint.", "log.", "launch.",
                                                 "watchdog." };

    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        if (!strcmp(path, free_keys[i])) return 1;
    for (size_t i = 0; i < sizeof free_sections / sizeof *free_sections; i++)
        if (!strncmp(path, free_sections[i], strlen(free_sections[i]))) return 1;
    return 0;
}

/* Was the run at its end, and is it now to continue beyond it?  What follows from train.steps by
 * default may change with it. */
static int is_raised(const char *path, const struct conf *now, const struct conf *old, int64_t step)
{
    const int64_t was = old->train.steps, is = now->train.steps;

    if (step < was || is <= was) return 0;
    if (!strcmp(path, "optim.warmup_steps"))
        return old->optim.warmup_steps == was / 10 && now->optim.warmup_steps == is / 10;
    if (!strcmp(path, "optim.decay_steps"))
        return old->optim.decay_steps == was && now->optim.decay_steps == is;
    return !strcmp(path, "train.steps");
}

/* The keys that matter and differ; tell: print all that differ.  -1: the text is no configuration,
 * reported. */
static int count_refused(const struct conf *now, int64_t step, const char *text, const char *source,
                         int allow, int tell)
{
    static struct conf old;  /* large, and commands read one at a time */
    char was[3 * CONF_PATH], is[3 * CONF_PATH];
    int refused = 0;

    if (conf_parse_stored(&old, text, source) != OK) return -1;
    for (int i = 0; i < conf_key_count; i++) {
        const struct conf_key *k = &conf_keys[i];
        conf_show(was, sizeof was, &old, k);
        conf_show(is, sizeof is, now, k);
        if (!strcmp(was, is)) continue;
        const int matters = !is_free(k->path);
        if (tell)
            log_phase("config: %s is %s, was %s%s", k->path, is, was,
                      matters ? "  <- changes what is computed" : "");
        refused += matters && !allow && !is_raised(k->path, now, &old, step);
    }
    return refused;
}

int conf_accepts(const struct conf *now, int64_t step, const char *text, const char *source,
                 int allow)
{
    return count_refused(now, step, text, source, allow, 0) == 0;
}

int conf_diff(const struct conf *now, int64_t step, const char *text, const char *source, int allow)
{
    const int refused = count_refused(now, step, text, source, allow, 1);

    if (refused <= 0) return refused ? ERR_CONFIG : OK;
    return fail(ERR_CONFIG, "%s was computed with another configuration (%d key%s above); "
                "--allow-config-change resumes with the new one, another run.dir starts a new run",
                source, refused, refused == 1 ? "" : "s");
}
