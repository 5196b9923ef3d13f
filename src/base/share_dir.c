/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/share_dir.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/build_info.h"
#include "src/base/file.h"
#include "src/base/mem.h"

/* PREFIX of a program PREFIX/bin/ttt.  returns 0 if it is nowhere below another folder */
static int own_prefix(char prefix[PATH_MAX])
{
    const ssize_t n = readlink("/proc/self/exe", prefix, PATH_MAX - 1);

    if (n <= 0) return 0;
    prefix[n] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(prefix, '/');
        if (!slash) return 0;
        *slash = '\0';
    }
    return 1;
}

char *share_dir(void)
{
    const char *given = getenv("TTT_SHARE");
    char prefix[PATH_MAX];

    if (given && *given) return mem_string(given);
    if (own_prefix(prefix)) {
        char *dir = mem_format("%s/share/ttt", prefix);
        if (path_is_dir(dir)) return dir;
        mem_free(dir);
    }
    return mem_format("%s/share/ttt", build_prefix());
}
