/* SPDX-License-Identifier: Apache-2.0 */
/* token_type.h -- how an id is stored in the files of other programs. */
#ifndef TOKEN_TYPE_H
#define TOKEN_TYPE_H

#include <stdint.h>

struct token_type { const char *name; int bytes, is_signed; };

/* By name, such as "uint16": whole numbers of 1, 2, 4 or 8 bytes; NULL if there is none.  Local. */
const struct token_type *token_type(const char *name);

/* The id at p; one above int64_t becomes -1, which is no id either.  Local. */
int64_t token_type_get(const struct token_type *t, const unsigned char *p);

#endif
