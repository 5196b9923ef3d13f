/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/status.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files are little-endian, and arrays go to them as they are in memory"
#endif

static const struct { const char *name; int bytes; } types[DT_COUNT] = {
    [DT_F32] = { "F32", 4 }, [DT_F64] = { "F64", 8 },   [DT_I32] = { "I32", 4 },
    [DT_I64] = { "I64", 8 }, [DT_U8] = { "U8", 1 },     [DT_BF16] = { "BF16", 2 },
    [DT_F16] = { "F16", 2 },
};

int dtype_bytes(enum dtype t) { return types[t].bytes; }
const char *dtype_name(enum dtype t) { return types[t].name; }

int dtype_parse(enum dtype *t, const char *name)
{
    for (int i = 0; i < DT_COUNT; i++) {
        if (strcmp(types[i].name, name) != 0) continue;
        *t = (enum dtype)i;
        return OK;
    }
    return ERR_DATA;
}

int64_t tensor_n(const struct tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= t->shape[i];
    return n;
}

int64_t tensor_bytes(const struct tensor *t) { return tensor_n(t) * dtype_bytes(t->dtype); }

int tensor_same_shape(const struct tensor *a, const struct tensor *b)
{
    return a->ndim == b->ndim &&
           memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0;
}

const char *tensor_place_text(char text[TENSOR_SHAPE_TEXT], int ndim, const int64_t *shape,
                              int64_t i)
{
    int64_t index[TENSOR_DIMS] = { 0 };
    for (int d = ndim - 1; d >= 0; d--) {
        index[d] = i % shape[d];
        i /= shape[d];
    }
    return tensor_shape_text(text, ndim, index);
}

const char *tensor_shape_text(char text[TENSOR_SHAPE_TEXT], int ndim, const int64_t *shape)
{
    int n = snprintf(text, TENSOR_SHAPE_TEXT, "[");
    for (int i = 0; i < ndim; i++)
        n += snprintf(text + n, (size_t)(TENSOR_SHAPE_TEXT - n), "%s%lld", i ? ", " : "",
                      (long long)shape[i]);
    snprintf(text + n, (size_t)(TENSOR_SHAPE_TEXT - n), "]");
    return text;
}

const char *tensor_parse(struct tensor *t, const char *name, const json_t *dtype,
                         const json_t *shape)
{
    /* The product of all dimensions that are not 0 stays far from overflow, so
     * that no order of multiplying can overflow. */
    int64_t bytes = 0;

    *t = (struct tensor){ 0 };
    if (!name || !*name || strlen(name) >= TENSOR_NAME) return "a name of 1 to 255 bytes is needed";
    for (const char *s = name; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127) return "its name has control characters";
    snprintf(t->name, sizeof t->name, "%s", name);
    if (!json_is_string(dtype) || dtype_parse(&t->dtype, json_string_value(dtype)) != OK)
        return "its dtype is not one of F32 F64 I32 I64 U8 BF16 F16";
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_DIMS)
        return "its shape is not a list of at most 8 numbers";
    bytes = dtype_bytes(t->dtype);
    t->ndim = (int)json_array_size(shape);
    for (int i = 0; i < t->ndim; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return "its shape has an entry that is not a number >= 0";
        t->shape[i] = json_integer_value(d);
        if (t->shape[i] && (__builtin_mul_overflow(bytes, t->shape[i], &bytes) ||
                            bytes > INT64_MAX / 4))
            return "its shape is too large";
    }
    return NULL;
}

static float from_bf16(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* IEEE half precision: 1 sign, 5 exponent, 10 mantissa bits.  Exact. */
static float from_f16(uint16_t h)
{
    const int e = h >> 10 & 31, m = h & 1023;
    float f;
    if (e == 31) {
        /* Infinity and NaN keep their payload: the mantissa moves up 13 bits. */
        const uint32_t bits = 0x7f800000u | (uint32_t)m << 13;
        memcpy(&f, &bits, sizeof f);
    } else {
        f = e ? ldexpf((float)(m + 1024), e - 25) : ldexpf((float)m, -24);
    }
    return h >> 15 ? -f : f;
}

#define CONVERT(name, out)                                                               \
    int name(out *dst, const void *src, enum dtype from, int64_t n)                      \
    {                                                                                    \
        const uint16_t *h = src;                                                         \
        switch (from) {                                                                  \
        case DT_F32:                                                                     \
            for (int64_t i = 0; i < n; i++) dst[i] = (out)((const float *)src)[i];       \
            return OK;                                                                   \
        case DT_F64:                                                                     \
            for (int64_t i = 0; i < n; i++) dst[i] = (out)((const double *)src)[i];      \
            return OK;                                                                   \
        case DT_BF16:                                                                    \
            for (int64_t i = 0; i < n; i++) dst[i] = (out)from_bf16(h[i]);               \
            return OK;                                                                   \
        case DT_F16:                                                                     \
            for (int64_t i = 0; i < n; i++) dst[i] = (out)from_f16(h[i]);                \
            return OK;                                                                   \
        default: return ERR_DATA;                                                        \
        }                                                                                \
    }

CONVERT(convert_to_real, real)
CONVERT(convert_to_f64, double)

int convert_to_i32(int32_t *dst, const void *src, enum dtype from, int64_t n)
{
    switch (from) {
    case DT_I32:
        memcpy(dst, src, (size_t)n * sizeof *dst);
        return OK;
    case DT_U8:
        for (int64_t i = 0; i < n; i++) dst[i] = ((const uint8_t *)src)[i];
        return OK;
    case DT_I64:
        for (int64_t i = 0; i < n; i++) {
            const int64_t x = ((const int64_t *)src)[i];
            if (x < INT32_MIN || x > INT32_MAX) return ERR_DATA;
            dst[i] = (int32_t)x;
        }
        return OK;
    default: return ERR_DATA;
    }
}

/* The upper half of a float, rounded; a NaN stays one. */
static uint16_t to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (f != f) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

int convert_reals(void *dst, enum dtype to, const real *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++) switch (to) {
        case DT_F32: ((float *)dst)[i] = (float)src[i]; break;
        case DT_F64: ((double *)dst)[i] = (double)src[i]; break;
        case DT_BF16: ((uint16_t *)dst)[i] = to_bf16((float)src[i]); break;
        default: return ERR_DATA;
        }
    return OK;
}
