/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/log.h"
#include "src/base/mem.h"

void promise_broken(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, what);
    abort();
}

static void put(int fd, const void *data, size_t n)
{
    const char *p = data;

    while (n > 0) {
        const ssize_t k = write(fd, p, n);
        promise(k > 0);
        p += k;
        n -= (size_t)k;
    }
}

const char *fuzz_file(const void *data, size_t n)
{
    static char path[64];
    static int fd = -1;

    log_speaker(0);
    if (fd < 0) promise((fd = memfd_create("input", MFD_CLOEXEC)) >= 0);
    promise(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    put(fd, data, n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

static int drop(const char *path, const struct stat *s, int kind, struct FTW *at)
{
    (void)s;
    (void)kind;
    return at->level > 0 ? remove(path) : 0;
}

static char folder[64];

static void folder_remove(void)
{
    nftw(folder, drop, 16, FTW_DEPTH | FTW_PHYS);
    rmdir(folder);
}

const char *fuzz_folder(void)
{
    log_speaker(0);
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s/ttt-fuzz-%d",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
        promise(mkdir(folder, 0700) == 0);
        atexit(folder_remove);
    }
    nftw(folder, drop, 16, FTW_DEPTH | FTW_PHYS);
    return folder;
}

void fuzz_put(const char *name, const void *data, size_t n)
{
    char path[256];

    if (!name[0] || name[0] == '/' || strstr(name, "..")) return;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
        *p = '\0';
        mkdir(path, 0700);
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return;   /* a folder of that name */
    put(fd, data, n);
    close(fd);
}

struct sections sections_of(const uint8_t *data, size_t n)
{
    return (struct sections){ data, data + n };
}

int section_next(struct section *s, struct sections *rest)
{
    static const char mark[] = "=== ";
    const size_t left = (size_t)(rest->end - rest->at);

    memset(s, 0, sizeof *s);
    if (left < sizeof mark - 1 || memcmp(rest->at, mark, sizeof mark - 1) != 0) return 0;
    const uint8_t *name = rest->at + sizeof mark - 1;
    const uint8_t *line = memchr(name, '\n', (size_t)(rest->end - name));
    const size_t length = line ? (size_t)(line - name) : sizeof s->name;
    if (length >= sizeof s->name || memchr(name, '\0', length)) return 0;
    memcpy(s->name, name, length);
    s->data = line + 1;
    const uint8_t *next = memmem(line, (size_t)(rest->end - line), "\n=== ", 5);
    s->n = next ? next > line ? (size_t)(next - s->data) : 0 : (size_t)(rest->end - s->data);
    rest->at = next ? next + 1 : rest->end;
    return 1;
}

const char *fuzz_sections(const uint8_t *data, size_t n)
{
    struct sections rest = sections_of(data, n);
    const char *path = fuzz_folder();
    struct section s;

    while (section_next(&s, &rest)) fuzz_put(s.name, s.data, s.n);
    return path;
}

char *fuzz_seal_text(const uint8_t *data, size_t n, const char *before, size_t *sealed)
{
    const size_t head = strlen(before), tail = head + HASH_HEX;   /* a newline for the zero */
    char hex[HASH_HEX];

    if (n >= tail && memcmp(data + n - tail, before, head) == 0) n -= tail;
    hash_hex(hex, hash_bytes(data, n));
    char *text = mem_new((int64_t)(n + tail + 1), 1, "input");
    if (n) memcpy(text, data, n);
    snprintf(text + n, tail + 1, "%s%s\n", before, hex);
    *sealed = n + tail;
    return text;
}
