/* SPDX-License-Identifier: Apache-2.0 */
/* token_export.h -- the ids of a data set as a file that other programs read: tokens.npy of NumPy,
 * or tokens.bin and tokens.idx of Megatron-LM. */
#ifndef TOKEN_EXPORT_H
#define TOKEN_EXPORT_H

struct dataset;

/* Write DIR/tokens.npy: one 1-D array, uint16 or, above 65,536 ids, int32.  Local.
 * returns  OK; ERR_DATA, ERR_IO, reported */
int token_export_npy(struct dataset *d, const char *dir);

/* Write DIR/tokens.bin and DIR/tokens.idx: each document is one sequence; uint16 below 65,500 ids
 * as Megatron chooses, else int32.  Local.
 * returns  OK; ERR_DATA, also for a document of more than 2^31 - 1 tokens, ERR_IO, reported
 * cost     three readings of the lists of documents; memory for one shard's list */
int token_export_megatron(struct dataset *d, const char *dir);

#endif
