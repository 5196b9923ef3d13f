/* SPDX-License-Identifier: Apache-2.0 */
/* spm_json.h -- a SentencePiece model as tokenizer.json of the `tokenizers` library.
 *
 * That library has the same two algorithms (byte-pair encoding with a list of merges, unigram with
 * scores) and a set of small steps before and after them.  Here the steps are chosen so that every
 * text gets the ids that tokenizer_encode() gives:
 *
 *     control symbols   are added tokens, so that they have ids and vanish in decoding
 *     space             becomes U+2581.  In a lossless model (spm_model.h) the pieces have a plain
 *                       space instead, so that U+2581 itself becomes three bytes
 *     dummy prefix      one space is put before the whole text, not before every part of it
 *     merges            are all ways to join two pieces to a third, best score first
 */
#ifndef SPM_JSON_H
#define SPM_JSON_H

#include <jansson.h>

#include "src/data/spm_model.h"

/* Make tokenizer.json of a model, without the post-processor.
 *
 * Local.
 *
 * doubt    [out] NULL if the ids are equal for every text; else a counted string that names the
 *          texts for which they may differ, or, if the result is NULL, the reason
 * returns  the caller's reference; NULL if the library cannot do what the model does
 */
json_t *spm_json(const struct spm_model *m, char **doubt);

/* Make one entry of "added_tokens", without its id. */
json_t *spm_json_added(const char *text, size_t n, int special);

#endif
