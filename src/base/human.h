/* SPDX-License-Identifier: Apache-2.0 */
/* human.h -- durations and sizes as people read them. */
#ifndef HUMAN_H
#define HUMAN_H

#include <stdint.h>

#define HUMAN_TEXT 24

/* "0.4s", "12s", "4m10s", "3h05m", "2d04h"; "-" if not finite or negative.
 * Local; returns text. */
const char *human_duration(char text[HUMAN_TEXT], double seconds);

/* "512 B", "12.3 MiB", "1.25 GiB".  Local; returns text. */
const char *human_bytes(char text[HUMAN_TEXT], int64_t bytes);

#endif
