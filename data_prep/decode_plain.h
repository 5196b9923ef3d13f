/* SPDX-License-Identifier: Apache-2.0 */
/* decode_plain.h -- content that is stored as it is. */
#ifndef DECODE_PLAIN_H
#define DECODE_PLAIN_H

#include "data_prep/decoder.h"

extern const struct decoder decode_plain;

#endif
