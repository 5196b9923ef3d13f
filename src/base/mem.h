/* mem.h -- allocation that is counted and never silently fails.
 *
 * Memory starts on ALIGN_BYTES and is zero.  When the system has none, the
 * program says how much it asked for and what for, and leaves with exit code
 * 71: training memory is planned before, so this is the end of a run either
 * way, and checkpoints on disk are whole whenever it happens.
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

/* Count `bytes` that a library holds for us until they are given back with a negative number.
 * Local. */
void mem_borrow(int64_t bytes);

/* Blocks and bytes that are alive now, and the most bytes there ever were. */
int64_t mem_live_blocks(void);
int64_t mem_live_bytes(void);
int64_t mem_peak_bytes(void);

/* The most memory the process ever held, libraries included (VmHWM); 0 if the
 * system does not say.  Local. */
int64_t mem_peak_resident(void);

/* For tests: the n-th allocation from now fails (0: none). */
void mem_fail_at(int64_t n);

#endif
