/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h -- memory allocation that is counted and does not fail silently.
 *
 * Blocks are aligned to ALIGN_BYTES and zeroed.  When the system has no memory,
 * the program reports how much it asked for and for what, and ends with exit
 * code 71.  The memory of training is planned before, so a run could not
 * continue then, and checkpoints on disk are complete at any moment.
 */
#ifndef MEM_H
#define MEM_H

#include <stddef.h>
#include <stdint.h>

/* n objects of `size` bytes, zeroed.  `what` names them in the message.
 * Local.  Never returns NULL (n = 0 gives one unused byte). */
void *mem_new(int64_t n, size_t size, const char *what);

/* Grow or shrink; the old block may be NULL.  New bytes are not zeroed. */
void *mem_resize(void *old, int64_t n, size_t size, const char *what);

/* A counted copy of a string; release with mem_free(). */
char *mem_string(const char *text);

/* Formatted into a counted string; release with mem_free(). */
char *mem_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Release; NULL is allowed. */
void mem_free(void *p);

/* Count `bytes` that a library allocated for this program; a negative number when it frees them.
 * Local. */
void mem_borrow(int64_t bytes);

/* Blocks and bytes that are allocated now, and the most bytes that ever were. */
int64_t mem_live_blocks(void);
int64_t mem_live_bytes(void);
int64_t mem_peak_bytes(void);

/* Peak of the resident memory of the process, libraries included (VmHWM); 0 if the
 * system does not report it.  Local. */
int64_t mem_peak_resident(void);

/* For tests: the n-th allocation from now fails (0: none). */
void mem_fail_at(int64_t n);

#endif
