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
#include "src/cli/cmd.h"
#include "src/kernels/isa.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} commands[] = {
    { "prep", cmd_prep, "turn text into token shards" },
    { "data", cmd_data, "describe a data set, verify it, print its text" },
    { "config", cmd_config, "check a configuration, show it with the memory it needs" },
    { "train", cmd_train, "train a model, or resume its run" },
    { "launch", cmd_launch, "start training on many processes, restart it after crashes" },
    { "series", cmd_series, "start many runs from one file, here or as SLURM jobs" },
    { "status", cmd_status, "show the state of runs" },
    { "stop", cmd_stop, "ask a run to save a checkpoint and end" },
    { "plan", cmd_plan, "predict time, idle share, traffic and memory of process grids" },
    { "bench", cmd_bench, "measure this machine, and training on it" },
    { "eval", cmd_eval, "evaluate a model on a data set: loss, perplexity, bits per byte" },
    { "generate", cmd_generate, "continue a text" },
    { "probe", cmd_probe, "write logits, gradients and states of a model, for comparison" },
    { "ckpt", cmd_ckpt, "list, show, verify and compare checkpoints; singular values" },
    { "import", cmd_import, "import a Hugging Face model as a checkpoint" },
    { "export", cmd_export, "export a checkpoint as a Hugging Face model" },
    { NULL, NULL, NULL },
};

static void help(FILE *out)
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
    output_start();
    signal(SIGXFSZ, SIG_IGN);   /* `ulimit -f`: an error of the write that meets the limit */
    if (argc < 2) {
        help(stderr);
        return -ERR_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help(stdout);
        return ended(OK);
    }
    if (!strcmp(argv[1], "--version")) {
        puts(build_text());
        return ended(OK);
    }
    if (openmp_check() != OK) return -ERR_USAGE;
    wait_briefly(argv);
    if (isa_check() != OK) return -ERR_USAGE;
    for (int i = 0; commands[i].name; i++)
        if (!strcmp(argv[1], commands[i].name)) return ended(commands[i].run(argc - 1, argv + 1));
    fail(ERR_USAGE, "'%s' is not a command; ttt --help lists them", argv[1]);
    return -ERR_USAGE;
}
