/* SPDX-License-Identifier: Apache-2.0 */
/* decode_gzip.h -- gzip files of any number of members.
 *
 * With zlib itself: libarchive does not compare a member's checksum. */
#ifndef DECODE_GZIP_H
#define DECODE_GZIP_H

#include "data_prep/decoder.h"

extern const struct decoder decode_gzip;

#endif
