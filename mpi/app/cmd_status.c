/* SPDX-License-Identifier: Apache-2.0 */
/* ttt status: look at runs. */
#include <stdio.h>
#include <unistd.h>

#include "jobs/run_state.h"
#include "src/base/file.h"
#include "src/base/output.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"

static const char about[] =
    "Show the state of runs, from their folders and from squeue and sacct: step, loss, rate, time\n"
    "left, last checkpoint, restarts, SLURM job, and the reason of the state (jobs/RUNS.md).\n"
    "RUN is a run's folder or a folder of runs (default logs). A run that cannot be read in full\n"
    "has a note in its row, and the exit code is then not 0.\n"
    "\n"
    "example\n"
    "  ttt status logs --watch 10";

int cmd_status(int argc, char **argv)
{
    static char logs[] = "logs";
    char *all[] = { logs };
    struct arg_rest rest;
    int64_t watch = 0;
    int rc = OK, json = 0, seen = OK;
    const struct arg args[] = {
        { "watch", ARG_INT, &watch, "S", "repeat every S seconds, until interrupted" },
        { "json", ARG_FLAG, &json, NULL, "print JSON" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                   "ttt status [RUN ...] [--watch S]", about));
    if (rest.n < 0) return OK;
    if (watch < 0 || watch > 86400) TRY(fail(ERR_USAGE, "--watch: expected 1 to 86400 seconds"));
    if (!rest.n && path_is_absent(logs))
        TRY(fail(ERR_MISSING, "there is no folder logs here: change to the folder in which runs were "
                 "started, or name one: ttt status FOLDER"));
    for (;;) {
        if (watch && isatty(STDOUT_FILENO)) printf("\033[H\033[2J");
        seen = run_states_show(rest.n ? rest.v : all, rest.n ? rest.n : 1, json);
        TRY(output_check());
        if (!watch) break;
        sleep((unsigned)watch);
    }
    rc = seen;
out:
    return rc;
}
