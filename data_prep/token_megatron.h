/* SPDX-License-Identifier: Apache-2.0 */
/* token_megatron.h -- X.idx of Megatron-LM: which ids of X.bin are sequences and documents.
 *
 *     MMIDIDX\0\0   9 B   magic
 *     version       8 B   1
 *     type          1 B   1 uint8, 2 int8, 3 int16, 4 int32, 5 int64, 8 uint16
 *     S             8 B   number of sequences
 *     D + 1         8 B   number of documents, plus one
 *     lengths       4 B   ids of each sequence, S times
 *     pointers      8 B   byte of X.bin at which each sequence begins, S times
 *     documents     8 B   first sequence of each document and, at the end, S: D + 1 times
 *
 * Sequences stand in X.bin one after another.
 */
#ifndef TOKEN_MEGATRON_H
#define TOKEN_MEGATRON_H

#include <stdint.h>

#include "data_prep/token_file.h"

#define MEGATRON_HEAD 34

/* Read and check all of f->index_path.  Local.
 *
 * f        [in,out] fills in form, type, tokens, sequences, documents
 * returns  OK; ERR_DATA with the field, or ERR_IO, reported */
int token_megatron_open(struct token_file *f);

/* The id after the last one of document `number` < f->documents.  Local.  returns OK or ERR_IO */
int token_megatron_end(const struct token_file *f, int64_t number, int64_t *end);

/* The header of a file of n documents, each of which is one sequence.  Local. */
void token_megatron_head(unsigned char out[MEGATRON_HEAD], const struct token_type *type,
                         int64_t n);

#endif
