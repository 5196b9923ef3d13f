/* SPDX-License-Identifier: Apache-2.0 */
/* main.c -- the table of commands.  Commands that work without ranks never
 * start MPI. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/build_info.h"
#include "src/base/openmp.h"
#include "src/base/output.h"
#include "src/base/status.h"
#include "src/base/stop.h"
#include "src/cli/cmd.h"
#include "src/kernels/isa.h"

static const struct command commands[] = {
    { "prep", cmd_prep, .about = "turn text into token shards" },
    { "data", cmd_data, .about = "describe a data set, verify it, print its text; token ids",
      .words = "info verify cat", .parts = data_parts },
    { "config", cmd_config, .about = "check a configuration, show it with the memory it needs",
      .words = "show check reference" },
    { "train", cmd_train, .about = "train a model, or resume its run" },
    { "launch", cmd_launch, .about = "start training on many processes, restart it after crashes" },
    { "series", cmd_series, .about = "start many runs from one file, here or as SLURM jobs" },
    { "status", cmd_status, .about = "show the state of runs" },
    { "stop", cmd_stop, .about = "ask a run to save a checkpoint and end" },
    { "plan", cmd_plan, .about = "predict time, idle share, traffic and memory of process grids" },
    { "bench", cmd_bench, .about = "measure this machine, and training on it", .parts = bench_parts },
    { "eval", cmd_eval, .about = "evaluate a model on a data set: loss, perplexity, bits per byte" },
    { "generate", cmd_generate, .about = "continue a text" },
    { "probe", cmd_probe, .about = "write logits, gradients and states of a model, for comparison" },
    { "ckpt", cmd_ckpt, .about = "list, show, verify and compare checkpoints; singular values",
      .words = "list show verify diff", .parts = ckpt_parts },
    { "import", cmd_import, .about = "import a Hugging Face model as a checkpoint" },
    { "export", cmd_export, .about = "export a checkpoint as a Hugging Face model" },
    { "help", cmd_help, .about = "print the page of a command, manual pages, completion for shells" },
    { .name = NULL },
};

/* Threads that wait for others look out for some 20 us before they sleep.  By default they would do
 * so for milliseconds, in which another process on the same cores does nothing, nor do the threads
 * that are waited for.  libgomp reads this when it is loaded, so the program starts once more; if
 * it can't, it continues as it is. */
static void wait_briefly(char **argv)
{
    char self[PATH_MAX];
    ssize_t n;

    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || setenv("GOMP_SPINCOUNT", "2000", 1) != 0) return;
    self[n] = '\0';
    execv(self, argv);
}

/* The exit code of a command that ended with rc. */
static int ended(int rc)
{
    const int printed = output_check();
    return -(rc != OK ? rc : printed);
}

int main(int argc, char **argv)
{
    stop_start();
    output_start();
    help_table(commands);
    signal(SIGXFSZ, SIG_IGN);   /* `ulimit -f`: an error of the write that meets the limit */
    if (argc < 2) {
        help_overview(stderr);
        return -ERR_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        help_overview(stdout);
        return ended(OK);
    }
    if (!strcmp(argv[1], "--version")) {
        puts(build_text());
        return ended(OK);
    }
    if (openmp_check() != OK) return -ERR_USAGE;
    wait_briefly(argv);
    openmp_threads();
    if (isa_check() != OK) return -ERR_USAGE;
    for (int i = 0; commands[i].name; i++)
        if (!strcmp(argv[1], commands[i].name)) return ended(commands[i].run(argc - 1, argv + 1));
    fail(ERR_USAGE, "'%s' is not a command; ttt --help lists them", argv[1]);
    return -ERR_USAGE;
}
