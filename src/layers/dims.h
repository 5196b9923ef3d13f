/* SPDX-License-Identifier: Apache-2.0 */
/* dims.h -- the shape of a model, and the letters for it.
 *
 *   B  sequences per micro-batch        K  inner mini-batch (the paper's b)
 *   T  tokens of a slice, N = B*T rows  V  vocabulary
 *   C  width (d in the paper)           L  layers (blocks)
 *   H  heads                            E  hidden width of the feed-forward
 *   F  head width                       S  floats of one head's inner state
 *
 * An index is the small letter of the dimension it runs over.
 */
#ifndef DIMS_H
#define DIMS_H

#include "src/base/real.h"
#include "src/kernels/rope.h"
#include "src/kernels/without.h"

#define PATTERN_LAYERS 32  /* names that a list of layers has at most  */
#define PATTERN_TEXT 512   /* bytes of such a list                     */

struct dims {
    char   layer[PATTERN_TEXT];  /* sequence layer of every block, "ttt_linear"; or of blocks that
                                  * differ, "ttt_linear, attention" (layers/pattern.h)          */
    int    V, L, C, H, E, K;  /* the letters above; E 0: there is no feed-forward */
    int    Hkv;          /* attention: groups of heads that share keys and values; 0: H groups */
    int    F;            /* attention: width of a head; 0: C / H           */
    int    qkv_bias;     /* attention: 0/1 the projections to q, k and v have a bias */
    int    conv_width;   /* taps of every causal convolution               */
    int    gate;         /* TTT: 0/1 the output is gated     (M) 1, (T) 0  */
    int    share_qk;     /* TTT: 0/1 Q and K from one projection and two convolutions */
    int    pre_conv;     /* TTT: 0/1 a convolution before the sequence layer */
    int    tied;         /* 0/1 the head uses the embedding                */
    double rope_theta;   /* base of the rotary angles                      */
    double rms_eps;      /* epsilon of RMSNorm                             */
    double ln_eps;       /* TTT: epsilon of the inner LayerNorm and of post_norm */
    double init_std;     /* standard deviation of initial matrices         */
    int    orthogonal;   /* 0/1 initial matrices are orthogonal.  It only matters before the
                          * first step, so no checkpoint has it            */
    double inner_lr;     /* TTT: base inner learning rate                  */
    int    without;      /* TTT: parts that the layer lacks, a set of enum without */
    int    state;        /* Mamba: numbers of a channel's state            */
    int    expand;       /* Mamba: channels are expand * C                 */
    int    dt_rank;      /* Mamba: width that step sizes are projected from */
    int    window;       /* attention: a query sees this many of the last tokens; 0: all */
    int    full_layers;  /* with a window: so many blocks, the first ones, see all tokens */
    int    rope_scaling; /* attention: enum rope_scaling (kernels/rope.h)  */
    int    rope_original;                     /* arguments of rope_scaling; 0 if it takes none */
    double rope_factor, rope_low, rope_high;
};

static inline int head_width(const struct dims *d) { return d->F > 0 ? d->F : d->C / d->H; }

/* Width of all heads side by side: C, except where F says otherwise. */
static inline int heads_width(const struct dims *d) { return d->H * head_width(d); }

/* Rotary positions of attention. */
static inline struct rope rope_of(const struct dims *d)
{
    return (struct rope){ d->rope_theta, (enum rope_scaling)d->rope_scaling, d->rope_factor,
                          d->rope_low, d->rope_high, d->rope_original };
}

/* Heads come in groups that stay together: those with the same keys and values. */
static inline int head_groups(const struct dims *d) { return d->Hkv > 0 ? d->Hkv : d->H; }

#endif
