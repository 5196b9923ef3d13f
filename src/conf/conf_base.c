/* Files that a configuration begins with. */
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/conf/conf_reader.h"

#define MAX_DEPTH 8  /* a file that is its own base ends here */

void conf_base(struct reader *r, const char *path, struct place at)
{
    const char *slash = strrchr(at.file, '/');
    const int dir = *path == '/' || !slash ? 0 : (int)(slash - at.file) + 1;
    char *file = NULL;
    size_t n = 0;

    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127) {
            conf_complain(r, at, "base", "expected a path, found a control character in it");
            return;
        }
    if (r->source != FROM_FILE || r->depth >= MAX_DEPTH || r->n_bases >= CONF_MAX_BASES) {
        conf_complain(r, at, "base", r->source != FROM_FILE ? "expected none: this text is not a file"
                      : r->depth >= MAX_DEPTH ? "expected at most 8 files, each the base of the "
                      "next, found more" : "expected at most 32 files in all, found more");
        return;
    }
    char *name = r->bases[r->n_bases++] = mem_format("%.*s%s", dir, at.file, path);
    const int there = file_slurp(&file, &n, name, CONF_MAX_FILE) == OK;
    const char *text = file;
    if (!there) {
        conf_complain(r, at, "base", "expected a file that can be read, found '%s'", name);
    } else if (conf_readable(r, name, &text, &n)) {
        r->depth++;
        conf_yaml(r, name, text, n);
        r->depth--;
    }
    mem_free(file);
}

void conf_bases_done(struct reader *r)
{
    while (r->n_bases > 0) mem_free(r->bases[--r->n_bases]);
}
