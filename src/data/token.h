/* token.h -- tokenizers behind one interface.
 *
 *   bytes           256 values of a byte, then <s> = 256, </s> = 257; V = 258
 *   sentencepiece   a trained model file (Llama's tokenizer.model is one)
 *
 * A document becomes <s> text </s>.
 *
 * Text is encoded in chunks, which bounds memory and lets threads share one
 * long document.  Chunks end where the model can't tell (spm_model.h); only
 * where a quarter of a mebibyte has no such place, the cut is by force, and a
 * model whose normalisation looks further than one character takes documents whole.
 * Inside a chunk every text between two such places is looked up among those of late
 * (memo.h), and goes to the library only if it is not there.
 *
 * Ids are the library's with one exception: U+2581, the sign that stands for a space in pieces.
 * The library makes the piece of a space of it, so that decoding gives a space.  Where a model is
 * otherwise lossless (spm_model.h) we write its three bytes, and decoding gives it back.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/hash.h"

#define TOKENIZER_MAX_BYTES ((size_t)16 << 20)  /* of a model file */
#define TOKENIZER_MAX_WHOLE ((int64_t)16 << 20) /* of a text that can't be cut */

struct tokenizer;
struct spm_model;

/* kind "bytes" (path NULL) or "sentencepiece" (path of the model).
 * returns  OK; ERR_MISSING; ERR_DATA for a damaged model; ERR_CONFIG for a
 *          model without <s> or </s>, or an unknown kind */
int tokenizer_open(struct tokenizer **out, const char *kind, const char *path);
void tokenizer_close(struct tokenizer *t);

const char *tokenizer_kind(const struct tokenizer *t);
int tokenizer_vocab(const struct tokenizer *t);
int tokenizer_bos(const struct tokenizer *t);
int tokenizer_eos(const struct tokenizer *t);
int tokenizer_pad(const struct tokenizer *t);  /* -1: there is none */
int tokenizer_unk(const struct tokenizer *t);  /* -1: there is none */
struct hash tokenizer_hash(const struct tokenizer *t);  /* of the file; of the name for bytes */

/* The SentencePiece model and the bytes of its file; NULL for bytes. */
const struct spm_model *tokenizer_model(const struct tokenizer *t);
const char *tokenizer_file(const struct tokenizer *t, size_t *n);

/* Text of n bytes -> ids, without <s> and </s>; *ids is a counted block.
 * Thread-safe. */
int tokenizer_encode(const struct tokenizer *t, const char *text, int64_t n, int32_t **ids,
                     int64_t *count);

/* Where the chunk of a document that begins at `from` ends: the ids of a document
 * are the ids of its chunks one after another.  text is valid UTF-8. */
int64_t tokenizer_chunk(const struct tokenizer *t, const char *text, int64_t n, int64_t from);

/* The ids of one chunk [from, to) of a document.  Thread-safe. */
int tokenizer_encode_chunk(const struct tokenizer *t, const char *text, int64_t from, int64_t to,
                           int32_t **ids, int64_t *count);

/* Text that becomes <unk>, which a model without a piece for every byte puts for characters that
 * it doesn't know: decoding does not give it back, and predicting <unk> says nothing about it. */
struct hidden { int64_t tokens, bytes, at, n; };  /* [at, at + n) is the first such part */

/* What of text [from, to), whose ids are given, is hidden; no tokens: nothing.  Thread-safe. */
int tokenizer_hidden(const struct tokenizer *t, const char *text, int64_t from, int64_t to,
                     const int32_t *ids, int64_t count, struct hidden *out);

/* The beginning of the part at h->at for a message: whole characters, control characters as '?'. */
#define HIDDEN_TEXT 44
const char *hidden_text(char out[HIDDEN_TEXT], const char *text, const struct hidden *h);

/* ids -> text, a counted string with a zero behind it; <s> and </s> vanish.  The
 * result need not be valid UTF-8: ids may stand for single bytes.  Ids outside
 * the vocabulary are ERR_DATA. */
int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int64_t count, char **text,
                     int64_t *n);

/* The same for ids that continue a text: a model that puts a space before every
 * text loses it again in the function above, and here it is text. */
int tokenizer_decode_more(const struct tokenizer *t, const int32_t *ids, int64_t count,
                          char **text, int64_t *n);

/* Train a SentencePiece BPE model of `vocab` pieces with byte fallback, identity
 * normalisation and newline as a symbol of its own, so that decoding gives back
 * every byte.  The same text gives the same model.
 *
 * next   gives one piece of text after another, NULL behind the last; lines are
 *        learned from one by one, and what is longer than 64 KiB is cut
 * model  [out] counted block, `n` bytes
 */
int tokenizer_train(char **model, size_t *n, int vocab,
                    const char *(*next)(void *arg, int64_t *n), void *arg);

#endif
