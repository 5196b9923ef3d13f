/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/human.h"

#include <math.h>
#include <stdio.h>

const char *human_duration(char text[HUMAN_TEXT], double seconds)
{
    const double most = 1e6 * 86400;  /* so that the days fit their digits */

    if (!(seconds >= 0 && seconds < most)) {
        snprintf(text, HUMAN_TEXT, "-");
        return text;
    }
    const int64_t s = (int64_t)seconds;
    if (seconds < 9.95) snprintf(text, HUMAN_TEXT, "%.1fs", seconds);
    else if (s < 60) snprintf(text, HUMAN_TEXT, "%ds", (int)s);
    else if (s < 3600) snprintf(text, HUMAN_TEXT, "%dm%02ds", (int)(s / 60), (int)(s % 60));
    else if (s < 86400)
        snprintf(text, HUMAN_TEXT, "%dh%02dm", (int)(s / 3600), (int)(s / 60 % 60));
    else snprintf(text, HUMAN_TEXT, "%dd%02dh", (int)(s / 86400), (int)(s / 3600 % 24));
    return text;
}

const char *human_bytes(char text[HUMAN_TEXT], int64_t bytes)
{
    static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double x = (double)bytes / 1024;
    int u = 0;

    if (bytes < 1024) {
        snprintf(text, HUMAN_TEXT, "%d B", (int)bytes);
        return text;
    }
    while (x >= 1000 && u < 5) {
        x /= 1024;
        u++;
    }
    snprintf(text, HUMAN_TEXT, "%.3g %s", x, unit[u]);
    return text;
}
