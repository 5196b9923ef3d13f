/* SPDX-License-Identifier: Apache-2.0 */
/* byte_set.h -- a small data set of bytes, always the same. */
#ifndef BYTE_SET_H
#define BYTE_SET_H

#include <stdint.h>

enum { BYTE_VOCAB = 258, BYTE_BOS = 256, BYTE_EOS = 257, BYTE_DOCUMENTS = 9 };

/* Nine documents of 100, 200 ... 900 letters, each between <s> and </s>, into a new folder.
 * returns its tokens */
int64_t byte_set_write(const char *folder);

#endif
