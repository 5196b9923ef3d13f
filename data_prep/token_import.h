/* SPDX-License-Identifier: Apache-2.0 */
/* token_import.h -- from files of token ids (token_file.h) to a data set.
 *
 * Ids are taken as they are: no <s> and no </s> is added.  Shards, INDEX, INPUTS and interruptions
 * are those of ttt prep (set.h, origin.h, earlier.h). */
#ifndef TOKEN_IMPORT_H
#define TOKEN_IMPORT_H

#include "data_prep/set.h"

struct token_type;

/* Where a document ends.  It never crosses files. */
enum token_ends {
    ENDS_FORM,   /* what the form of a file suggests: Megatron INDEX, llm.c BOS, others EOS */
    ENDS_EOS,    /* after each id that ends one                                             */
    ENDS_BOS,    /* before each id that begins one                                          */
    ENDS_INDEX,  /* where Megatron's index says                                             */
    ENDS_ROWS,   /* after each row of a 2-D array                                           */
    ENDS_FILE    /* with the file                                                           */
};

struct token_import {
    char          **inputs;
    int             inputs_n;
    const char     *out;         /* folder                                      */
    const char     *tokenizer;   /* "bytes" or a model's path; NULL: the kind below */
    const char     *ids_kind;    /* tokenizer_ids_kind()                        */
    const struct token_type *type;  /* of raw files; NULL: token_file_open() finds out */
    enum token_ends ends;
    int             restart, threads;
    struct set_cut  cut;
};

/* Make the data set, or resume where an earlier command was interrupted.  Local.
 * returns  OK, or the status of what is wrong, reported; 78 for another data set in the folder */
int token_import_run(const struct token_import *o);

/* "eos", "bos", ... as the command line spells it; NULL past the last. */
const char *token_ends_name(int i);

#endif
