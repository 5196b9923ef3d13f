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
#include "src/base/text.h"
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

/* How an export is written. */
static const char *dtype_text = NULL, *size_text = NULL;

/* "5GB", "500MB", "100000": bytes, decimal as in save_pretrained. */
static int read_size(int64_t *bytes, const char *text)
{
    static const struct { const char *unit; double bytes; } units[] = {
        { "GB", 1e9 }, { "MB", 1e6 }, { "KB", 1e3 }, { "", 1 },
    };
    char digits[32];
    double x = 0;

    for (int i = 0; i < 4; i++) {
        const size_t n = strlen(text), u = strlen(units[i].unit);
        if (n < u || n - u >= sizeof digits || strcmp(text + n - u, units[i].unit) != 0) continue;
        snprintf(digits, sizeof digits, "%.*s", (int)(n - u), text);
        if (!text_double(&x, digits) || !(x * units[i].bytes >= 1 && x * units[i].bytes < 1e18))
            break;
        *bytes = (int64_t)(x * units[i].bytes);
        return OK;
    }
    return fail(ERR_USAGE, "--shard-size: expected a size such as 5GB, found '%s'", text);
}

static int read_dtype(enum dtype *dtype, const char *text)
{
    if (!strcmp(text, "f32")) *dtype = DT_F32;
    else if (!strcmp(text, "bf16")) *dtype = DT_BF16;
    else return fail(ERR_USAGE, "--dtype: expected f32 or bf16, found '%s'", text);
    return OK;
}

static int export(const char *source, const char *folder)
{
    enum dtype dtype = DT_REAL;
    int64_t most = 0;
    struct load_info from = { .step = -1 };
    struct model *m = NULL;
    struct ckpt *c = NULL;
    const json_t *base = NULL;
    int rc = OK;

    if (dtype_text) TRY(read_dtype(&dtype, dtype_text));
    if (size_text) TRY(read_size(&most, size_text));
    TRY(load_model(&m, &from, source));
    if (from.step >= 0) {
        TRY(ckpt_open(&c, from.source));
        base = json_object_get(ckpt_info(c), HF_CONFIG);
    }
    TRY(hf_write_as(folder, &m->dims, &m->params, m->w, json_is_object(base) ? base : NULL,
                    from.context, dtype, most));
    if (from.tokenizer_path) copy_tokenizer(from.tokenizer_path, folder);
    printf("%s: %lld parameters of %s\n", folder, (long long)m->params.n, from.source);
out:
    ckpt_close(c);
    load_done(&from);
    model_free(m);
    return rc;
}

static int run(int argc, char **argv, const struct arg *args, int count, const char *usage,
               const char *about, int (*act)(const char *from, const char *to))
{
    struct arg_rest rest;
    const int rc = args_parse(&rest, argc, argv, args, count, usage, about);

    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 2) return fail(ERR_USAGE, "usage: %s", usage);
    return act(rest.v[0], rest.v[1]);
}

int cmd_import(int argc, char **argv)
{
    return run(argc, argv, NULL, 0, "ttt import HF_DIR DIR",
               "Reads config.json and model.safetensors, or several files of weights with their\n"
               "index (float32, bfloat16, float16 and float64, converted exactly), of a Hugging\n"
               "Face model of type ttt, llama or mamba, and writes a checkpoint of its weights\n"
               "into DIR.\n"
               "train.init_from, ttt eval, generate, probe and export take DIR as a model.",
               import);
}

int cmd_export(int argc, char **argv)
{
    const struct arg args[] = {
        { "dtype", ARG_TEXT, &dtype_text, "f32|bf16",
          "type of the numbers (default: as they are; bf16 rounds)" },
        { "shard-size", ARG_TEXT, &size_text, "SIZE",
          "files of at most so many bytes and an index, for example 5GB (default: one file)" },
    };
    return run(argc, argv, args, 2, "ttt export MODEL HF_DIR",
               "Writes the weights of a checkpoint, or of the newest one of a run, as config.json\n"
               "and model.safetensors with the names of the public implementation, and the\n"
               "tokenizer if it has a file.  HF_DIR must not hold a model yet.",
               export);
}
