/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/token_type.h"

#include <stddef.h>
#include <string.h>

#include "src/base/bytes.h"

static const struct token_type types[] = {
    { "uint8", 1, 0 }, { "int8", 1, 1 }, { "uint16", 2, 0 }, { "int16", 2, 1 },
    { "uint32", 4, 0 }, { "int32", 4, 1 }, { "uint64", 8, 0 }, { "int64", 8, 1 },
};

const struct token_type *token_type(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name)) return types + i;
    return NULL;
}

int64_t token_type_get(const struct token_type *t, const unsigned char *p)
{
    switch (t->bytes) {
    case 1: return t->is_signed ? (int8_t)p[0] : p[0];
    case 2: return t->is_signed ? (int64_t)(int16_t)get_u16(p) : get_u16(p);
    case 4: return t->is_signed ? (int64_t)(int32_t)get_u32(p) : (int64_t)get_u32(p);
    default: return !t->is_signed && get_u64(p) > INT64_MAX ? -1 : (int64_t)get_u64(p);
    }
}
