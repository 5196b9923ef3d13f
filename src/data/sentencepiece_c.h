/* SPDX-License-Identifier: Apache-2.0 */
/* sentencepiece_c.h -- the few calls of the SentencePiece library that we need,
 * for C.  The library speaks C++ only; sentencepiece.cc is all there is of it. */
#ifndef SENTENCEPIECE_C_H
#define SENTENCEPIECE_C_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct spm;

#define SPM_WHY 256  /* room for a reason */

/* A processor for the model in `bytes`; NULL with a reason in why. */
struct spm *spm_new(const void *bytes, size_t n, char why[SPM_WHY]);
void spm_free(struct spm *s);

int spm_vocab(const struct spm *s);
int spm_bos(const struct spm *s);  /* -1: the model has none */
int spm_eos(const struct spm *s);
int spm_pad(const struct spm *s);
int spm_unk(const struct spm *s);

/* Encode n bytes of text and hand the ids to take() once.  Thread-safe.
 * returns 0, or -1 with a reason */
int spm_encode(const struct spm *s, const char *text, size_t n,
               void (*take)(void *arg, const int *ids, size_t count), void *arg,
               char why[SPM_WHY]);

/* Tell take() of every part of the text, bytes [from, to), that becomes <unk>.  Thread-safe.
 * returns 0, or -1 with a reason */
int spm_unknown(const struct spm *s, const char *text, size_t n,
                void (*take)(void *arg, size_t from, size_t to), void *arg, char why[SPM_WHY]);

/* Train with `options`, pairs of name and value that a NULL ends.  next() gives
 * one sentence after another, NULL after the last; take() gets the model. */
int spm_train(const char *const *options,
              const char *(*next)(void *arg, size_t *n), void *next_arg,
              void (*take)(void *arg, const void *model, size_t n), void *take_arg,
              char why[SPM_WHY]);

#ifdef __cplusplus
}
#endif

#endif
