/* SPDX-License-Identifier: Apache-2.0 */
/* Changes between a checkpoint's configuration and this one: every key of the
 * table is noticed, and those that change what is computed are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/conf/conf_diff.h"
#include "src/conf/conf_table.h"

#include <cmocka.h>

static const char base[] = "data: {train: x}\n";

/* A configuration that differs from `base` in one key, compared with that of a checkpoint. */
static int changed_at(int64_t step, const char *set, int allow)
{
    static struct conf old, now;
    char *one[1];
    char text[256];

    snprintf(text, sizeof text, "%s", set);
    one[0] = text;
    assert_int_equal(conf_parse(&old, base, strlen(base), "old", NULL, 0, NULL), OK);
    assert_int_equal(conf_parse(&now, base, strlen(base), "now", one, 1, NULL), OK);
    char *was = conf_text(&old);
    const int rc = conf_diff(&now, step, was, "step-1", allow);
    mem_free(was);
    return rc;
}

static int changed(const char *set, int allow) { return changed_at(1, set, allow); }

static void free_keys(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "run.threads=2", "run.dir=elsewhere", "data.train=y", "data.val=y", "train.micro_batch=3",
        "train.remat=block", "train.sequence_mode=heads", "train.inner_group=2", "train.inner_stats_every=3",
        "train.max_bad_steps=4", "train.guard_every=3",
        "train.spike_nats=1", "train.init_from=m", "eval.every_steps=7", "eval.max_tokens=9",
        "eval.context=9",
        "checkpoint.every_minutes=2", "checkpoint.keep=5", "log.every_steps=10",
        "model.head_dim=64", "train.steps=4800" /* as it is */
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        assert_int_equal(changed(sets[i], 0), OK);
}

static void refused_keys(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "run.seed=2", "model.layers=3", "model.tied=false", "model.rope_theta=5",
        "model.gate=false",
        "data.mask_bos=false", "train.steps=7", "train.context=1024", "train.batch_tokens=4096",
        "train.slice_tokens=512", "train.reduction=fast", "optim.lr=1e-4", "optim.beta2=0.99",
        "optim.warmup_steps=3", "optim.weight_decay=0", "optim.clip_norm=0"
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        assert_int_equal(changed(sets[i], 0), ERR_CONFIG);
        assert_non_null(strstr(log_last_error(), "--allow-config-change"));
        assert_int_equal(changed(sets[i], 1), OK);
    }
}

/* A finished run may be given more steps, and nothing else. */
static void more_steps(void **state)
{
    (void)state;
    assert_int_equal(changed_at(4800, "train.steps=9600", 0), OK);
    assert_int_equal(changed_at(4799, "train.steps=9600", 0), ERR_CONFIG);
    assert_int_equal(changed_at(4800, "train.steps=4700", 0), ERR_CONFIG);
    assert_int_equal(changed_at(4800, "optim.decay_steps=9600", 0), ERR_CONFIG);
    assert_int_equal(changed_at(4800, "optim.lr=1e-4", 0), ERR_CONFIG);
}

static void damaged(void **state)
{
    (void)state;
    static struct conf now;
    assert_int_equal(conf_parse(&now, base, strlen(base), "now", NULL, 0, NULL), OK);
    assert_int_equal(conf_diff(&now, 1, "run: [", "step-1", 0), ERR_CONFIG);
    assert_int_equal(conf_diff(&now, 1, "later: {key: 1}\n", "step-1", 0), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_keys), cmocka_unit_test(refused_keys),
        cmocka_unit_test(more_steps), cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
