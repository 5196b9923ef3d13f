/* SPDX-License-Identifier: Apache-2.0 */
/* In place of unpack_libarchive.c in a build without that library. */
#include "data_prep/unpack.h"

#include <stddef.h>

#include "src/base/status.h"

int unpack_open(struct unpack **out, enum unpack_kind kind, const char *path, unpack_pull pull,
                void *arg)
{
    static const char *const command[] = {
        [UNPACK_XZ] = "xz -dc", [UNPACK_BZIP2] = "bzip2 -dc", [UNPACK_LZ4] = "lz4 -dc",
    };

    (void)pull;
    (void)arg;
    *out = NULL;
    return fail(ERR_CONFIG, "%s: this program was built without libarchive, which reads it; build "
                "with it, or pipe the text through: %s | ttt prep -", path, command[kind]);
}

void unpack_close(struct unpack *u) { (void)u; }

int unpack_read(struct unpack *u, char *out, int64_t room, int64_t *got, char **why)
{
    (void)u;
    (void)out;
    (void)room;
    (void)got;
    (void)why;
    return fail(ERR_CONFIG, "nothing was opened");
}
