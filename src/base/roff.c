/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/roff.h"

#include <ctype.h>

#include "src/base/build_info.h"

void roff_text(FILE *out, const char *text)
{
    int begins = 1;  /* a line: there "." and "'" are requests */

    for (const char *p = text; *p; p++) {
        if (begins && (*p == '.' || *p == '\'')) fputs("\\&", out);
        begins = *p == '\n';
        if (*p == '\\') fputs("\\e", out);
        else if (*p == '-') fputs("\\-", out);
        else if (*p == '\'') fputs("\\(aq", out);
        else if (*p != '`') putc(*p, out);
    }
}

void roff_head(FILE *out, const char *name, int section, const char *what)
{
    fputs(".TH ", out);  /* a page has dashes where the command line has blanks */
    for (const char *p = name; *p; p++) putc(*p == ' ' ? '-' : toupper((unsigned char)*p), out);
    fprintf(out, " %d \"\" \"ttt %s\" ttt\n.SH NAME\n", section, build_release());
    for (const char *p = name; *p; p++) fputs(*p == ' ' ? "\\-" : (char[]){ *p, 0 }, out);
    fputs(" \\- ", out);
    roff_text(out, what);
    putc('\n', out);
}
