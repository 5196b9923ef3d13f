/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/token_megatron.h"

#include <string.h>

#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/base/status.h"

#define ENTRIES 4096  /* of a list, read at a time */

static const char *const codes[] = {  /* 6 and 7 are floating-point numbers */
    NULL, "uint8", "int8", "int16", "int32", "int64", NULL, NULL, "uint16",
};

static int64_t lengths_at(void) { return MEGATRON_HEAD; }
static int64_t pointers_at(const struct token_file *f) { return MEGATRON_HEAD + 4 * f->sequences; }
static int64_t documents_at(const struct token_file *f)
{
    return pointers_at(f) + 8 * f->sequences;
}

static int read_head(struct token_file *f)
{
    unsigned char p[MEGATRON_HEAD];
    uint64_t s, d;
    int rc = OK;

    if (f->index_size < MEGATRON_HEAD)
        TRY(fail(ERR_DATA, "%s: %lld bytes; the header of a Megatron index has %d", f->index_path,
                 (long long)f->index_size, MEGATRON_HEAD));
    TRY(file_read_at(f->index_fd, p, sizeof p, 0, f->index_path));
    if (memcmp(p, "MMIDIDX\0\0", 9) != 0)
        TRY(fail(ERR_DATA, "%s: magic: does not begin as a Megatron index does (MMIDIDX)",
                 f->index_path));
    if (get_u64(p + 9) != 1)
        TRY(fail(ERR_DATA, "%s: version: %llu, expected 1", f->index_path,
                 (unsigned long long)get_u64(p + 9)));
    if (p[17] >= sizeof codes / sizeof *codes || !codes[p[17]])
        TRY(fail(ERR_DATA, "%s: type of the ids: code %d, expected 1 to 5 or 8 (whole numbers)",
                 f->index_path, p[17]));
    f->type = token_type(codes[p[17]]);
    s = get_u64(p + 18);
    d = get_u64(p + 26);
    if (s < 1 || s > (uint64_t)f->index_size / 12)
        TRY(fail(ERR_DATA, "%s: number of sequences: %llu do not fit into %lld bytes, or there are "
                 "none", f->index_path, (unsigned long long)s, (long long)f->index_size));
    if (d < 2 || d > (uint64_t)f->index_size / 8)
        TRY(fail(ERR_DATA, "%s: number of documents: %llu do not fit into %lld bytes, or there are "
                 "none", f->index_path, (unsigned long long)d, (long long)f->index_size));
    f->sequences = (int64_t)s;
    f->documents = (int64_t)d - 1;
out:
    return rc;
}

static int check_size(const struct token_file *f)
{
    const int64_t size = documents_at(f) + 8 * (f->documents + 1);

    if (f->index_size == size) return OK;
    if (f->index_size == size + f->sequences)
        return fail(ERR_DATA, "%s: has a mode for each sequence, as multimodal data do; only "
                    "tokens of text are read", f->index_path);
    return fail(ERR_DATA, "%s: %lld bytes, but %lld sequences and %lld documents take %lld: cut, "
                "or damaged", f->index_path, (long long)f->index_size, (long long)f->sequences,
                (long long)f->documents, (long long)size);
}

/* Lengths and pointers agree with each other and with the size of X.bin. */
static int check_sequences(struct token_file *f)
{
    unsigned char length[4 * ENTRIES], pointer[8 * ENTRIES];
    int64_t at = 0;
    int rc = OK;

    for (int64_t i = 0, n; i < f->sequences; i += n) {
        n = f->sequences - i < ENTRIES ? f->sequences - i : ENTRIES;
        TRY(file_read_at(f->index_fd, length, (size_t)(4 * n), lengths_at() + 4 * i,
                         f->index_path));
        TRY(file_read_at(f->index_fd, pointer, (size_t)(8 * n), pointers_at(f) + 8 * i,
                         f->index_path));
        for (int64_t k = 0; k < n; k++) {
            const int32_t ids = (int32_t)get_u32(length + 4 * k);
            if (ids < 0 || ids > (f->size - at) / f->type->bytes)
                TRY(fail(ERR_DATA, "%s: length of sequence %lld: %d ids of type %s, but %s has "
                         "only %lld bytes left", f->index_path, (long long)(i + k), ids,
                         f->type->name, f->path, (long long)(f->size - at)));
            if (get_u64(pointer + 8 * k) != (uint64_t)at)
                TRY(fail(ERR_DATA, "%s: pointer of sequence %lld: %llu, but those before it end at "
                         "byte %lld", f->index_path, (long long)(i + k),
                         (unsigned long long)get_u64(pointer + 8 * k), (long long)at));
            at += (int64_t)ids * f->type->bytes;
        }
    }
    if (at != f->size)
        TRY(fail(ERR_DATA, "%s: its sequences have %lld bytes, but %s has %lld", f->index_path,
                 (long long)at, f->path, (long long)f->size));
    f->tokens = at / f->type->bytes;
out:
    return rc;
}

static int check_documents(const struct token_file *f)
{
    unsigned char p[8 * ENTRIES];
    uint64_t before = 0;
    int rc = OK;

    for (int64_t i = 0, n; i <= f->documents; i += n) {
        n = f->documents + 1 - i < ENTRIES ? f->documents + 1 - i : ENTRIES;
        TRY(file_read_at(f->index_fd, p, (size_t)(8 * n), documents_at(f) + 8 * i, f->index_path));
        for (int64_t k = 0; k < n; k++) {
            const uint64_t x = get_u64(p + 8 * k);
            const uint64_t last = (uint64_t)f->sequences;
            if (x < before || x > last || (i + k == 0 && x != 0) ||
                (i + k == f->documents && x != last))
                TRY(fail(ERR_DATA, "%s: document index: entry %lld is %llu; the entries must grow "
                         "from 0 to the number of sequences, %lld", f->index_path,
                         (long long)(i + k), (unsigned long long)x, (long long)f->sequences));
            before = x;
        }
    }
out:
    return rc;
}

int token_megatron_open(struct token_file *f)
{
    int rc = OK;

    f->form = TOKENS_MEGATRON;
    TRY(read_head(f));
    TRY(check_size(f));
    TRY(check_sequences(f));
    TRY(check_documents(f));
out:
    return rc;
}

int token_megatron_end(const struct token_file *f, int64_t number, int64_t *end)
{
    unsigned char p[8];
    int64_t sequence;
    int rc = OK;

    check(number >= 0 && number < f->documents);
    TRY(file_read_at(f->index_fd, p, 8, documents_at(f) + 8 * (number + 1), f->index_path));
    sequence = (int64_t)get_u64(p);
    *end = f->tokens;
    if (sequence == f->sequences) goto out;
    TRY(file_read_at(f->index_fd, p, 8, pointers_at(f) + 8 * sequence, f->index_path));
    *end = (int64_t)get_u64(p) / f->type->bytes;
out:
    return rc;
}

void token_megatron_head(unsigned char out[MEGATRON_HEAD], const struct token_type *type,
                         int64_t n)
{
    int code = 0;

    while (!codes[code] || strcmp(codes[code], type->name) != 0) code++;
    memcpy(out, "MMIDIDX\0\0", 9);
    put_u64(out + 9, 1);
    out[17] = (unsigned char)code;
    put_u64(out + 18, (uint64_t)n);
    put_u64(out + 26, (uint64_t)n + 1);
}
