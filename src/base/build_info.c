/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/build_info.h"

#include <stdio.h>
#include <string.h>

#include "src/base/real.h"
#include "src/base/version.h"

#ifdef TTT_COMMIT
#define BUILT_VERSION TTT_VERSION " (" TTT_COMMIT ")"
#else
#define BUILT_VERSION TTT_VERSION
#endif
#ifndef TTT_PREFIX
#define TTT_PREFIX "/usr/local"
#endif

const char *build_release(void) { return TTT_VERSION; }
const char *build_version(void) { return BUILT_VERSION; }
const char *build_prefix(void) { return TTT_PREFIX; }

const char *build_text(void)
{
    return "ttt " BUILT_VERSION ", real " REAL_DTYPE ", "
#ifdef __clang__
           "clang " __clang_version__;
#else
           "gcc " __VERSION__;
#endif
}

const char *build_cpu(void)
{
    static char name[128] = "unknown";
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f) return name;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "model name", 10)) continue;
        const char *colon = strchr(line, ':');
        if (colon) snprintf(name, sizeof name, "%s", colon + 2);
        name[strcspn(name, "\n")] = '\0';
        break;
    }
    fclose(f);
    return name;
}
