/* SPDX-License-Identifier: Apache-2.0 */
/* ttt help: the pages of all commands, for people, for man, and for the completion of shells, made
 * of the tables with which the program reads its command lines and configurations. */
#include <stdio.h>
#include <string.h>

#include "src/base/build_info.h"
#include "src/base/roff.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/conf/conf_table.h"

#define USAGE "ttt help [COMMAND [PART]]"

static const char about[] =
    "Print the page of a command, as ttt COMMAND --help does. make install uses the options:\n"
    "they print the files for man and for the shells, of the same tables.\n"
    "\n"
    "examples\n"
    "  ttt help bench gemm\n"
    "  ttt help --bash >~/.local/share/bash-completion/completions/ttt\n"
    "  ttt help train --man | man -l -";

static const struct command *commands;

void help_table(const struct command *table) { commands = table; }

/* The page ttt-run(5) is about a file, not a command. */
static const char run_page[] = "run";

void help_overview(FILE *out)
{
    const char *text;
    int code;

    fprintf(out, "ttt -- train Test-Time-Training language models on clusters of CPUs\n\n"
                 "usage: ttt COMMAND [ARGUMENT ...]     (ttt COMMAND --help prints its options)\n\n"
                 "commands\n");
    for (int i = 0; commands[i].name; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].about);
    fprintf(out, "\nexit codes\n");
    for (int i = 0; (text = status_row(i, &code)); i++) fprintf(out, "  %-10d %s\n", code, text);
    fprintf(out, "\n%s\n", build_text());
}

static const struct command *find(const struct command *table, const char *name)
{
    for (; table && table->name; table++)
        if (!strcmp(table->name, name)) return table;
    return NULL;
}

/* --help of a command, or of the part of one, in a form. */
static int print(enum args_form form, const char *of, const struct command *c)
{
    char word[32], help[] = "--help", name[64], *argv[] = { word, help, NULL };

    snprintf(word, sizeof word, "%s", c->name);
    snprintf(name, sizeof name, "%s%s%s", of ? of : "", of ? " " : "", c->name);
    args_form(form, name, c->about);
    const int rc = c->run(2, argv);
    args_form(ARGS_PAGE, NULL, NULL);
    return rc;
}

/* All commands; of each first its parts, whose cases are the narrower ones. */
static int print_all(enum args_form form)
{
    int rc = OK;

    for (const struct command *c = commands; c->name; c++) {
        for (const struct command *p = c->parts; p && p->name; p++) TRY(print(form, c->name, p));
        TRY(print(form, NULL, c));
    }
out:
    return rc;
}

/* --- man ------------------------------------------------------------------------ */

static void man_of_all(void)
{
    const char *text;
    int code;

    roff_head(stdout, "ttt", 1, "train Test-Time-Training language models on clusters of CPUs");
    printf(".SH SYNOPSIS\nttt COMMAND [ARGUMENT ...]\n.SH COMMANDS\n");
    for (const struct command *c = commands; c->name; c++) {
        printf(".TP\n\\fBttt\\-%s\\fR(1)\n", c->name);
        roff_text(stdout, c->about);
        putchar('\n');
    }
    printf(".SH EXIT STATUS\n");
    for (int i = 0; (text = status_row(i, &code)); i++) {
        printf(".TP\n%d\n", code);
        roff_text(stdout, text);
        putchar('\n');
    }
    printf(".SH ENVIRONMENT\n"
           ".TP\nTTT_SHARE\nfolder of the files that come with the program, instead of share/ttt\n"
           ".TP\nTTT_ISA\nthe best instruction set that may be used: amx, avx512, avx2 or plain\n"
           ".TP\nOMP_NUM_THREADS\nthreads of a process\n"
           ".TP\nMPIRUN\nthe command with which ttt launch starts processes\n"
           ".SH SEE ALSO\nttt\\-run(5), the keys of a configuration\n");
}

/* Their names, one a line: "ttt", "train", "bench gemm", "run". */
static void list_pages(void)
{
    puts("ttt");
    for (const struct command *c = commands; c->name; c++) {
        puts(c->name);
        for (const struct command *p = c->parts; p && p->name; p++)
            printf("%s %s\n", c->name, p->name);
    }
    puts(run_page);
}

/* --- completion ----------------------------------------------------------------- */

/* What may follow a command: parts with pages of their own, and other words. */
static int has_words(const struct command *c) { return c->words || c->parts; }

static void print_words(const struct command *c)
{
    if (c->words) printf("%s ", c->words);
    for (const struct command *p = c->parts; p && p->name; p++) printf("%s ", p->name);
}

static void print_keys(void)
{
    for (int i = 0; i < conf_key_count; i++) printf(" %s", conf_keys[i].path);
}

static int print_bash(void)
{
    int rc = OK;

    printf("# bash completion of ttt %s, made by: ttt help --bash\n"
           "_ttt() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local words= options=\n"
           "    COMPREPLY=()\n"
           "    case ${COMP_WORDS[1]} in\n", build_release());
    for (const struct command *c = commands; c->name; c++) {
        if (!has_words(c)) continue;
        printf("    %s) words='", c->name);
        print_words(c);
        printf("' ;;\n");
    }
    printf("    esac\n"
           "    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    TRY(print_all(ARGS_BASH));
    printf("    esac\n"
           "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
           "        words='");
    for (const struct command *c = commands; c->name; c++) printf("%s ", c->name);
    printf("'; options='--help --version'\n"
           "    elif [ \"$COMP_CWORD\" != 2 ]; then\n"
           "        words=\n"
           "    fi\n"
           "    if [ \"$prev\" = --set ]; then\n"
           "        compopt -o nospace 2>/dev/null\n"
           "        COMPREPLY=($(compgen -S = -W '");
    print_keys();
    printf("' -- \"$cur\"))\n"
           "        return\n"
           "    fi\n"
           "    case $cur in\n"
           "    -*) words=$options ;;\n"
           "    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "}\n"
           "complete -o default -F _ttt ttt\n");
out:
    return rc;
}

static int print_zsh(void)
{
    int rc = OK;

    printf("#compdef ttt\n"
           "# zsh completion of ttt %s, made by: ttt help --zsh\n"
           "_ttt_keys() {\n"
           "    compadd -S = --", build_release());
    print_keys();
    printf("\n}\n"
           "_ttt() {\n"
           "    local -a commands words_of\n"
           "    commands=(\n");
    for (const struct command *c = commands; c->name; c++) {
        printf("        '%s:", c->name);
        args_quoted(c->about);
        printf("'\n");
    }
    printf("    )\n"
           "    if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
           "    case $words[2] in\n");
    for (const struct command *c = commands; c->name; c++) {
        if (!has_words(c)) continue;
        printf("    %s) words_of=(", c->name);
        print_words(c);
        printf(") ;;\n");
    }
    printf("    esac\n"
           "    if (( CURRENT == 3 && $#words_of )) && [[ $PREFIX != -* ]]; then\n"
           "        compadd -a words_of\n"
           "        return\n"
           "    fi\n"
           "    case \"$words[2] $words[3]\" in\n");
    TRY(print_all(ARGS_ZSH));
    printf("    esac\n"
           "}\n"
           "_ttt \"$@\"\n");
out:
    return rc;
}

/* --- all -------------------------------------------------------------------------- */

/* The page that the words of a command line name. */
static int print_page(enum args_form form, char **word, int n)
{
    const struct command *c, *part;

    if (form == ARGS_MAN && n == 1 && !strcmp(word[0], run_page)) {
        conf_manual(stdout);
        return OK;
    }
    if (n == 0 || !strcmp(word[0], "ttt")) {
        if (form == ARGS_MAN) man_of_all();
        else help_overview(stdout);
        return OK;
    }
    c = find(commands, word[0]);
    if (!c) return fail(ERR_USAGE, "'%s' is not a command; ttt --help lists them", word[0]);
    if (n == 1) return print(form, NULL, c);
    part = find(c->parts, word[1]);
    return part ? print(form, c->name, part) : print(form, NULL, c);
}

int cmd_help(int argc, char **argv)
{
    int man = 0, bash = 0, zsh = 0, pages = 0, rc = OK;
    const struct arg args[] = {
        { "man", ARG_FLAG, &man, NULL, "print a manual page: ttt, a command, or run (the keys)" },
        { "man-pages", ARG_FLAG, &pages, NULL, "list all manual pages" },
        { "bash", ARG_FLAG, &bash, NULL, "print the completion for bash" },
        { "zsh", ARG_FLAG, &zsh, NULL, "print the completion for zsh" },
    };
    struct arg_rest rest;

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, USAGE, about));
    if (rest.n < 0) return OK;
    if (man + bash + zsh + pages > 1 || rest.n > (bash || zsh || pages ? 0 : 2))
        return fail(ERR_USAGE, "usage: %s, with one option at most", USAGE);
    if (bash) return print_bash();
    if (zsh) return print_zsh();
    if (pages) list_pages();
    else TRY(print_page(man ? ARGS_MAN : ARGS_PAGE, rest.v, rest.n));
out:
    return rc;
}
