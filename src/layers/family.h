/* SPDX-License-Identifier: Apache-2.0 */
/* family.h -- what a public implementation calls the parameters around the sequence layer.
 *
 * A layer names its family (struct layer); so every model here has exactly the names of the
 * Hugging Face models of its kind, and a checkpoint's tensors need no renaming.
 *
 * Of a mixture of layers (pattern.h) no public format exists.  Around its blocks it has the names of
 * family_mixture, which are those that the TTT and Llama models share; inside a block, from the
 * norms on, those of the family of the block's layer.
 */
#ifndef FAMILY_H
#define FAMILY_H

struct family {
    const char *embed;        /* embedding                                       */
    const char *block;        /* prefix of block l: this, l and a dot               */
    const char *seq_norm;     /* norm in front of the sequence layer             */
    const char *ffn_norm;     /* norm in front of the feed-forward; NULL: the family has none */
    const char *gate, *up, *down;  /* matrices of the feed-forward */
    const char *norm;         /* final norm                                      */
    const char *head;         /* of a model that is not tied                     */
    double      rms_eps;      /* of its models, where a configuration says auto  */
};

extern const struct family family_ttt, family_llama, family_mamba, family_mixture;

/* The prefix of block l, "model.layers.3."; text has FAMILY_PREFIX bytes.  Returns text. */
#define FAMILY_PREFIX 48
const char *family_block(const struct family *f, char *text, int l);

#endif
