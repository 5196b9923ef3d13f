/* SPDX-License-Identifier: Apache-2.0 */
/* Read the configuration, and check that everything it names exists. */
#include <stdio.h>
#include <string.h>

#include "jobs/launch.h"
#include "src/base/hash.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/conf/conf_diff.h"
#include "src/conf/conf_model.h"
#include "src/data/dataset.h"
#include "src/infer/start_model.h"
#include "src/infer/train_inputs.h"
#include "src/store/ckpt_parts.h"
#include "src/store/fence.h"

static int any(struct ckpt *c, void *arg)
{
    (void)c;
    (void)arg;
    return OK;
}

/* May the run resume from it?  What the trainer says of keys that differ is reported here only if it would
 * refuse them. */
static int check_resume(const struct launch *l, const struct train_inputs *in, const struct ckpt *from)
{
    const char *text = json_string_value(json_object_get(ckpt_info(from), "config"));
    const int allow = l->o->allow_config_change;
    char hex[HASH_HEX];
    int rc = OK;

    hash_hex(hex, ckpt_root(from));
    log_phase("the run resumes from %s: step %lld root %s", ckpt_path(from),
              (long long)ckpt_step(from), hex);
    if (text && !conf_accepts(l->conf, ckpt_step(from), text, ckpt_path(from), allow))
        TRY(conf_diff(l->conf, ckpt_step(from), text, ckpt_path(from), allow));
    TRY(train_inputs_resume(in, l->conf, from, l->o->allow_data_change));
out:
    return rc;
}

/* Compare the newest checkpoint.  Only its MANIFEST is read here: the processes verify its tiles, and
 * fall back to the one before if they are damaged. */
static int check_checkpoint(const struct launch *l, const struct train_inputs *in)
{
    char *dir = mem_format("%s/ckpt", l->conf->run.dir);
    struct ckpt *newest = NULL;
    int rc = ckpt_pick(&newest, dir, NULL, any, NULL);

    if (rc == ERR_MISSING) {
        log_phase("%s: no checkpoint, the run begins at step 0", l->conf->run.dir);
        rc = OK;
    } else if (rc == OK)
        rc = check_resume(l, in, newest);
    ckpt_close(newest);
    mem_free(dir);
    return rc;
}

/* Check INDEX, the header and index of every shard, tokenizer and vocabulary. */
static int check_data(const struct launch *l)
{
    const struct conf *c = l->conf;
    struct train_inputs in;
    int rc = train_inputs_open(&in, c);

    if (rc != OK) return rc;
    log_phase("data: %s, %lld tokens%s%s", c->data.train, (long long)dataset_tokens(in.train),
              in.val ? "; evaluation on " : "", in.val ? c->data.val : "");
    rc = check_checkpoint(l, &in);
    train_inputs_close(&in);
    return rc;
}

static int read_hosts(struct launch *l)
{
    const struct launch_opts *o = l->o;

    if (o->hosts && o->hostfile)
        return fail(ERR_USAGE, "--hosts or --hostfile, not both");
    if (o->hostfile) return hosts_read(&l->hosts, &l->n_hosts, o->hostfile);
    const char *list = o->hosts ? o->hosts : l->conf->launch.hosts;
    return list[0] ? hosts_parse(&l->hosts, &l->n_hosts, list) : OK;
}

int launch_open(struct launch *l, const struct launch_opts *o)
{
    int rc = OK;

    *l = (struct launch){ .o = o };
    launch_token_make(l->token);
    l->conf = mem_new(1, sizeof *l->conf, "configuration");
    TRY(conf_read(l->conf, o->file, o->sets.v, o->sets.n, &start_models));
    if (l->conf->start.missing)
        TRY(fail(ERR_MISSING, "train.init_from: there is no model at %s", l->conf->start.from));
    conf_report_model(l->conf);
    TRY(read_hosts(l));
    machine_read(&l->machine);
    if (o->measure) return OK;  /* that needs neither the data nor the run's folder for itself */
    if (!o->takeover) TRY(fence_allows(l->conf->run.dir));
    TRY(check_data(l));
out:
    return rc;
}

void launch_close(struct launch *l)
{
    mem_free(l->conf);
    mem_free(l->hosts);
    mem_free(l->mpirun);
    *l = (struct launch){ .o = NULL };
}
