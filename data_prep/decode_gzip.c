/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/decode_gzip.h"

#include <string.h>
#include <zlib.h>

#include "data_prep/raw.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define GZIP_WINDOW (15 + 16)  /* zlib: the largest window, a gzip header and its checksum */

struct ungzip {
    struct raw *raw;
    z_stream    z;
    int         ready, inside;  /* z is initialised; a member has begun and not ended */
    int         wrong;          /* what inflate() returned, when its bytes were taken */
    int64_t     member_at, member_given;  /* where it begins; its content so far       */
    int64_t     doubtful;       /* given, and the checksum is wrong                    */
};

static int begins_gzip(const char *p, int64_t n)
{
    return n >= 3 && p[0] == '\x1f' && p[1] == '\x8b' && p[2] == 8;
}

static int open_gzip(void **state, struct raw *raw)
{
    struct ungzip *s = mem_new(1, sizeof *s, "decoder");

    s->raw = raw;
    *state = s;
    s->ready = inflateInit2(&s->z, GZIP_WINDOW) == Z_OK;
    return s->ready ? OK : fail(ERR_MEMORY, "out of memory: gzip stream");
}

static void close_gzip(void *state)
{
    struct ungzip *s = state;

    if (!s) return;
    if (s->ready) inflateEnd(&s->z);
    mem_free(s);
}

/* Look for the next member, after zero bytes that pad the one before.
 * more  [out] 0: the file has ended */
static int begin_member(struct ungzip *s, int *more, char **why)
{
    struct raw *raw = s->raw;
    int rc = raw_fill(raw, 3);

    while (rc == OK && raw_place(raw) > 0 && raw->at < raw->end && !raw->bytes[raw->at]) {
        raw->at++;
        rc = raw_fill(raw, 3);
    }
    *more = raw->at < raw->end;
    if (rc != OK || !*more) return rc;
    if (!begins_gzip(raw->bytes + raw->at, raw->end - raw->at)) {
        *why = mem_format("expected a gzip member at byte %lld, found other bytes",
                          (long long)raw_place(raw));
        return ERR_DATA;
    }
    inflateReset(&s->z);
    s->inside = 1;
    s->member_at = raw_place(raw);
    s->member_given = 0;
    return OK;
}

static int lose(struct ungzip *s, char **why)
{
    const long long at = (long long)raw_place(s->raw), from = (long long)s->member_at;

    if (s->wrong == Z_MEM_ERROR) return fail(ERR_MEMORY, "%s: out of memory: gzip", s->raw->path);
    if (s->wrong == Z_OK) {
        *why = mem_format("truncated: the file ends at byte %lld inside the gzip member that begins "
                          "at byte %lld: %lld bytes of its content were read", at, from,
                          (long long)s->member_given);
        return ERR_DATA;
    }
    if (s->z.msg && strstr(s->z.msg, "check")) s->doubtful = s->member_given;
    *why = mem_format("damaged before byte %lld (%s), in the gzip member that begins at byte %lld: "
                      "%lld bytes of its content were read", at, s->z.msg ? s->z.msg : "no zlib data",
                      from, (long long)s->member_given);
    return ERR_DATA;
}

static int read_gzip(void *state, char *out, int64_t room, int64_t *got, char **why)
{
    struct ungzip *s = state;
    const uInt most = room < (1 << 30) ? (uInt)room : 1 << 30;
    int more = 1, rc;

    *got = 0;
    while (*got == 0) {
        if (s->wrong) return lose(s, why);
        if (!s->inside) {
            rc = begin_member(s, &more, why);
            if (rc != OK || !more) return rc;
        }
        if ((rc = raw_fill(s->raw, 1)) != OK) return rc;
        const int64_t there = s->raw->end - s->raw->at;
        s->z.next_in = (Bytef *)s->raw->bytes + s->raw->at;
        s->z.avail_in = (uInt)there;
        s->z.next_out = (Bytef *)out;
        s->z.avail_out = most;
        const int code = inflate(&s->z, Z_NO_FLUSH);
        s->raw->at += there - s->z.avail_in;
        *got = most - s->z.avail_out;
        s->member_given += *got;
        if (code == Z_STREAM_END) s->inside = 0;
        else if (code != Z_OK && code != Z_BUF_ERROR) s->wrong = code;
        else if (there == 0 && *got == 0) return lose(s, why);
    }
    return OK;
}

static int64_t left_gzip(const void *state, int64_t given)
{
    const struct ungzip *s = state;
    return s->doubtful + raw_left(s->raw, given);
}

const struct decoder decode_gzip = {
    .name = "gzip", .ending = ".gz", .begins = begins_gzip, .open = open_gzip,
    .close = close_gzip, .read = read_gzip, .left = left_gzip,
};
