/* SPDX-License-Identifier: Apache-2.0 */
/* inner_vec.h -- short loops over n reals that inner models and steps share.  Local. */
#ifndef INNER_VEC_H
#define INNER_VEC_H

#include "src/base/real.h"

void inner_zero(real *y, int64_t n);                                    /* y = 0      */
void inner_add(real *y, const real *x, int64_t n);                      /* y += x     */
void inner_step_by(real *y, const real *x, real c, int64_t n);          /* y -= c x   */
void inner_times(real *z, const real *x, const real *y, int64_t n);     /* z = x y    */
void inner_add_times(real *z, const real *x, const real *y, int64_t n); /* z += x y   */

/* z = x y and w = x v. */
void inner_times_both(real *z, real *w, const real *x, const real *y, const real *v, int64_t n);

#endif
