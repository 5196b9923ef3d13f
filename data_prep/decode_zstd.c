/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/decode_zstd.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "data_prep/frame.h"
#include "data_prep/raw.h"
#include "src/base/encoding.h"
#include "src/base/human.h"
#include "src/base/limit.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define DECODER_BYTES ((int64_t)1 << 20)  /* of its tables and blocks, without the window */

struct unzstd {
    struct raw   *raw;
    ZSTD_DStream *zstd;
    size_t        owed;       /* not 0: a frame has begun and not ended            */
    int           full;       /* the decoder may hold more than there was room for */
    struct frame  frame;      /* the one that is being read ...                    */
    int64_t       frame_at;   /* ... where it begins in the file                   */
    int64_t       frame_given, good;  /* its content so far; the file up to there   */
    int64_t       window;     /* bytes that count as ours                          */
    int64_t       doubtful;   /* bytes that were given and have a wrong checksum   */
};

static int begins_zstd(const char *p, int64_t n)
{
    return n >= 4 && frame_look(p, n).kind != FRAME_NONE;
}

static int open_zstd(void **state, struct raw *raw)
{
    struct unzstd *s = mem_new(1, sizeof *s, "decoder");

    *s = (struct unzstd){ .raw = raw, .zstd = ZSTD_createDStream() };
    *state = s;
    if (!s->zstd) return fail(ERR_MEMORY, "out of memory: zstd stream");
    ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, 31);
    return OK;
}

static void close_zstd(void *state)
{
    struct unzstd *s = state;

    if (!s) return;
    ZSTD_freeDStream(s->zstd);
    mem_borrow(-s->window);
    mem_free(s);
}

static const char *next(const struct unzstd *s) { return s->raw->bytes + s->raw->at; }
static int64_t unread(const struct unzstd *s) { return s->raw->end - s->raw->at; }
static int64_t place(const struct unzstd *s) { return raw_place(s->raw); }

/* The next bytes are not a frame. */
static int no_frame(const struct unzstd *s, char **why)
{
    const struct encoding *e = place(s) == 0 ? encoding_of(next(s), unread(s)) : NULL;
    char *found = e ? encoding_sentence(e, s->raw->size < 0) : mem_string("found other bytes");

    *why = mem_format("expected a zstd frame at byte %lld, %s", (long long)place(s), found);
    mem_free(found);
    return ERR_DATA;
}

/* Begin a frame: its window must fit into memory. */
static int begin_frame(struct unzstd *s, char **why)
{
    const struct frame f = frame_look(next(s), unread(s));
    char wants[HUMAN_TEXT], most[HUMAN_TEXT];

    s->frame = f;
    s->frame_at = s->good = place(s);
    s->frame_given = 0;
    if (f.kind == FRAME_NONE) return no_frame(s, why);
    human_bytes(wants, f.window);
    if (f.window > ZSTD_MAX_WINDOW) {
        *why = mem_format("the zstd frame at byte %lld needs a window of %s, expected at most "
                          "%s; compress it again with zstd --long=31 or less",
                          (long long)place(s), wants, human_bytes(most, ZSTD_MAX_WINDOW));
        return ERR_DATA;
    }
    if (f.window <= s->window) return OK;  /* the decoder keeps the largest */
    if (f.window + DECODER_BYTES > limit_memory())
        return fail(ERR_MEMORY, "%s: the zstd frame at byte %lld needs a window of %s, and the "
                    "memory of this job is %s; ask for more, or compress it again with a smaller "
                    "--long", s->raw->path, (long long)place(s), wants,
                    human_bytes(most, limit_memory()));
    mem_borrow(f.window - s->window);
    s->window = f.window;
    return OK;
}

/* Describe what was lost, and where: the frame is damaged, or the file ends inside it.
 * error  what zstd returned; 0: the file has ended */
static int lose(struct unzstd *s, size_t error, char **why)
{
    char *part = s->frame.content < 0 ? mem_string("") :
                 mem_format(" of %lld", (long long)s->frame.content);

    if (error && ZSTD_getErrorCode(error) == ZSTD_error_dictionary_wrong) {
        *why = mem_format("the zstd frame at byte %lld was made with a dictionary; compress the "
                          "text again without one (zstd -D)", (long long)s->frame_at);
    } else if (error && ZSTD_getErrorCode(error) == ZSTD_error_checksum_wrong) {
        s->doubtful = s->frame_given;
        *why = mem_format("damaged: the content of the zstd frame from byte %lld to byte %lld "
                          "does not have its checksum, so documents from it may be wrong",
                          (long long)s->frame_at, (long long)place(s));
    } else if (error) {
        *why = mem_format("damaged between bytes %lld and %lld (%s), in the zstd frame that "
                          "begins at byte %lld: %lld%s bytes of its content were read",
                          (long long)s->good, (long long)place(s), ZSTD_getErrorName(error),
                          (long long)s->frame_at, (long long)s->frame_given, part);
    } else {
        *why = mem_format("truncated: the file ends at byte %lld inside the zstd frame that "
                          "begins at byte %lld: %lld%s bytes of its content were read",
                          (long long)s->raw->taken, (long long)s->frame_at,
                          (long long)s->frame_given, part);
    }
    mem_free(part);
    return ERR_DATA;
}

static int read_zstd(void *state, char *out, int64_t room, int64_t *got, char **why)
{
    struct unzstd *s = state;
    ZSTD_outBuffer to = { out, (size_t)room, 0 };

    while (to.pos == 0) {
        const int begins = s->owed == 0 && !s->full;
        int rc = raw_fill(s->raw, begins ? FRAME_HEAD : s->full ? 0 : 1);
        if (rc != OK) return rc;
        const int64_t there = unread(s);
        if (begins && there == 0) break;
        if (begins && (rc = begin_frame(s, why)) != OK) return rc;

        /* Give the decoder one block at a time, without the three bytes of the next header that
         * it asks for in addition: so everything before a damaged block has been returned. */
        const size_t step = s->full ? 0 : begins ? FRAME_HEAD : s->owed > 3 ? s->owed - 3 : s->owed;
        ZSTD_inBuffer from = { next(s), (size_t)there < step ? (size_t)there : step, 0 };
        const size_t owed = ZSTD_decompressStream(s->zstd, &to, &from);
        s->raw->at += (int64_t)from.pos;
        if (ZSTD_getErrorCode(owed) == ZSTD_error_memory_allocation)
            return fail(ERR_MEMORY, "%s: out of memory: the window of the zstd frame at byte %lld "
                        "wants %lld bytes", s->raw->path, (long long)s->frame_at,
                        (long long)s->frame.window);
        if (ZSTD_isError(owed)) return lose(s, owed, why);
        if (there == 0 && to.pos == 0 && !s->full) return lose(s, 0, why);
        s->owed = owed;
        s->full = to.pos == to.size && owed != 0;
        if (to.pos > 0 || owed == 0) s->good = place(s);
    }
    s->frame_given += (int64_t)to.pos;
    *got = (int64_t)to.pos;
    return OK;
}

/* The missing part of a frame that tells its size; else an estimate from the compression ratio so
 * far, and 0 for standard input. */
static int64_t left_zstd(const void *state, int64_t given)
{
    const struct unzstd *s = state;
    const int64_t size = s->raw->size;
    const int64_t in_frame = s->frame.content > s->frame_given ? s->frame.content - s->frame_given
                                                               : 0;
    if (size < 0) return in_frame + s->doubtful;
    const int64_t read = s->good > 0 ? s->good : 1, rest = size > s->good ? size - s->good : 0;
    const double ratio = given > read ? (double)given / (double)read : 1.0;
    const int64_t guess = (int64_t)(ratio * (double)rest);
    return s->doubtful + (in_frame > guess ? in_frame : guess);
}

const struct decoder decode_zstd = {
    .name = "zstd", .ending = ".zst", .begins = begins_zstd, .open = open_zstd,
    .close = close_zstd, .read = read_zstd, .left = left_zstd,
};
