/* SPDX-License-Identifier: Apache-2.0 */
/* inner_out.h -- what an inner model f does with the output Z of its last dense layer, and its
 * loss.
 *
 *     O = f(Q) = Q + LN(Z)
 *     loss of f(X) with the target V: 1/2 |LN(Z) - (V - X)|^2, or -<X + LN(Z), V>
 *                                                                    (enum inner_loss)
 *
 * or without the norm, without the residual, or both (kernels/without.h): LN(Z) is Z then, Q
 * and X are zeros.  h (r,F) and s (r) are what forward keeps for backward.
 */
#ifndef INNER_OUT_H
#define INNER_OUT_H

#include "src/kernels/inner_model.h"

/* h, s [out] from Z:  [E20]. */
void inner_out(real *h, real *s, const real *Z, const struct inner_in *in);

/* g (r,F) [out] = d loss / dZ:  [E11], [E21].  loss += the sum of the rows' losses, unless NULL. */
void inner_out_grad(real *g, const real *h, const real *s, const struct inner_in *in,
                    double *loss);

/* O (r,F) [out]:  [E14]. */
void inner_out_value(real *O, const real *h, const struct inner_in *in);

/* Backward of value and inner_out: dZ [out], dQ, dgamma, dbeta of o += . */
void inner_out_value_backward(struct inner_grad *o, real *dZ, const real *dO, const real *h,
                              const real *s, const struct inner_in *in);

/* Backward of grad and inner_out: dZ [out], dX, dV, dgamma, dbeta of o += :  [E22]. */
void inner_out_grad_backward(struct inner_grad *o, real *dZ, const real *dg, const real *g,
                             const real *h, const real *s, const struct inner_in *in);

#endif
