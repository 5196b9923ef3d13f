/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.h -- every command of the program: one row in mpi/app/main.c, one function, one file,
 * mpi/app/cmd_NAME.c (mpi/bench/cmd_bench.c).
 *
 * argv[0] is the command's name.  A command returns a status; main() turns it into the exit code.
 * "--help" prints the command's own page to stdout.
 */
#ifndef CMD_H
#define CMD_H

#include <stdio.h>

struct command {
    const char *name;
    int       (*run)(int argc, char **argv);
    const char *about;
    const char *words;              /* that may follow its name, or NULL            */
    const struct command *parts;    /* words with pages of their own, or NULL       */
};

/* Tables end with a row without a name. */
extern const struct command bench_parts[], ckpt_parts[], data_parts[];

/* The table of all commands, which must stay valid, for cmd_help() and the page of `ttt --help`.
 * Local. */
void help_table(const struct command *table);
void help_overview(FILE *out);

int cmd_prep(int argc, char **argv);
int cmd_data(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_launch(int argc, char **argv);
int cmd_series(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_generate(int argc, char **argv);
int cmd_probe(int argc, char **argv);
int cmd_data_import(int argc, char **argv);    /* these two by cmd_data() */
int cmd_data_export(int argc, char **argv);
int cmd_ckpt(int argc, char **argv);
int cmd_ckpt_spectrum(int argc, char **argv);  /* called by cmd_ckpt() */
int cmd_import(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_help(int argc, char **argv);

#endif
