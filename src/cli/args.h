/* SPDX-License-Identifier: Apache-2.0 */
/* args.h -- options of a command line: --name VALUE, --name=VALUE, --flag.
 *
 *     struct arg a[] = {
 *         { "temperature", ARG_DOUBLE, &temperature, "X", "softmax temperature; 0: greedy" },
 *         { "json",        ARG_FLAG,   &json,        NULL, "print JSON" },
 *     };
 *     TRY(args_parse(&rest, argc, argv, a, 2, "ttt eval MODEL DATA", about));
 */
#ifndef ARGS_H
#define ARGS_H

#include <stdint.h>

enum arg_kind {
    ARG_FLAG,    /* int, set to 1                               */
    ARG_INT,     /* int64_t                                     */
    ARG_DOUBLE,  /* double                                      */
    ARG_TEXT,    /* const char *                                */
    ARG_TARGET,  /* const char *: a file to write, file_target() */
    ARG_LIST     /* struct arg_list: may be given several times */
};

struct arg_list { char *v[64]; int n; };

struct arg {
    const char   *name;    /* without the dashes; one letter gives -x */
    enum arg_kind kind;
    void         *value;   /* keeps its value when the option is absent */
    const char   *meta;    /* what stands for the value in the help     */
    const char   *help;
};

/* What is left of a command line without its options. */
struct arg_rest { char **v; int n; const struct arg *args; uint64_t given; };

/* Options may stand anywhere; after "--" nothing is an option.
 * --help prints usage, about and the options, and sets rest->n to -1: the
 * caller returns OK before it does anything else.  Unknown options, missing and malformed values are
 * ERR_USAGE with the nearest known option.  argv is reordered. */
int args_parse(struct arg_rest *rest, int argc, char **argv, const struct arg *args, int count,
               const char *usage, const char *about);

/* --help in other forms, for files that `ttt help` makes of the same tables: a manual page, or one
 * command's case in the script with which a shell completes options. */
enum args_form { ARGS_PAGE, ARGS_MAN, ARGS_BASH, ARGS_ZSH };

/* From now on args_parse() prints --help in this form.  Local.
 *
 * name     the command's, as "bench gemm"; it must stay valid, and so must
 * what     one line that says what the command does */
void args_form(enum args_form form, const char *name, const char *what);

/* What --help prints (args_help.c). */
void args_help(const struct arg *args, int count, const char *usage, const char *about);

/* A text inside '...' of a shell.  Local. */
void args_quoted(const char *text);

/* Was the option called `name` given? */
int args_given(const struct arg_rest *rest, const char *name);

/* Refuse options that were given but that `what` does not use, instead of ignoring them: ERR_USAGE.
 *
 * names    the options that it uses, separated by blanks */
int args_only(const struct arg_rest *rest, const char *what, const char *names);

#endif
