/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a configuration begins with: where they are, and their text. */
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/share_dir.h"
#include "src/base/status.h"
#include "src/conf/conf_reader.h"

#define MAX_DEPTH 8  /* a file that is its own base ends here */

char *conf_locate(const char *from, const char *path)
{
    static const char *const below[] = { "config/", "" };
    const char *slash = strrchr(from, '/');
    const int dir = *path == '/' || !slash ? 0 : (int)(slash - from) + 1;
    char *near = mem_format("%.*s%s", dir, from, path), *share;

    if (*path == '/' || !path_is_absent(near)) return near;
    share = share_dir();
    for (int i = 0; i < 2; i++) {
        char *ours = mem_format("%s/%s%s", share, below[i], path);
        if (path_exists(ours)) {
            mem_free(near);
            mem_free(share);
            return ours;
        }
        mem_free(ours);
    }
    mem_free(share);
    return near;
}

char *conf_base(struct conf_reader *r, const char *path, struct conf_place at, size_t *n)
{
    char *file = NULL;

    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127) {
            conf_complain(r, at, "base", "expected a path, found a control character in it");
            return NULL;
        }
    if (r->origin != FROM_FILE || r->depth >= MAX_DEPTH || r->n_bases >= CONF_MAX_BASES) {
        conf_complain(r, at, "base",
                      r->origin != FROM_FILE ? "expected none: this text is not a file"
                      : r->depth >= MAX_DEPTH ? "expected at most 8 files, each the base of the "
                      "next, found more" : "expected at most 32 files in all, found more");
        return NULL;
    }
    r->bases[r->n_bases] = conf_locate(at.file, path);
    if (file_slurp(&file, n, r->bases[r->n_bases++], CONF_MAX_FILE) == OK) return file;
    char *share = share_dir();
    conf_complain(r, at, "base",
                  "expected a file that can be read, here or in %s/config, found '%s'", share,
                  r->bases[r->n_bases - 1]);
    mem_free(share);
    mem_free(file);
    return NULL;
}

void conf_bases_done(struct conf_reader *r)
{
    while (r->n_bases > 0) mem_free(r->bases[--r->n_bases]);
}
