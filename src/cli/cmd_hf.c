/* cmd_hf.c -- `ttt import` and `ttt export`: Hugging Face folders in and out, without
 * changing a bit of a float32 model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/build_info.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/data/token.h"
#include "src/infer/load.h"
#include "src/store/ckpt.h"
#include "src/store/hf.h"
#include "src/store/param_tensors.h"

#define TOKENIZER_CAP ((size_t)256 << 20)

/* Where config.json is kept in a checkpoint, so that an export can give back what
 * dims do not say. */
#define HF_CONFIG "hf_config"

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
    json_object_set(info, HF_CONFIG, config);
out:
    tokenizer_close(t);
    json_decref(config);
    *out = info;
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
    int rc = OK;

    TRY(load_model(&m, &from, folder));
    if (strcmp(from.kind, "huggingface") != 0)
        TRY(fail(ERR_USAGE, "%s is a checkpoint already", folder));
    TRY(make_info(&meta.info, m, &from, folder));
    list = mem_new(m->params.count, sizeof *list, "list of tensors");
    param_tensors(list, &m->params, "", m->w);
    TRY(ckpt_save(dir, list, m->params.count, &meta, &opts, &root));
    hash_hex(hex, root);
    printf("%s: %lld parameters of %s, state root %s\n", dir, (long long)m->params.n, folder, hex);
out:
    json_decref(meta.info);
    mem_free(list);
    load_done(&from);
    model_free(m);
    return rc;
}

/* The tokenizer goes with the model, under the name that others look for. */
static void copy_tokenizer(const char *path, const char *folder)
{
    char *to = mem_format("%s/tokenizer.model", folder), *bytes = NULL;
    size_t n = 0;

    if (file_slurp(&bytes, &n, path, TOKENIZER_CAP) != OK || file_replace(to, bytes, n) != OK)
        log_warn("%s: written without its tokenizer", folder);
    mem_free(bytes);
    mem_free(to);
}

static int export(const char *source, const char *folder)
{
    struct load_info from = { .step = -1 };
    struct model *m = NULL;
    struct ckpt *c = NULL;
    const json_t *base = NULL;
    int rc = OK;

    TRY(load_model(&m, &from, source));
    if (from.step >= 0) {
        TRY(ckpt_open(&c, from.source));
        base = json_object_get(ckpt_info(c), HF_CONFIG);
    }
    TRY(hf_write(folder, &m->dims, &m->params, m->w, json_is_object(base) ? base : NULL,
                 from.context));
    if (from.tokenizer_path) copy_tokenizer(from.tokenizer_path, folder);
    printf("%s: %lld parameters of %s\n", folder, (long long)m->params.n, from.source);
out:
    ckpt_close(c);
    load_done(&from);
    model_free(m);
    return rc;
}

static int run(int argc, char **argv, const char *usage, const char *about,
               int (*act)(const char *from, const char *to))
{
    struct arg_rest rest;
    const int rc = args_parse(&rest, argc, argv, NULL, 0, usage, about);

    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 2) return fail(ERR_USAGE, "usage: %s", usage);
    return act(rest.v[0], rest.v[1]);
}

int cmd_import(int argc, char **argv)
{
    return run(argc, argv, "ttt import HF_DIR DIR",
               "Reads config.json and model.safetensors (float32, bfloat16, float16, float64)\n"
               "of a Hugging Face model (model_type ttt or llama) and writes a checkpoint of its\n"
               "weights into DIR.\n"
               "train.init_from, ttt eval, generate, probe and export take DIR as a model.",
               import);
}

int cmd_export(int argc, char **argv)
{
    return run(argc, argv, "ttt export MODEL HF_DIR",
               "Writes the weights of a checkpoint, or of the newest one of a run, as config.json\n"
               "and model.safetensors with the names of the public implementation, and the\n"
               "tokenizer if it has a file.  HF_DIR must not hold a model yet.",
               export);
}
