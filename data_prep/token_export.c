/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/token_export.h"

#include <stdint.h>

#include "data_prep/token_file.h"
#include "data_prep/token_megatron.h"
#include "data_prep/token_npy.h"
#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/data_index.h"
#include "src/data/dataset.h"

#define BLOCK 65536           /* ids in memory */
#define MEGATRON_UINT16 65500 /* sizes of a vocabulary below this get uint16 there */

/* A file that is written in small pieces. */
struct out { char *path; int fd; size_t n; unsigned char p[65536]; };

static int out_open(struct out **o, const char *dir, const char *name)
{
    struct out *x = mem_new(1, sizeof *x, "file to write");

    *o = x;
    x->path = mem_format("%s/%s", dir, name);
    x->fd = -1;
    return file_create(&x->fd, x->path);
}

static int flush(struct out *o)
{
    const int rc = file_write(o->fd, o->p, o->n, o->path);
    o->n = 0;
    return rc;
}

/* Append the low `width` bytes of a number. */
static int put(struct out *o, uint64_t x, int width)
{
    int rc = OK;

    if (o->n + 8 > sizeof o->p) rc = flush(o);
    put_u64(o->p + o->n, x);
    o->n += (size_t)width;
    return rc;
}

/* Finish a file if rc is OK; release it in any case. */
static int out_close(struct out *o, int rc)
{
    if (!o) return rc;
    if (rc == OK) rc = flush(o);
    if (rc == OK) rc = file_sync_close(o->fd, o->path);
    else file_close(o->fd);
    mem_free(o->path);
    mem_free(o);
    return rc;
}

static int put_ids(struct out *o, struct dataset *d, const struct token_type *type)
{
    int32_t *ids = mem_new(BLOCK, sizeof *ids, "token ids");
    int rc = OK;

    for (int64_t at = 0, n; at < dataset_tokens(d); at += n) {
        n = dataset_tokens(d) - at < BLOCK ? dataset_tokens(d) - at : BLOCK;
        TRY(dataset_read(d, ids, at, n));
        for (int64_t i = 0; i < n; i++) TRY(put(o, (uint64_t)ids[i], type->bytes));
    }
out:
    mem_free(ids);
    return rc;
}

int token_export_npy(struct dataset *d, const char *dir)
{
    const struct token_type *type = token_type(dataset_vocab(d) <= 65536 ? "uint16" : "int32");
    char head[TOKEN_NPY_HEAD];
    struct out *o = NULL;
    int rc = OK;

    TRY(out_open(&o, dir, "tokens.npy"));
    const int n = token_npy_head(head, type, dataset_tokens(d));
    TRY(file_write(o->fd, head, (size_t)n, o->path));
    TRY(put_ids(o, d, type));
out:
    return out_close(o, rc);
}

/* The lists of X.idx: lengths, pointers, first sequences. */
enum list { LIST_LENGTHS, LIST_POINTERS, LIST_DOCUMENTS, LISTS };

static int put_list(struct out *o, struct dataset *d, enum list list, int bytes)
{
    const struct data_index *x = dataset_index(d);
    int64_t first = 0, number = 0, *lengths = NULL;
    int rc = OK;

    for (int i = 0; i < x->shard_count; i++) {
        mem_free(lengths);
        TRY(dataset_lengths(d, &lengths, i));
        for (int64_t k = 0; k < x->shards[i].sums.documents; k++, number++) {
            if (lengths[k] > INT32_MAX)
                TRY(fail(ERR_DATA, "document %lld has %lld tokens, and a sequence of Megatron at "
                         "most %d: export to npy", (long long)number, (long long)lengths[k],
                         INT32_MAX));
            if (list == LIST_LENGTHS) TRY(put(o, (uint64_t)lengths[k], 4));
            if (list == LIST_POINTERS) TRY(put(o, (uint64_t)(first * bytes), 8));
            if (list == LIST_DOCUMENTS) TRY(put(o, (uint64_t)number, 8));
            first += lengths[k];
        }
    }
    if (list == LIST_DOCUMENTS) TRY(put(o, (uint64_t)number, 8));
out:
    mem_free(lengths);
    return rc;
}

int token_export_megatron(struct dataset *d, const char *dir)
{
    const struct token_type *type =
        token_type(dataset_vocab(d) < MEGATRON_UINT16 ? "uint16" : "int32");
    unsigned char head[MEGATRON_HEAD];
    struct out *bin = NULL, *idx = NULL;
    int rc = OK;

    TRY(out_open(&bin, dir, "tokens.bin"));
    TRY(put_ids(bin, d, type));
    TRY(out_open(&idx, dir, "tokens.idx"));
    token_megatron_head(head, type, dataset_documents(d));
    TRY(file_write(idx->fd, head, sizeof head, idx->path));
    for (int i = 0; i < LISTS; i++) TRY(put_list(idx, d, (enum list)i, type->bytes));
out:
    rc = out_close(bin, rc);
    return out_close(idx, rc);
}
