/* SPDX-License-Identifier: Apache-2.0 */
/* token_npy.h -- the header of NumPy's .npy files, format versions 1.0 to 3.0.
 *
 *     \x93NUMPY  major 1  minor 1  length 2 (1.0) or 4  {'descr': '<u2',
 *     'fortran_order': False, 'shape': (1000,), }  blanks, newline  |  the array
 */
#ifndef TOKEN_NPY_H
#define TOKEN_NPY_H

#include <stdint.h>

#include "data_prep/token_file.h"

/* Read the header of f->path: whole numbers, little-endian, 1-D or 2-D in C order.  Local.
 *
 * f        [in,out] fills in form, type, at, tokens, row
 * returns  OK; ERR_DATA with the field, or ERR_IO, reported */
int token_npy_open(struct token_file *f);

/* The header of a 1-D array of n ids, byte for byte as numpy.save() writes it.  Local.
 * returns  its size */
#define TOKEN_NPY_HEAD 128
int token_npy_head(char out[TOKEN_NPY_HEAD], const struct token_type *type, int64_t n);

#endif
