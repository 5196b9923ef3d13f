/* SPDX-License-Identifier: Apache-2.0 */
/* token_file.h -- files of token ids that other programs made, as one array of ids.
 *
 *     raw       X.bin          ids and nothing else; nanoGPT's train.bin has uint16
 *     llm.c     X.bin          256 int32 (magic, version, number of tokens, zeros), then ids
 *     npy       X.npy          NumPy's header (token_npy.h), then ids; 1-D or 2-D
 *     Megatron  X.bin, X.idx   ids; their type, sequences and documents (token_megatron.h)
 *
 * All numbers are little-endian.  Headers are foreign: a wrong one is an error that names the file
 * and the field, and sizes are compared with the file's before they are used.  Memory does not
 * depend on the size of the files.  All functions are Local.
 */
#ifndef TOKEN_FILE_H
#define TOKEN_FILE_H

#include <stdint.h>

#include "data_prep/token_type.h"

enum token_form { TOKENS_RAW, TOKENS_LLMC, TOKENS_NPY, TOKENS_MEGATRON };

struct token_file {
    enum token_form          form;
    const struct token_type *type;
    char                    *path, *index_path;  /* of the ids; X.idx, else NULL         */
    int                      fd, index_fd;
    int64_t                  size, index_size;   /* bytes                                */
    int64_t                  at, tokens;         /* byte of the first id; how many       */
    int64_t                  row;                /* ids of a row of a 2-D array, else 0  */
    int64_t                  sequences, documents;  /* that X.idx lists                  */
};

/* Open and check a file.
 *
 * path     X.bin, X.npy, X.idx, or X of Megatron's pair
 * type     of a raw file, whatever it begins with; NULL: find out what it is
 * returns  OK; ERR_MISSING, ERR_DATA or ERR_IO, reported.  f is to be released in any case.
 * cost     one reading of X.idx */
int token_file_open(struct token_file *f, const char *path, const struct token_type *type);
void token_file_close(struct token_file *f);

/* Read ids [from, from + n).  returns OK; ERR_DATA, reported, for an id that is not in [0, vocab);
 * ERR_IO */
int token_file_read(const struct token_file *f, int32_t *ids, int64_t from, int64_t n, int vocab);

/* "npy, 2-D, uint16" for messages. */
#define TOKEN_FILE_TEXT 64
const char *token_file_text(char out[TOKEN_FILE_TEXT], const struct token_file *f);

#endif
