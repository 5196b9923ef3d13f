/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.h -- named arrays as files know them: element type, shape, name.
 *
 * Shared by checkpoints and safetensors, so that both have the same limits:
 * names of at most 255 bytes of UTF-8 without control characters, at most 8
 * dimensions, at most 65,536 tensors a file, and sizes that fit 63 bits.
 */
#ifndef TENSOR_H
#define TENSOR_H

#include <jansson.h>
#include <stdint.h>

#include "src/base/ckpt_limits.h"
#include "src/base/real.h"

enum dtype { DT_F32, DT_F64, DT_I32, DT_I64, DT_U8, DT_BF16, DT_F16, DT_COUNT };
int dtype_bytes(enum dtype t);
const char *dtype_name(enum dtype t);           /* "F32", ... as in safetensors */
int dtype_parse(enum dtype *t, const char *name);  /* OK or ERR_DATA, silent      */

#ifdef TTT_F64
#define DT_REAL DT_F64
#else
#define DT_REAL DT_F32
#endif

#define TENSOR_NAME 256
#define TENSOR_DIMS 8

/* A named array.  Borrowed data; row-major, little-endian. */
struct tensor {
    char       name[TENSOR_NAME];
    enum dtype dtype;
    int        ndim;
    int64_t    shape[TENSOR_DIMS];
    void      *data;
};
int64_t tensor_n(const struct tensor *t);
int64_t tensor_bytes(const struct tensor *t);
int tensor_same_shape(const struct tensor *a, const struct tensor *b);

/* "[2, 128, 64]" */
#define TENSOR_SHAPE_TEXT 192
const char *tensor_shape_text(char text[TENSOR_SHAPE_TEXT], int ndim, const int64_t *shape);

/* The same of where element i is: "[1, 17, 3]". */
const char *tensor_place_text(char text[TENSOR_SHAPE_TEXT], int ndim, const int64_t *shape,
                              int64_t i);

/* Name, dtype ("F32") and shape ([2,128]) as JSON -> t, within the limits above.
 * returns NULL, or what is wrong with them */
const char *tensor_parse(struct tensor *t, const char *name, const json_t *dtype,
                         const json_t *shape);

/* dst[0, n) = src[0, n), n elements of type `from`.  Floating-point types for the first
 * two, integers for the third.  returns OK; ERR_DATA, silent, if the type is not one
 * of these, or a value does not fit */
int convert_to_real(real *dst, const void *src, enum dtype from, int64_t n);
int convert_to_f64(double *dst, const void *src, enum dtype from, int64_t n);
int convert_to_i32(int32_t *dst, const void *src, enum dtype from, int64_t n);

/* dst[0, n), of type `to` (F32, F64, BF16), = reals, rounded to nearest, ties to even.  ERR_DATA,
 * silent, for another type */
int convert_reals(void *dst, enum dtype to, const real *src, int64_t n);

#endif
