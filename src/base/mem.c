/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "src/base/real.h"
#include "src/base/status.h"

/* From this size on a block is a mapping of its own: zero pages come when they
 * are touched, huge ones where the system has them, and go back at once. */
#define BIG ((int64_t)4 << 20)

/* In front of every block, so that a free knows what it gives back. */
struct head { int64_t bytes; char pad[ALIGN_BYTES - sizeof(int64_t)]; };

static int64_t live_blocks, live_bytes, peak_bytes, fail_countdown;

int64_t mem_live_blocks(void) { return __atomic_load_n(&live_blocks, __ATOMIC_RELAXED); }
int64_t mem_live_bytes(void) { return __atomic_load_n(&live_bytes, __ATOMIC_RELAXED); }
int64_t mem_peak_bytes(void) { return __atomic_load_n(&peak_bytes, __ATOMIC_RELAXED); }

int64_t mem_peak_resident(void)
{
    char line[256];
    long long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) return 0;
    while (fgets(line, sizeof line, f) && sscanf(line, "VmHWM: %lld", &kib) != 1) { }
    fclose(f);
    return (int64_t)kib * 1024;
}

void mem_fail_at(int64_t n) { fail_countdown = n; }

static void count(int64_t blocks, int64_t bytes)
{
    __atomic_add_fetch(&live_blocks, blocks, __ATOMIC_RELAXED);
    int64_t now = __atomic_add_fetch(&live_bytes, bytes, __ATOMIC_RELAXED);
    int64_t peak = mem_peak_bytes();
    while (now > peak &&
           !__atomic_compare_exchange_n(&peak_bytes, &peak, now, 1, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) { }
}

static void out_of_memory(int64_t n, size_t size, const char *what)
{
    fail(ERR_MEMORY, "out of memory: %s needs %lld x %zu bytes (%.3f GiB), %.3f GiB are in use",
         what, (long long)n, size, (double)n * (double)size / 0x1p30,
         (double)mem_live_bytes() / 0x1p30);
    leave(ERR_MEMORY);
}

static void *map(int64_t bytes)
{
    const size_t whole = sizeof(struct head) + (size_t)bytes;
    void *p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    madvise(p, whole, MADV_HUGEPAGE);  /* advice: no matter if it is refused */
    return p;
}

void *mem_new(int64_t n, size_t size, const char *what)
{
    struct head *h = NULL;
    int64_t bytes = 0;

    if (n < 0 || __builtin_mul_overflow(n, (int64_t)size, &bytes) || bytes > INT64_MAX / 2)
        out_of_memory(n, size, what);
    if (bytes == 0) bytes = 1;
    const int64_t whole = (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    if (!(fail_countdown > 0 && --fail_countdown == 0))
        h = bytes < BIG ? aligned_alloc(ALIGN_BYTES, sizeof *h + (size_t)whole) : map(bytes);
    if (!h) out_of_memory(n, size, what);
    h->bytes = bytes;
    count(1, bytes);
    return bytes < BIG ? memset(h + 1, 0, (size_t)bytes) : h + 1;
}

void *mem_resize(void *old, int64_t n, size_t size, const char *what)
{
    void *new = mem_new(n, size, what);
    if (old) {
        int64_t keep = ((struct head *)old - 1)->bytes;
        int64_t room = ((struct head *)new - 1)->bytes;
        memcpy(new, old, (size_t)(keep < room ? keep : room));
        mem_free(old);
    }
    return new;
}

char *mem_string(const char *text)
{
    size_t n = strlen(text) + 1;
    return memcpy(mem_new((int64_t)n, 1, "string"), text, n);
}

char *mem_format(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    check(n >= 0);
    char *s = mem_new((int64_t)n + 1, 1, "string");
    va_start(ap, format);
    vsnprintf(s, (size_t)n + 1, format, ap);
    va_end(ap);
    return s;
}

void mem_borrow(int64_t bytes) { count(0, bytes); }

void mem_free(void *p)
{
    if (!p) return;
    struct head *h = (struct head *)p - 1;
    const int64_t bytes = h->bytes;
    count(-1, -bytes);
    if (bytes < BIG) free(h);
    else munmap(h, sizeof *h + (size_t)bytes);
}
