/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/hf_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/new_folder.h"
#include "src/base/status.h"

#define FILE_CAP ((size_t)256 << 20)

/* Names, a '*' at the end stands for anything. */
static const struct { const char *name; int role; } known[] = {
    { "tokenizer.json", HF_TOKENIZER },
    { "tokenizer.model*", HF_TOKENIZER },
    { "tokenizer_config.json", HF_TOKENIZER },
    { "special_tokens_map.json", HF_TOKENIZER },
    { "added_tokens.json", HF_TOKENIZER },
    { "vocab.json", HF_TOKENIZER },
    { "vocab.txt", HF_TOKENIZER },
    { "merges.txt", HF_TOKENIZER },
    { "spiece.model", HF_TOKENIZER },
    { "tekken.json", HF_TOKENIZER },
    { "chat_template.j*", HF_TOKENIZER },
    { "generation_config.json", HF_GENERATION },
    { "LICENSE*", HF_LICENCE },
    { "LICENCE*", HF_LICENCE },
    { "NOTICE*", HF_LICENCE },
    { "COPYING*", HF_LICENCE },
    { "USE_POLICY*", HF_LICENCE },
    { "README.md", HF_CARD },
    /* Files that import reads itself, and weights in forms that it does not read. */
    { "config.json", 0 },
    { "model.safetensors*", 0 },
    { "model-*", 0 },
    { "pytorch_model*", 0 },
    { ".*", 0 },
};
#define KNOWN (int)(sizeof known / sizeof *known)

/* Role of a file, 0: none of ours, -1: unknown. */
static int role_of(const char *name)
{
    for (int i = 0; i < KNOWN; i++) {
        const size_t n = strlen(known[i].name) - 1;
        const int same = known[i].name[n] == '*' ? !strncmp(name, known[i].name, n)
                                                 : !strcmp(name, known[i].name);
        if (same) return known[i].role;
    }
    return -1;
}

static void add_name(char **list, const char *name)
{
    char *longer = *list ? mem_format("%s, %s", *list, name) : mem_string(name);
    mem_free(*list);
    *list = longer;
}

static int hash_file(struct hash *hash, char **bytes, size_t *n, const char *path)
{
    const int rc = file_slurp(bytes, n, path, FILE_CAP);
    if (rc == OK) *hash = hash_bytes(*bytes, *n);
    return rc;
}

int hf_files_find(json_t **files, char **left, const char *folder)
{
    char **names = NULL, hex[HASH_HEX];
    int count = 0, rc = OK;

    *files = json_object();
    if (left) *left = NULL;
    TRY(dir_list(&names, &count, folder));
    for (int i = 0; i < count && rc == OK; i++) {
        const int role = role_of(names[i]);
        char *path = mem_format("%s/%s", folder, names[i]), *bytes = NULL;
        struct hash hash;
        size_t n;
        if (role < 0 || path_is_dir(path)) {
            if (left && role) add_name(left, names[i]);
        } else if (role > 0 && (rc = hash_file(&hash, &bytes, &n, path)) == OK) {
            hash_hex(hex, hash);
            /* JSON has no names that are not UTF-8. */
            if (json_object_set_new(*files, names[i], json_string(hex)) != 0 && left)
                add_name(left, names[i]);
        }
        mem_free(bytes);
        mem_free(path);
    }
out:
    mem_free(names);
    return rc;
}

void hf_files_only(json_t *files, int roles)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(files, next, name, value)
        if (!(role_of(name) & roles)) json_object_del(files, name);
}

int hf_files_copy(const json_t *files, const char *from, const char *to)
{
    const char *name;
    json_t *value;
    int rc = OK;

    json_object_foreach((json_t *)files, name, value) {
        char *source = mem_format("%s/%s", from, name), *path = mem_format("%s/%s", to, name);
        char *bytes = NULL;
        struct hash is, was = { 0, 0 };
        size_t n;
        rc = hash_file(&is, &bytes, &n, source);
        if (rc == OK && (hash_parse(&was, json_string_value(value)) != OK || !hash_equal(is, was)))
            rc = fail(ERR_DATA, "%s: is not the file that came with the model: its hash is another",
                      source);
        if (rc == OK) rc = file_replace(path, bytes, n);
        mem_free(bytes);
        mem_free(source);
        mem_free(path);
        if (rc != OK) break;
    }
    return rc;
}

/* Another process may have written the same folder a moment ago. */
static int is_there(const json_t *files, const char *folder)
{
    const char *name;
    json_t *value, *have = NULL;
    int same = path_is_dir(folder) && hf_files_find(&have, NULL, folder) == OK;

    json_object_foreach((json_t *)files, name, value)
        same = same && json_equal(value, json_object_get(have, name));
    json_decref(have);
    return same;
}

int hf_files_keep(json_t **note, const json_t *files, const char *dir, const char *folder)
{
    char *text = json_dumps(files, JSON_COMPACT | JSON_SORT_KEYS), *path, hex[HASH_HEX];
    struct new_folder f;
    int rc = OK;

    *note = NULL;
    check(text);
    hash_hex(hex, hash_bytes(text, strlen(text)));
    path = mem_format("%s/hf-%.16s", dir, hex);
    free(text);
    if (!json_object_size(files)) goto out;
    if (!is_there(files, path)) {
        TRY(new_folder_begin(&f, path));
        TRY(new_folder_end(&f, hf_files_copy(files, folder, f.dir)));
    }
    *note = json_pack("{s:s, s:O}", "folder", strrchr(path, '/') + 1, "files", files);
out:
    mem_free(path);
    return rc;
}

int hf_files_of(const json_t **files, char **folder, const json_t *info, const char *path)
{
    const json_t *note = json_object_get(info, HF_FILES);
    const char *name = json_string_value(json_object_get(note, "folder")), *key;
    json_t *value;
    int good = name && !strncmp(name, "hf-", 3) && !strchr(name, '/');

    *files = NULL;
    *folder = NULL;
    if (!note) return OK;
    json_object_foreach(json_object_get(note, "files"), key, value)
        good = good && role_of(key) > 0 && !strchr(key, '/') && json_is_string(value);
    if (!good) return fail(ERR_DATA, "%s: %s in its info is damaged", path, HF_FILES);
    *files = json_object_get(note, "files");
    *folder = mem_format("%s/../%s", path, name);
    return OK;
}
