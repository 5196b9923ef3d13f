/* SPDX-License-Identifier: Apache-2.0 */
/* What --help prints: the page for people, or files that are made of the same tables. */
#include <stdio.h>
#include <string.h>

#include "src/base/roff.h"
#include "src/cli/args.h"

static struct { enum args_form form; const char *name, *what; } wanted;

void args_form(enum args_form form, const char *name, const char *what)
{
    wanted.form = form;
    wanted.name = name;
    wanted.what = what;
}

static const char *dashes(const struct arg *a) { return a->name[1] ? "--" : "-"; }

/* Does the usage not say that there are options? */
static int say_options(const char *usage, int count)
{
    return count > 0 && !strstr(usage, "[OPTION");
}

static void page(const struct arg *args, int count, const char *usage, const char *about)
{
    printf("usage: %s%s\n", usage, say_options(usage, count) ? " [OPTION ...]" : "");
    if (about) printf("\n%s%s", about, about[strlen(about) - 1] == '\n' ? "" : "\n");
    printf("\noptions\n");
    for (int i = 0; i < count; i++) {
        const struct arg *a = &args[i];
        const int n = printf("  %s%s%s%s", dashes(a), a->name, a->meta ? " " : "",
                             a->meta ? a->meta : "");
        printf("%*s ", n < 26 ? 26 - n : 0, "");
        for (const char *p = a->help; *p; p++) {  /* further lines start under the first */
            putchar(*p);
            if (*p == '\n') printf("%27s", "");
        }
        putchar('\n');
    }
    printf("  %-24s %s\n", "--help", "print this page");
}

/* --- a manual page ---------------------------------------------------------- */

static void man(const struct arg *args, int count, const char *usage, const char *about)
{
    char name[64];

    snprintf(name, sizeof name, "ttt %s", wanted.name);
    roff_head(stdout, name, 1, wanted.what);
    printf(".SH SYNOPSIS\n");
    roff_text(stdout, usage);
    printf("%s\n", say_options(usage, count) ? " [OPTION ...]" : "");
    if (about) {  /* tables and examples keep their lines */
        printf(".SH DESCRIPTION\n.nf\n");
        roff_text(stdout, about);
        printf("\n.fi\n");
    }
    printf(".SH OPTIONS\n");
    for (int i = 0; i < count; i++) {
        printf(".TP\n\\fB");
        roff_text(stdout, dashes(&args[i]));
        roff_text(stdout, args[i].name);
        printf("\\fR ");
        roff_text(stdout, args[i].meta ? args[i].meta : "");
        putchar('\n');
        roff_text(stdout, args[i].help);
        putchar('\n');
    }
    printf(".TP\n\\fB\\-\\-help\\fR\nprint usage and options\n"
           ".SH SEE ALSO\nttt(1), ttt\\-run(5)\n");
}

/* --- completion ---------------------------------------------------------------- */

void args_quoted(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'') fputs("'\\''", stdout);
        else putchar(*text == '\n' ? ' ' : *text);
    }
}

/* The case of one command; where parts have no pages, the next word is not looked at. */
static void begin_case(void)
{
    printf("    '%s%s) ", wanted.name, strchr(wanted.name, ' ') ? "'" : " '*");
}

static void bash(const struct arg *args, int count)
{
    begin_case();
    printf("options='");
    for (int i = 0; i < count; i++) printf("%s%s ", dashes(&args[i]), args[i].name);
    printf("--help' ;;\n");
}

/* In a description of _arguments, brackets and colons end something. */
static void zsh_text(const char *text)
{
    for (; *text; text++) {
        if (strchr("[]:\\", *text)) putchar('\\');
        args_quoted((char[]){ *text, '\0' });
    }
}

static void zsh(const struct arg *args, int count)
{
    begin_case();
    printf("_arguments \\\n");
    for (int i = 0; i < count; i++) {
        const struct arg *a = &args[i];
        printf("        '%s%s%s[", a->kind == ARG_LIST ? "*" : "", dashes(a), a->name);
        zsh_text(a->help);
        putchar(']');
        if (a->kind != ARG_FLAG) {
            putchar(':');
            zsh_text(a->meta ? a->meta : "value");
            printf(":%s", a->kind == ARG_LIST && !strcmp(a->name, "set") ? "_ttt_keys" : "_files");
        }
        printf("' \\\n");
    }
    printf("        '--help[print usage and options]' '*:file:_files' ;;\n");
}

void args_help(const struct arg *args, int count, const char *usage, const char *about)
{
    switch (wanted.form) {
    case ARGS_PAGE: page(args, count, usage, about); break;
    case ARGS_MAN: man(args, count, usage, about); break;
    case ARGS_BASH: bash(args, count); break;
    case ARGS_ZSH: zsh(args, count); break;
    }
}
