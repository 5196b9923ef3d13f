/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/load_files.h"

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/hf.h"

int load_files(struct load_files *f, const struct load_info *info)
{
    const json_t *config, *files;
    struct ckpt *c = NULL;
    int rc = OK;

    *f = (struct load_files){ 0 };
    if (info->step < 0) {
        f->folder = mem_string(info->source);
        TRY(hf_read_json(&f->config, info->source));
        TRY(hf_files_find(&f->files, NULL, info->source));
        goto out;
    }
    TRY(ckpt_open(&c, info->source));
    config = json_object_get(ckpt_info(c), HF_CONFIG);
    if (json_is_object(config)) f->config = json_incref((json_t *)config);
    TRY(hf_files_of(&files, &f->folder, ckpt_info(c), info->source));
    if (files) f->files = json_incref((json_t *)files);
out:
    ckpt_close(c);
    return rc;
}

void load_files_done(struct load_files *f)
{
    json_decref(f->config);
    json_decref(f->files);
    mem_free(f->folder);
    *f = (struct load_files){ 0 };
}

int load_files_follow(json_t *info, const char *dir, const struct load_info *from,
                      struct hash tokenizer)
{
    struct load_files f;
    json_t *mine = NULL, *note = NULL;
    struct hash theirs;
    int roles = HF_LICENCE, rc = OK;

    TRY(load_files(&f, from));
    const char *hash = json_string_value(json_object_get(f.files, "tokenizer.model"));
    if (hash && hash_parse(&theirs, hash) == OK && hash_equal(theirs, tokenizer))
        roles |= HF_TOKENIZER | HF_GENERATION;
    mine = f.files ? json_copy(f.files) : json_object();
    hf_files_only(mine, roles);
    TRY(hf_files_keep(&note, mine, dir, f.folder));
    if (note) json_object_set(info, HF_FILES, note);
out:
    json_decref(mine);
    json_decref(note);
    load_files_done(&f);
    return rc;
}

void load_files_inherit(json_t *info, const json_t *checkpoint)
{
    json_t *note = json_object_get(checkpoint, HF_FILES);

    if (note) json_object_set(info, HF_FILES, note);
    else json_object_del(info, HF_FILES);
}
