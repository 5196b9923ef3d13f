/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.h -- which sequence layer each block of a model has.
 *
 * struct dims names one layer, "ttt_linear", which all blocks have; or several, "ttt_linear, mamba,
 * attention", which are repeated through the depth: block l has number l % n of the n names.  Such a
 * model is called a mixture.  Its dims are the union of what its layers use; each block has dims of
 * its own, which are the model's without what its layer does not use (layer_trim()).
 *
 * Names of a mixture's parameters: inside a block those of the layer's own family, around the blocks
 * those of family_mixture (family.c).
 */
#ifndef PATTERN_H
#define PATTERN_H

#include "src/layers/layer.h"

struct pattern {
    int                 n;                      /* layers of the list, 1: all blocks are alike */
    const struct layer *layer[PATTERN_LAYERS];
    int                 has;                    /* of HAS_: what any of them has               */
    int                 ffn;                    /* 0/1: any of them has a feed-forward after it */
    const struct family *family;                /* names around the blocks                     */
};

/* Read the text of struct dims.  Local.
 * p        [out] empty (n is 0) in case of an error
 * returns  OK; ERR_CONFIG, reported, if the text is empty or has the name of no layer */
int pattern_of(struct pattern *p, const char *text);

static inline const struct layer *pattern_layer(const struct pattern *p, int l)
{
    return p->layer[l % p->n];
}

/* The model's dims without what no layer of it uses.  d [in,out] */
void pattern_trim(const struct pattern *p, struct dims *d);

/* The dims of a block with the i-th layer of the list.  Where all blocks are alike, those of the
 * model, also what their layer does not use. */
struct dims pattern_dims(const struct pattern *p, const struct dims *d, int i);

/* Append the name of a layer to a text.  Local.
 * text     [in,out] of PATTERN_TEXT bytes; "" is the empty list
 * returns  1; 0 if the list is full or the name is none, and the text is as before */
int pattern_add(char *text, const char *name);

/* A list that is a shorter one repeated becomes that: "mamba, mamba" is "mamba".  Models that are
 * the same have the same text then.  text [in,out] */
void pattern_shorten(char *text);

/* The first name of a text.
 * name     [out] of PATTERN_NAME bytes; "" after the last
 * returns  what follows, for the next call */
#define PATTERN_NAME 32
const char *pattern_next(char name[PATTERN_NAME], const char *text);

/* Is it more than one name? */
int pattern_is_list(const char *text);

#endif
