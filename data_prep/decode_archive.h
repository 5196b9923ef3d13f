/* SPDX-License-Identifier: Apache-2.0 */
/* decode_archive.h -- xz, bzip2 and lz4, through libarchive (unpack.h). */
#ifndef DECODE_ARCHIVE_H
#define DECODE_ARCHIVE_H

#include "data_prep/decoder.h"

extern const struct decoder decode_xz, decode_bzip2, decode_lz4;

#endif
