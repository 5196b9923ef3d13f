/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_export.c -- `ttt export`: a Hugging Face folder of a model, with everything that other
 * programs need to use it as it was trained. */
#include <stdio.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/new_folder.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/data/token.h"
#include "src/data/token_hf.h"
#include "src/infer/load.h"
#include "src/infer/load_files.h"
#include "src/store/hf.h"

/* How an export is written. */
struct export_opts {
    const char *dtype_text, *size_text, *tokenizer;
    enum dtype  dtype;
    int64_t     most;
};

struct export {
    const struct export_opts *o;
    struct load_info  from;
    struct load_files kept;
    struct model     *m;
    struct tokenizer *t;       /* NULL: not known, or not wanted */
};

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

/* --- the tokenizer --------------------------------------------------------------- */

static int came_with_tokenizer(const struct export *e)
{
    return json_object_get(e->kept.files, "tokenizer.json") ||
           json_object_get(e->kept.files, "tokenizer_config.json");
}

/* Open the tokenizer if it is known.  Files that came with the model belong to its own tokenizer,
 * so --tokenizer leaves them out. */
static int find_tokenizer(struct export *e)
{
    const char *name = e->o->tokenizer;
    int rc = OK;

    if (name) json_object_clear(e->kept.files);
    if (name && !strcmp(name, "none")) return OK;
    if (name || e->from.tokenizer_kind) {
        rc = load_tokenizer(&e->t, &e->from, e->m, name);
        if (rc != OK && !name)
            return fail(rc, "%s: its tokenizer can't be read; name its file with --tokenizer FILE, "
                        "or export without it by --tokenizer none", e->from.source);
    } else if (!came_with_tokenizer(e)) {
        log_warn("%s does not say which tokenizer it was trained with: exported without one "
                 "(--tokenizer FILE or bytes adds it)", e->from.source);
    }
    return rc;
}

static int put_json(const char *folder, const char *name, const json_t *object)
{
    char *path = mem_format("%s/%s", folder, name);
    const int rc = path_exists(path) || !object ? OK : hf_write_json(folder, name, object);
    mem_free(path);
    return rc;
}

static int put_model_file(const char *folder, const struct tokenizer *t)
{
    char *path = mem_format("%s/tokenizer.model", folder);
    size_t n = 0;
    const char *bytes = tokenizer_file(t, &n);
    const int rc = path_exists(path) || !bytes ? OK : file_replace(path, bytes, n);
    mem_free(path);
    return rc;
}

/* Report what other programs do differently. */
static void tell_doubt(const struct token_hf *files)
{
    if (!files->tokenizer)
        log_warn("tokenizer.json is not written, since it can't express this tokenizer (%s); "
                 "programs with the SentencePiece library read tokenizer.model (in transformers 4 "
                 "AutoTokenizer with use_fast=False)", files->doubt);
    else if (files->doubt)
        log_warn("tokenizer.json may give other ids than this program for: %s; programs with the "
                 "SentencePiece library read tokenizer.model", files->doubt);
}

/* An id of a public model that its tokenizer contradicts: it may be meant, or a mistake. */
static void compare_id(const struct export *e, const char *key, int id)
{
    const json_t *said = json_object_get(e->kept.config, key);

    if (json_is_integer(said) && json_integer_value(said) != id)
        log_warn("%s: its config.json says %s %lld, its tokenizer %d; config.json is kept "
                 "(--tokenizer FILE takes the ids of FILE)", e->from.source, key,
                 (long long)json_integer_value(said), id);
}

static int write_tokenizer(const struct export *e, const char *folder)
{
    struct token_hf files;
    int rc = OK;

    token_hf_make(&files, e->t, e->from.context);
    TRY(put_model_file(folder, e->t));
    TRY(put_json(folder, "tokenizer.json", files.tokenizer));
    TRY(put_json(folder, "tokenizer_config.json", files.config));
    TRY(put_json(folder, "special_tokens_map.json", files.special));
    tell_doubt(&files);
out:
    token_hf_done(&files);
    return rc;
}

/* --- all of it --------------------------------------------------------------------- */

static int copy_kept(const struct export *e, const char *folder)
{
    if (!e->kept.files) return OK;
    const int rc = hf_files_copy(e->kept.files, e->kept.folder, folder);
    if (rc == OK) return OK;
    return fail(rc, "%s: the files that came with the model are not whole; --tokenizer FILE or "
                "--tokenizer none exports without them", e->kept.folder);
}

static int write_all(const struct export *e, const char *folder)
{
    const struct hf_ids ids = { e->t ? tokenizer_bos(e->t) : -1, e->t ? tokenizer_eos(e->t) : -1,
                                e->t ? tokenizer_pad(e->t) : -1 };
    /* A public model says them itself, unless another tokenizer was asked for. */
    const struct hf_ids *ours = e->t && (!e->kept.config || e->o->tokenizer) ? &ids : NULL;
    const struct hf_form form = { e->o->dtype, e->o->most, ours };
    int rc = OK;

    TRY(hf_write_as(folder, &e->m->dims, &e->m->params, e->m->w, e->kept.config, e->from.context,
                    &form));
    if (e->t && !ours) {
        compare_id(e, "bos_token_id", ids.bos);
        compare_id(e, "eos_token_id", ids.eos);
    }
    TRY(copy_kept(e, folder));
    if (e->t && !came_with_tokenizer(e) && tokenizer_has_text(e->t))
        TRY(write_tokenizer(e, folder));
    if (ours && !json_object_get(e->kept.files, "generation_config.json"))
        TRY(hf_write_generation(folder, ours));
out:
    return rc;
}

static int export(const char *source, const char *folder, const struct export_opts *o)
{
    struct export e = { .o = o, .from = { .step = -1 } };
    struct new_folder f;
    int rc = OK;

    TRY(load_model(&e.m, &e.from, source));
    TRY(load_files(&e.kept, &e.from));
    TRY(find_tokenizer(&e));
    TRY(new_folder_begin(&f, folder));
    TRY(new_folder_end(&f, write_all(&e, f.dir)));
    printf("%s: %lld parameters of %s\n", text_visible(folder), (long long)e.m->params.n,
           text_visible(e.from.source));
out:
    tokenizer_close(e.t);
    load_files_done(&e.kept);
    load_done(&e.from);
    model_free(e.m);
    return rc;
}

int cmd_export(int argc, char **argv)
{
    static const char usage[] = "ttt export MODEL HF_DIR";
    struct export_opts o = { .dtype = DT_REAL };
    const struct arg args[] = {
        { "dtype", ARG_TEXT, &o.dtype_text, "f32|bf16",
          "type of the numbers (default: as stored; bf16 rounds)" },
        { "shard-size", ARG_TEXT, &o.size_text, "SIZE",
          "write files of at most SIZE bytes and an index, for example 5GB (default: one file)" },
        { "tokenizer", ARG_TEXT, &o.tokenizer, "FILE|bytes|none",
          "export this tokenizer, or none (default: the model's own)" },
    };
    struct arg_rest rest;
    int rc = args_parse(&rest, argc, argv, args, 3, usage,
               "Export the weights of a checkpoint, or of the newest one of a run, as a Hugging Face\n"
               "folder: config.json and model.safetensors with the names of the public implementation,\n"
               "generation_config.json, and the tokenizer, both for the transformers and tokenizers\n"
               "libraries and as its own file. An imported model keeps the files that it came with.\n"
               "HF_DIR must not exist, or be empty; it appears when all of it is written.\n\n"
               "example\n"
               "  ttt export logs/my folder/ --dtype bf16 --shard-size 5GB");

    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 2) return fail(ERR_USAGE, "usage: %s", usage);
    if (o.dtype_text) TRY(read_dtype(&o.dtype, o.dtype_text));
    if (o.size_text) TRY(read_size(&o.most, o.size_text));
    rc = export(rest.v[0], rest.v[1], &o);
out:
    return rc;
}
