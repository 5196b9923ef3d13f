/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/decode_archive.h"

#include <string.h>

#include "data_prep/raw.h"
#include "data_prep/unpack.h"
#include "src/base/mem.h"
#include "src/base/status.h"

struct packed { struct raw *raw; struct unpack *unpack; };

/* What the file brings now. */
static int pull(void *arg, const char **p, int64_t *n, char **why)
{
    struct raw *raw = arg;
    const int rc = raw_fill(raw, 1);

    (void)why;
    *p = raw->bytes + raw->at;
    *n = raw->end - raw->at;
    raw->at = raw->end;
    return rc;
}

static int begin(void **state, struct raw *raw, enum unpack_kind kind)
{
    struct packed *s = mem_new(1, sizeof *s, "decoder");

    *state = s;
    s->raw = raw;
    return unpack_open(&s->unpack, kind, raw->path, pull, raw);
}

static int open_xz(void **state, struct raw *raw) { return begin(state, raw, UNPACK_XZ); }
static int open_bzip2(void **state, struct raw *raw) { return begin(state, raw, UNPACK_BZIP2); }
static int open_lz4(void **state, struct raw *raw) { return begin(state, raw, UNPACK_LZ4); }

static void close_stream(void *state)
{
    struct packed *s = state;

    if (!s) return;
    unpack_close(s->unpack);
    mem_free(s);
}

static int read_stream(void *state, char *out, int64_t room, int64_t *got, char **why)
{
    const struct packed *s = state;
    return unpack_read(s->unpack, out, room, got, why);
}

static int64_t left_stream(const void *state, int64_t given)
{
    const struct packed *s = state;
    return raw_left(s->raw, given);
}

static int begins_xz(const char *p, int64_t n)
{
    return n >= 6 && memcmp(p, "\xfd" "7zXZ\0", 6) == 0;
}

/* "BZh" and a digit, then the magic number of a block or of the end. */
static int begins_bzip2(const char *p, int64_t n)
{
    return n >= 10 && memcmp(p, "BZh", 3) == 0 &&
           (memcmp(p + 4, "1AY&SY", 6) == 0 || memcmp(p + 4, "\x17rE8P\x90", 6) == 0);
}

static int begins_lz4(const char *p, int64_t n)
{
    return n >= 4 && memcmp(p, "\x04\x22\x4d\x18", 4) == 0;
}

#define STREAM(which, end)                                                                  \
    { .name = #which, .ending = end, .begins = begins_##which, .open = open_##which,        \
      .close = close_stream, .read = read_stream, .left = left_stream }

const struct decoder decode_xz = STREAM(xz, ".xz");
const struct decoder decode_bzip2 = STREAM(bzip2, ".bz2");
const struct decoder decode_lz4 = STREAM(lz4, ".lz4");
