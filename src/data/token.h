/* SPDX-License-Identifier: Apache-2.0 */
/* token.h -- one interface for all tokenizers.
 *
 *   bytes           256 values of a byte, then <s> = 256, </s> = 257; V = 258
 *   sentencepiece   a trained model file (Llama's tokenizer.model is one)
 *   ids-V-BOS-EOS   of data that came as ids: no text, only the size of the vocabulary and two ids
 *
 * A document becomes <s> text </s>.
 *
 * Text is encoded in chunks, which bounds memory and lets threads share one
 * long document.  Chunks end at places where a cut does not change the ids
 * (spm_model.h); only where 256 KiB of text have no such place, a cut is made
 * anyway.  A model whose normalisation looks at more than one character gets
 * whole documents.  Inside a chunk, each text between two such places is looked
 * up among recent ones (memo.h); the library encodes it only if it is not there.
 *
 * Ids are those of the library with one exception: U+2581, which stands for a space in pieces.  The
 * library turns it into the piece of a space, so that decoding would give a space.  Where a model
 * is otherwise lossless (spm_model.h) its three bytes are written instead, and decoding gives it
 * back.
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

/* The kind of ids without text, in `out`: vocab at most TOKENIZER_MAX_IDS, bos and eos below it. */
#define TOKENIZER_MAX_IDS 100000000
#define TOKENIZER_IDS_KIND 40  /* the longest that is allowed takes 32, as in INDEX */
const char *tokenizer_ids_kind(char out[TOKENIZER_IDS_KIND], int vocab, int bos, int eos);

/* Can it encode and decode?  Else both are ERR_CONFIG, reported. */
int tokenizer_has_text(const struct tokenizer *t);

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

/* Text that becomes <unk>, as characters do that a model without byte pieces does not know:
 * decoding does not give it back, and a prediction of <unk> is no prediction of the text. */
struct hidden { int64_t tokens, bytes, at, n; };  /* [at, at + n) is the first such part */

/* What of text [from, to), whose ids are given, is hidden; no tokens: nothing.  Thread-safe. */
int tokenizer_hidden(const struct tokenizer *t, const char *text, int64_t from, int64_t to,
                     const int32_t *ids, int64_t count, struct hidden *out);

/* The beginning of the part at h->at for a message: whole characters, control characters as '?'. */
#define HIDDEN_TEXT 44
const char *hidden_text(char out[HIDDEN_TEXT], const char *text, const struct hidden *h);

/* ids -> text, a counted string that ends with a zero; <s> and </s> are left out.  The
 * result need not be valid UTF-8: ids may stand for single bytes.  Ids outside
 * the vocabulary are ERR_DATA. */
int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int64_t count, char **text,
                     int64_t *n);

/* The same for ids that continue a text.  Some models put a space before every text; the
 * function above removes it, this one keeps it, since here it is part of the text. */
int tokenizer_decode_more(const struct tokenizer *t, const int32_t *ids, int64_t count,
                          char **text, int64_t *n);

/* Train a SentencePiece BPE model of `vocab` pieces with byte fallback, identity
 * normalisation and newline as a symbol of its own, so that decoding gives back
 * every byte.  The same text gives the same model.
 *
 * next   gives one piece of text after another, NULL after the last; each line is
 *        a training sentence, and lines longer than 64 KiB are cut
 * model  [out] counted block, `n` bytes
 */
int tokenizer_train(char **model, size_t *n, int vocab,
                    const char *(*next)(void *arg, int64_t *n), void *arg);

#endif
