/* SPDX-License-Identifier: Apache-2.0 */
/* state_tensors.h -- what the checkpoint of a training run holds: the one list of its tensors.
 *
 *     NAME, adam.m/NAME, adam.v/NAME           for every parameter
 *     soap.left/NAME, soap.left_basis/NAME, soap.right/NAME, soap.right_basis/NAME   of SOAP
 */
#ifndef STATE_TENSORS_H
#define STATE_TENSORS_H

#include "src/param/param.h"
#include "src/store/tensor.h"

#define STATE_NAME (PARAM_NAME + 20)  /* bytes of a name, at most */

/* In the order that a state counts them, without data; a counted block.
 *
 * bf16     moments are bf16
 * soap     sides of a matrix that are no longer than this have a factor; 0: no SOAP
 * returns  NULL if there is no list: *count of them are more than TENSOR_COUNT */
struct tensor *state_tensors(int *count, const struct param_table *t, int bf16, int soap);

#endif
