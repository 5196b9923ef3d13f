/* SPDX-License-Identifier: Apache-2.0 */
/* dims_table.h -- one row for each field of struct dims: its name in a checkpoint, its key in a
 * configuration, its limits, the models that have it, and whether weights depend on it.
 *
 * The JSON of checkpoints (store/dims_json.c), the section `model` of a configuration and what it
 * takes from another model (conf/conf_model.c), and the limits that files and configurations must
 * keep follow from the rows.
 */
#ifndef DIMS_TABLE_H
#define DIMS_TABLE_H

#include <stddef.h>

#include "src/layers/dims.h"

/* Limits of whole numbers: the smallest and the largest value that means something.  So sums and
 * products of sizes stay far from overflow, whatever a file says. */
#define RANGE_V        2, 1 << 24
#define RANGE_L        1, 1024
#define RANGE_C        2, 65536
#define RANGE_H        1, 4096
#define RANGE_E        0, 1 << 20
#define RANGE_K        1, 4096
#define RANGE_F        1, 65536
#define RANGE_CONV     1, 64
#define RANGE_WINDOW   0, 1 << 24
#define RANGE_FULL     0, 1024
#define RANGE_STATE    1, 256
#define RANGE_EXPAND   1, 16
#define RANGE_DT_RANK  1, 65536
#define RANGE_ORIGINAL 1, 1 << 24
#define RANGE_SWITCH   0, 1

enum dim_type {
    DIM_LAYERS,   /* char[]: the text of layers/pattern.h                      */
    DIM_INT,      /* int                                                       */
    DIM_NUMBER,   /* double                                                    */
    DIM_PART      /* one part of the set `without`: its key is false if it is in the set */
};

/* Properties of a model that decide which fields it has. */
enum { OF_HEADS = 1, OF_INNER = 2, OF_STATE = 4, OF_FFN = 8, OF_GROUPS = 16, OF_CONV = 32,
       OF_ATTENTION = 64, OF_SCALED = 128, OF_LLAMA3 = 256, OF_WINDOW = 512 };

/* What another value does to a model that has weights.  USE_FUNCTION: the weights stay,
 * the function changes.  USE_PER_HEAD, USE_PER_TOKEN: the same, except where the layer has weights
 * of each head, of each token of a mini-batch.  USE_SHAPE: other weights are needed.  USE_START:
 * only the initial weights differ, so it is taken from a model and never compared.  USE_OURS: it
 * belongs to no model. */
enum dim_use { USE_FUNCTION, USE_PER_HEAD, USE_PER_TOKEN, USE_SHAPE, USE_START, USE_OURS };

struct dim {
    const char   *name;      /* in a checkpoint's info; NULL: it is not there                  */
    const char   *key;       /* of a configuration; NULL: it has none                          */
    enum dim_type type;
    size_t        at, size;  /* of the field in struct dims                                    */
    int           part;      /* DIM_PART: of enum without                                      */
    int           of;        /* models that have it, a set of OF_; 0: all                      */
    enum dim_use  use;
    int           optional;  /* 0/1: older checkpoints lack it, and it is 0 then               */
    int           zero;      /* 0/1: 0 means "none" or "as other fields have it"               */
    int           least, most;  /* DIM_INT, apart from 0; most 0: no limit                     */
};

/* Row i; NULL past the last.  Row 0 is the layer. */
const struct dim *dims_row(int i);

/* The row of a key, or NULL. */
const struct dim *dims_key(const char *key);

/* The field of a row: its whole number, of a part 0 or the part. */
static inline void *dims_at(struct dims *d, const struct dim *row) { return (char *)d + row->at; }
static inline const void *dims_get(const struct dims *d, const struct dim *row)
{
    return (const char *)d + row->at;
}

/* The set of OF_ of a model, whose layers must be known. */
int dims_of(const struct dims *d);

#endif
