/* SPDX-License-Identifier: Apache-2.0 */
/* optim_opts.h -- what a run says of its optimizer. */
#ifndef OPTIM_OPTS_H
#define OPTIM_OPTS_H

#include <stdint.h>

#include "src/param/factor.h"

enum optim_kind { OPTIM_ADAMW, OPTIM_SOAP };

enum moments { MOMENTS_FP32, MOMENTS_BF16 };

struct optim_opts {
    int     state;                   /* enum moments                        */
    int     kind;                    /* enum optim_kind                     */
    double  lr, min_lr;              /* peak and final rate                 */
    int64_t warmup_steps;            /* linear 0 -> lr                      */
    int64_t decay_steps;             /* cosine ends here (>= warmup_steps)  */
    double  beta1, beta2, eps, weight_decay;
    double  clip_norm;               /* 0: no clipping                      */
    double  inner_start;             /* inner learning rate at the first update, as a share of its
                                      * base; it grows linearly to 1 over warmup_steps */
    /* SOAP (optim/soap.h) */
    int     max_dim;                 /* largest side that has a factor      */
    int     whole_dim;               /* larger factors are spread over processes */
    int     precondition_every;      /* updates between two refreshes of bases */
    double  factor_beta;             /* average of factors                  */
};

/* What SOAP's shares and costs depend on. */
static inline struct factor_opts optim_factor(const struct optim_opts *o)
{
    return (struct factor_opts){ o->max_dim, o->whole_dim, o->precondition_every };
}

#endif
