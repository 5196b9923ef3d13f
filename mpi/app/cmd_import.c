/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_import.c -- `ttt import`: a Hugging Face folder becomes a checkpoint, without changing a bit
 * of a float32 model. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "src/base/build_info.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/data/token.h"
#include "src/infer/load.h"
#include "src/infer/load_files.h"
#include "src/store/ckpt.h"
#include "src/store/hf.h"
#include "src/store/param_tensors.h"

/* Keep the files that an export gives back; name the others. */
static int keep_files(json_t *info, const char *dir, const char *folder)
{
    json_t *files = NULL, *note = NULL;
    char *left = NULL;
    int rc = OK;

    TRY(hf_files_find(&files, &left, folder));
    TRY(hf_files_keep(&note, files, dir, folder));
    if (note) json_object_set(info, HF_FILES, note);
    if (left) log_warn("%s: not imported: %s", folder, left);
out:
    json_decref(files);
    json_decref(note);
    mem_free(left);
    return rc;
}

/* What the checkpoint says about its model. */
static int make_info(json_t **out, const struct model *m, const struct load_info *from,
                     const char *folder)
{
    struct tokenizer *t = NULL;
    struct hash hash = { 0, 0 };
    json_t *config = NULL, *info = json_object();
    int rc = OK;

    if (from->tokenizer_kind) {
        TRY(load_tokenizer(&t, from, m, NULL));
        hash = tokenizer_hash(t);
    }
    TRY(hf_read_json(&config, folder));
    load_describe(info, &m->dims, from->context, from->tokenizer_kind, from->tokenizer_path, hash);
    json_object_set_new(info, "build", json_string(build_text()));
    json_object_set(info, HF_CONFIG, config);  /* an export gives back what dims do not say */
out:
    tokenizer_close(t);
    json_decref(config);
    *out = info;
    return rc;
}

/* Who names the folder as a model must get this one: no run, no checkpoint, none of a later step. */
static int check_target(const char *dir)
{
    static const char *const marks[] = { "ckpt", "fence", "MANIFEST", "config.json" };
    struct ckpt_entry *list = NULL;
    int count = 0, rc = OK;

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        char *path = mem_format("%s/%s", dir, marks[i]);
        const int there = path_exists(path);
        mem_free(path);
        if (there)
            return fail(ERR_USAGE, "%s is a run, a checkpoint or a Hugging Face folder (it holds %s), and as a "
                        "model it would stay that; name a new folder", dir, marks[i]);
    }
    rc = ckpt_list(&list, &count, dir);
    if (rc == ERR_MISSING) return OK;
    for (int i = 0; i < count && rc == OK; i++)
        if (list[i].committed && list[i].step > 0)
            rc = fail(ERR_USAGE, "%s holds a checkpoint of step %lld, which would be taken before the imported "
                      "one of step 0; name a new folder", dir, (long long)list[i].step);
    mem_free(list);
    return rc;
}

/* Remove checkpoints without MANIFEST, which killed imports left.  Imports share a lock on the
 * folder: only one that has it alone removes anything.  In a run's folder the run's owner does.
 * fd  [out] holds the lock; -1 on a file system without locks */
static int clean_up(int *fd, const char *dir)
{
    char *fence = mem_format("%s/../fence", dir);
    int rc = dir_make(dir);

    *fd = rc == OK ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) == 0 && !path_exists(fence)) rc = ckpt_clean(dir);
    if (*fd >= 0 && flock(*fd, LOCK_SH) != 0) {
        close(*fd);
        *fd = -1;
    }
    mem_free(fence);
    return rc;
}

static int import(const char *folder, const char *dir)
{
    const struct ckpt_opts opts = { .level = 1 };
    struct load_info from = { .step = -1 };
    struct ckpt_meta meta = { .step = 0 };
    struct model *m = NULL;
    struct tensor *list = NULL;
    struct hash root;
    char hex[HASH_HEX];
    int rc = OK, lock = -1;

    TRY(load_model(&m, &from, folder));
    if (strcmp(from.kind, "huggingface") != 0)
        TRY(fail(ERR_USAGE, "%s is a checkpoint already", folder));
    TRY(check_target(dir));
    TRY(make_info(&meta.info, m, &from, folder));
    TRY(clean_up(&lock, dir));
    TRY(keep_files(meta.info, dir, folder));
    list = mem_new(m->params.count, sizeof *list, "list of tensors");
    param_tensors(list, &m->params, "", m->w);
    TRY(ckpt_save(dir, list, m->params.count, &meta, &opts, &root));
    hash_hex(hex, root);
    printf("%s: %lld parameters of %s, state root %s\n", text_visible(dir), (long long)m->params.n,
           text_visible(folder), hex);
out:
    if (lock >= 0) close(lock);
    json_decref(meta.info);
    mem_free(list);
    load_done(&from);
    model_free(m);
    return rc;
}

int cmd_import(int argc, char **argv)
{
    static const char usage[] = "ttt import HF_DIR DIR";
    struct arg_rest rest;
    const int rc = args_parse(&rest, argc, argv, NULL, 0, usage,
               "Import a Hugging Face model of type ttt, llama, mistral, qwen2 or mamba as a checkpoint\n"
               "in DIR. config.json and model.safetensors are read, or several files of weights with\n"
               "their index (float32, bfloat16, float16 and float64, converted exactly).\n"
               "train.init_from, ttt eval, generate, probe and export take DIR as a model.\n"
               "The tokenizer's files, generation_config.json, README.md and licences are kept in\n"
               "DIR/hf-..., for ttt export.\n\n"
               "example\n"
               "  ttt import Llama-3.2-1B/ llama && ttt generate llama --prompt \"Once upon a time\"\n\n"
               "exit codes: 65 damaged files, 66 a file is missing, 78 a model that is not supported");

    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 2) return fail(ERR_USAGE, "usage: %s", usage);
    return import(rest.v[0], rest.v[1]);
}
