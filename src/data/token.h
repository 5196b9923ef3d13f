/* token.h -- tokenizers behind one interface.
 *
 *   bytes           256 values of a byte, then <s> = 256, </s> = 257; V = 258
 *   sentencepiece   a trained model file (Llama's tokenizer.model is one)
 *
 * A document becomes <s> text </s>.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdint.h>

#include "src/base/hash.h"

struct tokenizer;

/* kind "bytes" (path NULL) or "sentencepiece" (path of the model). */
int tokenizer_open(struct tokenizer **out, const char *kind, const char *path);
void tokenizer_close(struct tokenizer *t);

int tokenizer_vocab(const struct tokenizer *t);
int tokenizer_bos(const struct tokenizer *t);
int tokenizer_eos(const struct tokenizer *t);
struct hash tokenizer_hash(const struct tokenizer *t);  /* of the model file; of the name for bytes */

/* Text of n bytes -> ids, without <s> and </s>; *ids is a counted block.
 * Thread-safe. */
int tokenizer_encode(const struct tokenizer *t, const char *text, int64_t n, int32_t **ids,
                     int64_t *count);

/* ids -> text, a counted string with a zero behind it; <s> and </s> vanish. */
int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int64_t count, char **text,
                     int64_t *n);

/* Train a SentencePiece BPE model of `vocab` pieces with byte fallback, identity
 * normalisation and newline as a symbol of its own, from the file `input` (UTF-8,
 * one text per line or not), into `model_path`. */
int tokenizer_train(const char *input, const char *model_path, int vocab, int threads);

#endif
