/* words.h -- text to measure with where there is none. */
#ifndef WORDS_H
#define WORDS_H

#include <stdint.h>

/* Document `number` of about n bytes [in,out]: lines of 13 words that are made up, of 20,000 whose
 * frequencies fall as 1 / rank.  A counted string, the same for the same number. */
char *words_text(int64_t *n, int64_t number);

#endif
