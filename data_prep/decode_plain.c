/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/decode_plain.h"

#include "data_prep/raw.h"
#include "src/base/status.h"

static int open_plain(void **state, struct raw *raw)
{
    *state = raw;
    return OK;
}

static void close_plain(void *state) { (void)state; }

static int seek_plain(void *state, int64_t offset) { return raw_seek(state, offset); }

static int read_plain(void *state, char *out, int64_t room, int64_t *got, char **why)
{
    (void)why;
    return raw_read(state, out, room, got);
}

static int64_t left_plain(const void *state, int64_t given)
{
    const struct raw *raw = state;
    return raw->size > given ? raw->size - given : 0;
}

const struct decoder decode_plain = {
    .name = "none", .ending = "", .open = open_plain, .close = close_plain, .seek = seek_plain,
    .read = read_plain, .left = left_plain,
};
