/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/raw.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

int raw_open(struct raw *r, const char *path)
{
    *r = (struct raw){ .path = path, .fd = STDIN_FILENO, .size = -1 };
    if (strcmp(path, "-") != 0) {
        const int rc = file_open(&r->fd, &r->size, path);
        if (rc != OK) return rc;
    }
    r->bytes = mem_new(RAW_ROOM, 1, "input");
    return OK;
}

void raw_close(struct raw *r)
{
    if (r->bytes && r->fd != STDIN_FILENO) file_close(r->fd);
    mem_free(r->bytes);
    r->bytes = NULL;
}

int raw_seek(struct raw *r, int64_t offset)
{
    if (lseek(r->fd, (off_t)offset, SEEK_SET) < 0)
        return fail(ERR_IO, "%s: can't seek: %s", r->path, strerror(errno));
    r->taken = offset;
    return OK;
}

/* One read(): at most what is available now. */
static int read_some(struct raw *r, char *out, int64_t room, int64_t *got)
{
    struct pollfd ready = { .fd = r->fd, .events = POLLIN };
    ssize_t n;
    do {
        n = read(r->fd, out, (size_t)room);
        if (n >= 0 || errno != EAGAIN) continue;
        poll(&ready, 1, -1);  /* another process that has the same pipe made it non-blocking */
        errno = EAGAIN;
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0) return fail(ERR_IO, "%s: can't read: %s", r->path, strerror(errno));
    r->eof = n == 0;
    r->taken += n;
    *got = n;
    return OK;
}

int raw_fill(struct raw *r, int64_t want)
{
    int64_t got = 0;

    if (r->end - r->at >= want || r->eof) return OK;
    memmove(r->bytes, r->bytes + r->at, (size_t)(r->end - r->at));
    r->end -= r->at;
    r->at = 0;
    while (r->end < want && !r->eof) {
        const int rc = read_some(r, r->bytes + r->end, RAW_ROOM - r->end, &got);
        if (rc != OK) return rc;
        r->end += got;
    }
    return OK;
}

int raw_read(struct raw *r, char *out, int64_t room, int64_t *got)
{
    const int64_t there = r->end - r->at;

    *got = 0;
    if (there == 0) return r->eof ? OK : read_some(r, out, room, got);
    *got = there < room ? there : room;
    memcpy(out, r->bytes + r->at, (size_t)*got);
    r->at += *got;
    return OK;
}

int64_t raw_left(const struct raw *r, int64_t given)
{
    const int64_t read = raw_place(r) > 0 ? raw_place(r) : 1;
    const double ratio = given > read ? (double)given / (double)read : 1.0;

    return r->size > read ? (int64_t)(ratio * (double)(r->size - raw_place(r))) : 0;
}

int64_t raw_place(const struct raw *r) { return r->taken - (r->end - r->at); }
