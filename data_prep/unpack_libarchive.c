/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "src/base/mem.h"
#include "src/base/status.h"

struct unpack {
    struct archive *a;
    enum unpack_kind kind;
    const char *path;
    unpack_pull pull;
    void       *arg;
    int64_t     pulled;  /* bytes that libarchive got                     */
    int         begun, rc;  /* rc, why: how pull() failed                  */
    char       *why;
};

static const struct { const char *name; int filter; int (*add)(struct archive *); } kinds[] = {
    [UNPACK_XZ]    = { "xz", ARCHIVE_FILTER_XZ, archive_read_support_filter_xz },
    [UNPACK_BZIP2] = { "bzip2", ARCHIVE_FILTER_BZIP2, archive_read_support_filter_bzip2 },
    [UNPACK_LZ4]   = { "lz4", ARCHIVE_FILTER_LZ4, archive_read_support_filter_lz4 },
};

static la_ssize_t pull(struct archive *a, void *arg, const void **p)
{
    struct unpack *u = arg;
    const char *bytes = NULL;
    int64_t n = 0;

    if (u->rc == OK) u->rc = u->pull(u->arg, &bytes, &n, &u->why);
    if (u->rc != OK) {
        archive_set_error(a, EIO, "its bytes can't be read");
        return -1;
    }
    u->pulled += n;
    *p = bytes;
    return (la_ssize_t)n;
}

int unpack_open(struct unpack **out, enum unpack_kind kind, const char *path, unpack_pull from,
                void *arg)
{
    struct unpack *u = mem_new(1, sizeof *u, "unpacker");

    *out = u;
    *u = (struct unpack){ .a = archive_read_new(), .kind = kind, .path = path, .pull = from,
                          .arg = arg };
    if (!u->a || kinds[kind].add(u->a) != ARCHIVE_OK ||
        archive_read_support_format_raw(u->a) != ARCHIVE_OK)
        return fail(ERR_MEMORY, "%s: libarchive can't read %s: %s", path, kinds[kind].name,
                    u->a ? archive_error_string(u->a) : "out of memory");
    return OK;
}

void unpack_close(struct unpack *u)
{
    if (!u) return;
    if (u->a) archive_read_free(u->a);
    mem_free(u->why);
    mem_free(u);
}

/* What libarchive reports, or what stopped its reading. */
static int wrong(struct unpack *u, char **why)
{
    const char *text = archive_error_string(u->a);

    if (u->rc == ERR_DATA) {
        *why = mem_string(u->why ? u->why : "damaged");
        return ERR_DATA;
    }
    if (u->rc != OK) return u->rc;
    if (archive_errno(u->a) == ENOMEM)
        return fail(ERR_MEMORY, "%s: out of memory: %s", u->path, text ? text : "libarchive");
    *why = mem_format("damaged or truncated before byte %lld: %s",
                      (long long)archive_filter_bytes(u->a, -1), text ? text : "libarchive");
    return ERR_DATA;
}

/* Libarchive takes what follows the last stream of a file for something that it need not read;
 * a damaged beginning of another stream would be lost so.  Zero bytes are padding. */
static int check_end(struct unpack *u, char **why)
{
    const int64_t used = archive_filter_bytes(u->a, -1);
    int64_t n = 0;

    if (used < u->pulled) {
        *why = mem_format("expected the end or more %s data at byte %lld, found other bytes",
                          kinds[u->kind].name, (long long)used);
        return ERR_DATA;
    }
    const char *p = NULL;
    int rc = u->pull(u->arg, &p, &n, why);
    if (rc == OK && n > 0) {
        *why = mem_format("expected the end or more %s data at byte %lld, found other bytes",
                          kinds[u->kind].name, (long long)used);
        rc = ERR_DATA;
    }
    return rc;
}

/* Look at the beginning. */
static int begin(struct unpack *u, char **why)
{
    struct archive_entry *entry;

    u->begun = 1;
    if (archive_read_open(u->a, u, NULL, pull, NULL) != ARCHIVE_OK ||
        archive_read_next_header(u->a, &entry) != ARCHIVE_OK)
        return wrong(u, why);
    if (archive_filter_code(u->a, 0) == kinds[u->kind].filter) return OK;
    *why = mem_format("expected %s data, found other bytes", kinds[u->kind].name);
    return ERR_DATA;
}

int unpack_read(struct unpack *u, char *out, int64_t room, int64_t *got, char **why)
{
    *got = 0;
    if (!u->begun) {
        const int rc = begin(u, why);
        if (rc != OK) return rc;
    }
    const la_ssize_t n = archive_read_data(u->a, out, (size_t)room);
    if (n < 0) return wrong(u, why);
    *got = n;
    return n == 0 ? check_end(u, why) : OK;
}
