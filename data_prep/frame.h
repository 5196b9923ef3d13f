/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h -- read the header of a zstd frame (RFC 8878, 3.1).
 *
 *     .zst file  =  frames and skippable frames, one after another
 *     frame      =  magic 4 | descriptor 1 | window 0-1 | dictionary 0-4 | content 0-8 | blocks
 *     skippable  =  magic 4 (0x184D2A50 to 5F) | size 4 | bytes that are skipped
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdint.h>

#define FRAME_HEAD 18  /* bytes, at most */

enum frame_kind { FRAME_NONE, FRAME_ZSTD, FRAME_SKIPPED };

struct frame {
    enum frame_kind kind;
    int64_t         window;   /* bytes that a decoder must remember; less for small content */
    int64_t         content;  /* bytes when decompressed; -1: not stored */
};

/* Read a header.  Local.
 *
 * p        n bytes, FRAME_HEAD of them if the file has as many; a cut header counts as a frame */
struct frame frame_look(const char *p, int64_t n);

#endif
