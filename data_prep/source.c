#include "data_prep/source.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "data_prep/frame.h"
#include "src/base/encoding.h"
#include "src/base/file.h"
#include "src/base/human.h"
#include "src/base/limit.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define ROOM ((int64_t)1 << 20)
#define DECODER_BYTES ((int64_t)1 << 20)  /* of its tables and blocks, without the window */

struct source {
    const char   *path;       /* the input's                                       */
    int           fd, zst, eof;
    int64_t       size;       /* of the file; -1: nobody knows                     */
    int64_t       taken;      /* bytes read from it                                */
    int64_t       given;      /* bytes of content, since the beginning             */
    char         *raw;        /* [at, end) is unread                               */
    int64_t       at, end;
    ZSTD_DStream *zstd;
    size_t        owed;       /* not 0: a frame has begun and not ended            */
    int           full;       /* the decoder may hold more than there was room for */
    struct frame  frame;      /* the one that is being read ...                    */
    int64_t       frame_at;   /* ... where it begins in the file                   */
    int64_t       frame_given, good;  /* its content so far; the file up to there   */
    int64_t       window;     /* bytes that count as ours                          */
    int64_t       doubtful;   /* bytes that were given and have a wrong checksum   */
    char         *why;
};

static int64_t place(const struct source *s) { return s->taken - (s->end - s->at); }

/* One read, not more than the system has at the moment. */
static int read_some(struct source *s, char *out, int64_t room, int64_t *got)
{
    struct pollfd ready = { .fd = s->fd, .events = POLLIN };
    ssize_t n;
    do {
        n = read(s->fd, out, (size_t)room);
        if (n >= 0 || errno != EAGAIN) continue;
        poll(&ready, 1, -1);  /* somebody who has the same pipe made it non-blocking */
        errno = EAGAIN;
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0) return fail(ERR_IO, "%s: can't read: %s", s->path, strerror(errno));
    s->eof = n == 0;
    s->taken += n;
    *got = n;
    return OK;
}

/* Read until `want` bytes are unread or the file ends: a pipe may bring them one by one. */
static int fill(struct source *s, int64_t want)
{
    int64_t got = 0;

    if (s->end - s->at >= want || s->eof) return OK;
    memmove(s->raw, s->raw + s->at, (size_t)(s->end - s->at));
    s->end -= s->at;
    s->at = 0;
    while (s->end < want && !s->eof) {
        const int rc = read_some(s, s->raw + s->end, ROOM - s->end, &got);
        if (rc != OK) return rc;
        s->end += got;
    }
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

    *s = (struct source){ .path = in->path, .zst = in->zst, .size = -1 };
    *out = s;
    if (!strcmp(in->path, "-")) s->fd = STDIN_FILENO;
    else TRY(file_open(&s->fd, &s->size, in->path));
    s->raw = mem_new(ROOM, 1, "input");
    if (s->zst < 0) {  /* zstd, or text */
        TRY(fill(s, FRAME_HEAD));
        s->zst = s->end >= 4 && frame_look(s->raw, s->end).kind != FRAME_NONE;
    }
    if (s->zst) {
        s->zstd = ZSTD_createDStream();
        if (!s->zstd) TRY(fail(ERR_MEMORY, "out of memory: zstd stream"));
        ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, 31);
        TRY(skip(s, offset));
    } else if (offset > 0) {
        if (lseek(s->fd, (off_t)offset, SEEK_SET) < 0)
            TRY(fail(ERR_IO, "%s: can't seek: %s", in->path, strerror(errno)));
        s->taken = s->given = offset;
    }
out:
    return rc;
}

void source_close(struct source *s)
{
    if (!s) return;
    if (s->fd != STDIN_FILENO) file_close(s->fd);
    ZSTD_freeDStream(s->zstd);
    mem_borrow(-s->window);
    mem_free(s->raw);
    mem_free(s->why);
    mem_free(s);
}

/* --- zstd ------------------------------------------------------------------------------ */

/* The next bytes are no frame. */
static int no_frame(struct source *s)
{
    const struct encoding *e = place(s) == 0 ? encoding_of(s->raw + s->at, s->end - s->at) : NULL;
    char *found = e ? encoding_sentence(e, s->size < 0) : mem_string("found other bytes");

    s->why = mem_format("expected a zstd frame at byte %lld, %s", (long long)place(s), found);
    mem_free(found);
    return ERR_DATA;
}

/* At the beginning of a frame: its window must fit. */
static int begin_frame(struct source *s)
{
    const struct frame f = frame_look(s->raw + s->at, s->end - s->at);
    char wants[HUMAN_TEXT], most[HUMAN_TEXT];

    s->frame = f;
    s->frame_at = s->good = place(s);
    s->frame_given = 0;
    if (f.kind == FRAME_NONE) return no_frame(s);
    human_bytes(wants, f.window);
    if (f.window > SOURCE_MAX_WINDOW) {
        s->why = mem_format("the zstd frame at byte %lld needs a window of %s, expected at most "
                            "%s; compress it again with zstd --long=31 or less",
                            (long long)place(s), wants, human_bytes(most, SOURCE_MAX_WINDOW));
        return ERR_DATA;
    }
    if (f.window <= s->window) return OK;  /* the decoder keeps the largest */
    if (f.window + DECODER_BYTES > limit_memory())
        return fail(ERR_MEMORY, "%s: the zstd frame at byte %lld needs a window of %s, and the "
                    "memory of this job is %s; ask for more, or compress it again with a smaller "
                    "--long", s->path, (long long)place(s), wants,
                    human_bytes(most, limit_memory()));
    mem_borrow(f.window - s->window);
    s->window = f.window;
    return OK;
}

/* Damage, or the file has ended inside a frame: what was lost, and where.
 * error  what zstd returned; 0: the file has ended */
static int lose(struct source *s, size_t error)
{
    char *part = s->frame.content < 0 ? mem_string("") :
                 mem_format(" of %lld", (long long)s->frame.content);

    if (error && ZSTD_getErrorCode(error) == ZSTD_error_dictionary_wrong) {
        s->why = mem_format("the zstd frame at byte %lld was made with a dictionary; compress the "
                            "text again without one (zstd -D)", (long long)s->frame_at);
    } else if (error && ZSTD_getErrorCode(error) == ZSTD_error_checksum_wrong) {
        s->doubtful = s->frame_given;
        s->why = mem_format("damaged: the content of the zstd frame from byte %lld to byte %lld "
                            "does not have its checksum, so documents from it may be wrong",
                            (long long)s->frame_at, (long long)place(s));
    } else if (error) {
        s->why = mem_format("damaged between bytes %lld and %lld (%s), in the zstd frame that "
                            "begins at byte %lld: %lld%s bytes of its content were read",
                            (long long)s->good, (long long)place(s), ZSTD_getErrorName(error),
                            (long long)s->frame_at, (long long)s->frame_given, part);
    } else {
        s->why = mem_format("truncated: the file ends at byte %lld inside the zstd frame that "
                            "begins at byte %lld: %lld%s bytes of its content were read",
                            (long long)s->taken, (long long)s->frame_at,
                            (long long)s->frame_given, part);
    }
    mem_free(part);
    return ERR_DATA;
}

static int read_zstd(struct source *s, char *out, int64_t room, int64_t *got)
{
    ZSTD_outBuffer to = { out, (size_t)room, 0 };

    while (to.pos == 0) {
        const int begins = s->owed == 0 && !s->full;
        int rc = fill(s, begins ? FRAME_HEAD : s->full ? 0 : 1);
        if (rc != OK) return rc;
        const int64_t there = s->end - s->at;
        if (begins && there == 0) break;
        if (begins && (rc = begin_frame(s)) != OK) return rc;

        /* A block at a time, without the three bytes of the next one's head that the decoder
         * would like, too: what came before a damaged one has been given then. */
        const size_t step = s->full ? 0 : begins ? FRAME_HEAD : s->owed > 3 ? s->owed - 3 : s->owed;
        ZSTD_inBuffer from = { s->raw + s->at, (size_t)there < step ? (size_t)there : step, 0 };
        const size_t owed = ZSTD_decompressStream(s->zstd, &to, &from);
        s->at += (int64_t)from.pos;
        if (ZSTD_getErrorCode(owed) == ZSTD_error_memory_allocation)
            return fail(ERR_MEMORY, "%s: out of memory: the window of the zstd frame at byte %lld "
                        "wants %lld bytes", s->path, (long long)s->frame_at,
                        (long long)s->frame.window);
        if (ZSTD_isError(owed)) return lose(s, owed);
        if (there == 0 && to.pos == 0 && !s->full) return lose(s, 0);
        s->owed = owed;
        s->full = to.pos == to.size && owed != 0;
        if (to.pos > 0 || owed == 0) s->good = place(s);
    }
    s->frame_given += (int64_t)to.pos;
    *got = (int64_t)to.pos;
    return OK;
}

/* --- both ------------------------------------------------------------------------------ */

static int read_plain(struct source *s, char *out, int64_t room, int64_t *got)
{
    const int64_t there = s->end - s->at;

    if (there == 0) return s->eof ? OK : read_some(s, out, room, got);
    *got = there < room ? there : room;
    memcpy(out, s->raw + s->at, (size_t)*got);
    s->at += *got;
    return OK;
}

int source_read(struct source *s, char *out, int64_t room, int64_t *got)
{
    *got = 0;
    if (s->why) return ERR_DATA;
    const int rc = s->zst ? read_zstd(s, out, room, got) : read_plain(s, out, room, got);
    s->given += *got;
    return rc;
}

const char *source_why(const struct source *s) { return s->why; }
int64_t source_taken(const struct source *s) { return s->taken; }

int64_t source_left(const struct source *s)
{
    if (!s->zst) return s->size > s->given ? s->size - s->given : 0;
    const int64_t in_frame = s->frame.content > s->frame_given ? s->frame.content - s->frame_given
                                                               : 0;
    if (s->size < 0) return in_frame + s->doubtful;
    const int64_t read = s->good > 0 ? s->good : 1;
    const int64_t rest = s->size > s->good ? s->size - s->good : 0;
    const double ratio = s->given > read ? (double)s->given / (double)read : 1.0;
    const int64_t guess = (int64_t)(ratio * (double)rest);
    return s->doubtful + (in_frame > guess ? in_frame : guess);
}
