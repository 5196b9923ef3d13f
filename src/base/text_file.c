/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/text_file.h"

#include <string.h>

#include "src/base/encoding.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

int text_file_read(char **text, size_t *n, const char *path, size_t cap)
{
    int rc = file_slurp(text, n, path, cap);
    if (rc != OK) return rc;

    const struct encoding *e = encoding_of(*text, (int64_t)*n);
    if (e) {
        char *found = encoding_sentence(e, 0);
        rc = fail(ERR_DATA, "%s: expected UTF-8, %s", path, found);
        mem_free(found);
        mem_free(*text);
        *text = NULL;
        *n = 0;
        return rc;
    }
    const size_t mark = (size_t)utf8_mark(*text, (int64_t)*n);
    *n -= mark;
    if (mark) memmove(*text, *text + mark, *n + 1);
    return OK;
}
