/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/model_at.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/ckpt_parts.h"
#include "src/store/dims_json.h"
#include "src/store/hf.h"
#include "src/store/weight_files.h"
#include "src/store/weight_kind.h"

static int holds(const char *dir, const char *name)
{
    char *path = mem_format("%s/%s", dir, name);
    const int there = path_exists(path);
    mem_free(path);
    return there;
}

/* Where the checkpoints of a run, or of its ckpt/, are; a counted string. */
static char *checkpoints_of(const char *path)
{
    return holds(path, "ckpt") ? mem_format("%s/ckpt", path) : mem_string(path);
}

int model_is_at(const char *path)
{
    struct ckpt_entry *list = NULL;
    char *dir = checkpoints_of(path);
    int n = 0, found = holds(path, "config.json") || holds(path, "MANIFEST");

    if (!found && ckpt_list(&list, &n, dir) == OK)
        for (int i = 0; i < n; i++) found |= list[i].committed;
    mem_free(list);
    mem_free(dir);
    return found;
}

static int any(struct ckpt *c, void *arg)
{
    (void)c;
    (void)arg;
    return OK;
}

static int open_newest(struct ckpt **c, const char *path, enum model_proof proof)
{
    char *dir = checkpoints_of(path);
    const int rc = proof == MODEL_PROVED ? ckpt_newest(c, dir, NULL)
                                         : ckpt_pick(c, dir, NULL, any, NULL);

    mem_free(dir);
    if (rc == ERR_MISSING && weight_files_exist(path))
        return fail(rc, "%s holds weights, but no config.json, which says what model they are of",
                    path);
    if (rc == ERR_MISSING && weight_kind_folder(path) != OK) return ERR_DATA;
    if (rc == ERR_MISSING)
        return fail(rc, "%s holds neither config.json (a Hugging Face model) nor MANIFEST (a "
                    "checkpoint) nor checkpoints in ckpt/ (a run)", path);
    return rc;
}

int model_at_open(struct model_at *m, const char *path, enum model_proof proof)
{
    int rc = OK;

    *m = (struct model_at){ .config = NULL };
    if (!path_exists(path)) TRY(fail(ERR_MISSING, "there is no model at %s", path));
    if (!path_is_dir(path)) {
        TRY(weight_kind_file(path));
        TRY(fail(ERR_MISSING, "%s is not a folder; a model is one, with config.json or MANIFEST",
                 path));
    }
    if (holds(path, "config.json")) {
        TRY(hf_read_config(&m->dims, path));
        TRY(hf_read_json(&m->config, path));
        goto out;
    }
    if (holds(path, "MANIFEST")) TRY(ckpt_open(&m->ckpt, path));
    else TRY(open_newest(&m->ckpt, path, proof));
    TRY(dims_of_info(&m->dims, ckpt_info(m->ckpt), ckpt_path(m->ckpt)));
out:
    if (rc != OK) model_at_close(m);
    return rc;
}

void model_at_close(struct model_at *m)
{
    json_decref(m->config);
    ckpt_close(m->ckpt);
    *m = (struct model_at){ .config = NULL };
}
