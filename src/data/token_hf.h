/* SPDX-License-Identifier: Apache-2.0 */
/* token_hf.h -- a tokenizer as the files of a Hugging Face folder.
 *
 *     tokenizer.json           for the `tokenizers` library (spm_json.h)
 *     tokenizer_config.json    the class, the special tokens, and for programs that read
 *                              tokenizer.model: legacy, add_prefix_space
 *     special_tokens_map.json  the special tokens, for old programs
 *
 * The class is PreTrainedTokenizerFast, which uses tokenizer.json unchanged in transformers 4, 5.
 * LlamaTokenizer does not: version 4 builds tokenizer.json anew from tokenizer.model, and version 5
 * replaces the steps before and after the model, which changes ids (2,169 of 3,049 texts).
 */
#ifndef TOKEN_HF_H
#define TOKEN_HF_H

#include <jansson.h>

struct tokenizer;

struct token_hf {
    json_t *tokenizer;         /* NULL: it cannot be written; the class is LlamaTokenizer then   */
    json_t *config, *special;  /* tokenizer_config.json, special_tokens_map.json                 */
    char   *doubt;             /* as of spm_json()                                                */
};

/* Make the files of a tokenizer; release them with token_hf_done().
 *
 * Local.
 *
 * context  tokens that the model was trained on, 0 if not known
 */
void token_hf_make(struct token_hf *out, const struct tokenizer *t, int context);
void token_hf_done(struct token_hf *files);

/* The kind of a tokenizer that has no file ("bytes"), as tokenizer_config.json of an export names
 * it; NULL if it names none.  Borrowed from config. */
const char *token_hf_kind(const json_t *config);

#endif
