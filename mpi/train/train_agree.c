/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/train_agree.h"

#include "mpi/grid/agree.h"
#include "src/base/build_info.h"
#include "src/base/mem.h"
#include "src/base/status.h"

int train_inputs_agree(const struct train_inputs *in, const struct axis *world)
{
    char train[HASH_HEX], val[HASH_HEX] = "none";
    int rc = OK;

    hash_hex(train, dataset_fingerprint(in->train));
    if (in->val) hash_hex(val, dataset_fingerprint(in->val));
    TRY(job_agree(world, "the training data", train));
    TRY(job_agree(world, "the data for evaluation", val));
out:
    return rc;
}

int train_job_agree(const struct conf *c, int traced, const struct axis *world)
{
    static const char *const asked[] = { "no --trace", "--trace", "--profile",
                                         "--trace and --profile" };
    struct conf *shared = mem_new(1, sizeof *shared, "configuration");
    int rc = OK;

    *shared = *c;
    shared->run.dir[0] = shared->data.train[0] = shared->data.val[0] = '\0';
    shared->run.threads = 0;
    char *text = conf_text(shared);
    TRY(job_agree(world, "the build", build_text()));
    TRY(job_agree(world, "the configuration", text));
    TRY(job_agree(world, "what is asked for", asked[traced]));
out:
    mem_free(text);
    mem_free(shared);
    return rc;
}
