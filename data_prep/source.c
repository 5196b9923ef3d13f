#include "data_prep/source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define ROOM ((int64_t)1 << 20)

struct source {
    const char   *path;   /* the input's         */
    int           fd, zst;
    int64_t       taken;
    char         *raw;    /* [at, end) is unread */
    int64_t       at, end;
    ZSTD_DStream *zstd;
    size_t        owed;   /* not 0: a frame has begun and not ended */
    const char   *why;
};

/* Read once; end stays at `at` at the end of the file. */
static int fill(struct source *s)
{
    ssize_t n;
    do n = read(s->fd, s->raw, (size_t)ROOM);
    while (n < 0 && errno == EINTR);
    if (n < 0) return fail(ERR_IO, "%s: can't read: %s", s->path, strerror(errno));
    s->at = 0;
    s->end = n;
    s->taken += n;
    return OK;
}

static int skip(struct source *s, int64_t offset)
{
    char *waste = mem_new(ROOM, 1, "skipped input");
    int64_t got = 1;
    int rc = OK;

    while (offset > 0 && got > 0) {
        TRY(source_read(s, waste, offset < ROOM ? offset : ROOM, &got));
        offset -= got;
    }
out:
    mem_free(waste);
    return rc;
}

int source_open(struct source **out, const struct input *in, int64_t offset)
{
    struct source *s = mem_new(1, sizeof *s, "input");
    int rc = OK;

    *s = (struct source){ .path = in->path, .zst = in->zst };
    *out = s;
    if (!strcmp(in->path, "-")) s->fd = STDIN_FILENO;
    else TRY(file_open(&s->fd, NULL, in->path));
    s->raw = mem_new(ROOM, 1, "input");
    if (s->zst < 0) {  /* the magic of zstd, or text */
        TRY(fill(s));
        s->zst = s->end >= 4 && memcmp(s->raw, "\x28\xb5\x2f\xfd", 4) == 0;
    }
    if (s->zst) {
        s->zstd = ZSTD_createDStream();
        if (!s->zstd) TRY(fail(ERR_MEMORY, "out of memory: zstd stream"));
        TRY(skip(s, offset));
    } else if (offset > 0) {
        if (lseek(s->fd, (off_t)offset, SEEK_SET) < 0)
            TRY(fail(ERR_IO, "%s: can't seek: %s", in->path, strerror(errno)));
        s->taken = offset;
    }
out:
    return rc;
}

void source_close(struct source *s)
{
    if (!s) return;
    if (s->fd != STDIN_FILENO) file_close(s->fd);
    ZSTD_freeDStream(s->zstd);
    mem_free(s->raw);
    mem_free(s);
}

static int read_zstd(struct source *s, char *out, int64_t room, int64_t *got)
{
    ZSTD_outBuffer to = { out, (size_t)room, 0 };

    while (to.pos == 0) {
        if (s->at == s->end) {
            const int rc = fill(s);
            if (rc != OK) return rc;
        }
        const int ended = s->end == 0;
        if (ended && s->owed == 0) break;
        ZSTD_inBuffer from = { s->raw, (size_t)s->end, (size_t)s->at };
        const size_t owed = ZSTD_decompressStream(s->zstd, &to, &from);
        if (ZSTD_isError(owed)) {
            s->why = ZSTD_getErrorName(owed);
            return ERR_DATA;
        }
        if (ended && to.pos == 0) {
            s->why = "truncated: the file ends inside a zstd frame";
            return ERR_DATA;
        }
        s->owed = owed;
        s->at = (int64_t)from.pos;
    }
    *got = (int64_t)to.pos;
    return OK;
}

int source_read(struct source *s, char *out, int64_t room, int64_t *got)
{
    *got = 0;
    if (s->zst) return read_zstd(s, out, room, got);
    if (s->at == s->end) {
        const int rc = fill(s);
        if (rc != OK) return rc;
    }
    const int64_t n = s->end - s->at < room ? s->end - s->at : room;
    memcpy(out, s->raw + s->at, (size_t)n);
    s->at += n;
    *got = n;
    return OK;
}

const char *source_why(const struct source *s) { return s->why; }
int64_t source_taken(const struct source *s) { return s->taken; }
