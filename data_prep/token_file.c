/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/token_file.h"

#include <stdio.h>
#include <string.h>

#include "data_prep/token_megatron.h"
#include "data_prep/token_npy.h"
#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define LLMC_BYTES 1024      /* of the header */
#define LLMC_EVAL 20240522   /* magic of multiple-choice questions, which are not a text */
#define READ_BYTES 65536     /* at a time, a multiple of every width */

static const struct { uint32_t magic, version; const char *type; } llmc[] = {
    { 20240520, 1, "uint16" },  /* GPT-2's ids   */
    { 20240801, 7, "uint32" },  /* Llama-3's ids */
};

static int ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), k = strlen(end);
    return n > k && !strcmp(text + n - k, end);
}

static int open_raw(struct token_file *f, const struct token_type *type)
{
    f->form = TOKENS_RAW;
    f->type = type;
    f->tokens = f->size / type->bytes;
    if (f->size % type->bytes == 0) return OK;
    return fail(ERR_DATA, "%s: %lld bytes are no whole number of %s ids: name their type with "
                "--dtype, if the file holds nothing but ids", f->path, (long long)f->size,
                type->name);
}

static int open_llmc(struct token_file *f, const unsigned char *head, int i)
{
    const uint32_t version = get_u32(head + 4), count = get_u32(head + 8);

    f->form = TOKENS_LLMC;
    f->type = token_type(llmc[i].type);
    f->at = LLMC_BYTES;
    f->tokens = count;
    if (version != llmc[i].version)
        return fail(ERR_DATA, "%s: header of llm.c: version %u, expected %u for magic %u",
                    f->path, version, llmc[i].version, llmc[i].magic);
    if (f->size == f->at + f->tokens * f->type->bytes) return OK;
    return fail(ERR_DATA, "%s: header of llm.c: number of tokens %u of type %s and the header "
                "take %lld bytes, but the file has %lld", f->path, count, f->type->name,
                (long long)(f->at + f->tokens * f->type->bytes), (long long)f->size);
}

/* A .bin without X.idx: its first number tells whether it has a header. */
static int open_bin(struct token_file *f)
{
    unsigned char head[12] = { 0 };
    int rc = OK;

    if (f->size >= LLMC_BYTES) TRY(file_read_at(f->fd, head, sizeof head, 0, f->path));
    if (get_u32(head) == LLMC_EVAL)
        TRY(fail(ERR_DATA, "%s: holds llm.c's multiple-choice questions (magic %d), which are not "
                 "a text", f->path, LLMC_EVAL));
    for (int i = 0; i < (int)(sizeof llmc / sizeof *llmc); i++)
        if (get_u32(head) == llmc[i].magic) return open_llmc(f, head, i);
    rc = open_raw(f, token_type("uint16"));
out:
    return rc;
}

/* The names of the file of ids and of X.idx, if there is one. */
static int find_names(struct token_file *f, const char *path)
{
    const int index = ends_with(path, ".idx"), bin = ends_with(path, ".bin");
    const int n = (int)strlen(path) - (index || bin ? 4 : 0);
    char *pair = mem_format("%.*s.idx", n, path);

    if (index || (!ends_with(path, ".npy") && path_exists(pair) && (bin || !path_exists(path)))) {
        f->index_path = pair;
        f->path = mem_format("%.*s.bin", n, path);
        return OK;
    }
    mem_free(pair);
    f->path = mem_string(path);
    if (bin || ends_with(path, ".npy")) return OK;
    return path_exists(path)
        ? fail(ERR_CONFIG, "%s: expected a name that ends with .npy, .bin or .idx", path)
        : fail(ERR_MISSING, "%s: there is no such file, and no %s.idx of Megatron", path, path);
}

int token_file_open(struct token_file *f, const char *path, const struct token_type *type)
{
    int rc = OK;

    *f = (struct token_file){ .fd = -1, .index_fd = -1 };
    if (type) f->path = mem_string(path);
    else TRY(find_names(f, path));
    TRY(file_open(&f->fd, &f->size, f->path));
    if (f->index_path) TRY(file_open(&f->index_fd, &f->index_size, f->index_path));
    if (type) TRY(open_raw(f, type));
    else if (f->index_path) TRY(token_megatron_open(f));
    else if (ends_with(f->path, ".npy")) TRY(token_npy_open(f));
    else TRY(open_bin(f));
    if (f->tokens == 0) TRY(fail(ERR_DATA, "%s: holds no tokens", f->path));
out:
    return rc;
}

void token_file_close(struct token_file *f)
{
    file_close(f->fd);
    file_close(f->index_fd);
    mem_free(f->path);
    mem_free(f->index_path);
    *f = (struct token_file){ .fd = -1, .index_fd = -1 };
}

int token_file_read(const struct token_file *f, int32_t *ids, int64_t from, int64_t n, int vocab)
{
    const int w = f->type->bytes;
    unsigned char p[READ_BYTES];
    int rc = OK;

    check(from >= 0 && n >= 0 && from <= f->tokens - n);
    for (int64_t k; n > 0; from += k, ids += k, n -= k) {
        k = n < READ_BYTES / w ? n : READ_BYTES / w;
        TRY(file_read_at(f->fd, p, (size_t)(k * w), f->at + from * w, f->path));
        for (int64_t i = 0; i < k; i++) {
            const int64_t id = token_type_get(f->type, p + i * w);
            if (id < 0 || id >= vocab)
                TRY(fail(ERR_DATA, "%s: token %lld has the id %lld, but the vocabulary has 0 to "
                         "%d: is it the right tokenizer, --vocab or --dtype (read as %s)?", f->path,
                         (long long)(from + i), (long long)id, vocab - 1, f->type->name));
            ids[i] = (int32_t)id;
        }
    }
out:
    return rc;
}

const char *token_file_text(char out[TOKEN_FILE_TEXT], const struct token_file *f)
{
    static const char *const forms[] = { "raw", "llm.c", "npy", "Megatron" };
    snprintf(out, TOKEN_FILE_TEXT, "%s%s, %s", forms[f->form], f->row ? ", 2-D" : "",
             f->type->name);
    return out;
}
