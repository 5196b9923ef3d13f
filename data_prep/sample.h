/* SPDX-License-Identifier: Apache-2.0 */
/* sample.h -- texts to train a tokenizer from: all of them, or if that is too much, a random part
 * that depends only on the texts.  All functions are local. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stdint.h>

#define SAMPLE_BYTES ((int64_t)128 << 20)

struct sample;

struct sample *sample_new(void);
void sample_free(struct sample *s);

/* Add a text of n bytes.  *text becomes the sample's, and is set to NULL, if it is kept. */
void sample_add(struct sample *s, char **text, int64_t n);

/* The kept texts one after another, as tokenizer_train() asks for them; NULL after the last. */
const char *sample_next(void *s, int64_t *n);

int64_t sample_bytes(const struct sample *s);  /* kept           */
int64_t sample_seen(const struct sample *s);   /* of all of them */

#endif
