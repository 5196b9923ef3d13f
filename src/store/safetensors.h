/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors.h -- the exchange format of Hugging Face: 8 bytes of length,
 * JSON header, raw little-endian tensors.
 *
 * The format carries no checksum: a flipped bit in the data can't be found,
 * one in the header only where it breaks a rule.
 */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "src/base/real.h"
#include "src/store/tensor.h"

struct safetensors;

/* Open and check: header bounds, offsets contiguous without hole or overlap, sizes
 * equal to shape times dtype.  ERR_MISSING, ERR_DATA with name and place. */
int safetensors_open(struct safetensors **out, const char *path);
void safetensors_close(struct safetensors *s);

/* Tensors are numbered in the order of their data. */
int safetensors_count(const struct safetensors *s);
const struct tensor *safetensors_tensor(const struct safetensors *s, int i);  /* .data NULL */
int safetensors_find(const struct safetensors *s, const char *name);          /* or -1 */

/* Raw bytes of tensor i. */
int safetensors_read(struct safetensors *s, int i, void *data);

/* Tensor i as reals / doubles / int32: F32, F64, BF16, F16 are converted; integers (I32, I64
 * in range, U8) only to int32.  Another dtype is ERR_DATA. */
int safetensors_read_real(struct safetensors *s, int i, real *data);
int safetensors_read_f64(struct safetensors *s, int i, double *data);
int safetensors_read_i32(struct safetensors *s, int i, int32_t *data);

/* Write a file (replaced atomically) in the order given. */
int safetensors_save(const char *path, const struct tensor *tensors, int count);

/* Same, of tensors of reals, converted to `dtype`. */
int safetensors_save_as(const char *path, const struct tensor *tensors, int count,
                        enum dtype dtype);

#endif
