/* SPDX-License-Identifier: Apache-2.0 */
/* ttt launch: check everything, then train, through crashes. */
#include <stdio.h>
#include <string.h>

#include "jobs/launch.h"
#include "jobs/scheduler.h"
#include "jobs/slurm.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/output.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"

static const char usage[] =
    "ttt launch RUN.yaml [--slurm] [-n N] [--grid auto|DxPxS] [--set K=V ...]";
static const char about[] =
    "Start training with mpirun or as a SLURM job, and restart it after crashes.\n"
    "First the configuration, data, memory and disk are checked, and the fastest process grid\n"
    "that fits into memory is chosen. After a crash training resumes from its last checkpoint,\n"
    "as long as there are new checkpoints.\n"
    "In a job of SLURM, PBS, LSF or Flux it takes the job's hosts, and ends with 85 if the job is\n"
    "to be submitted again (jobs/README.md).\n"
    "\n"
    "examples\n"
    "  ttt launch my.yaml -n 8\n"
    "  ttt launch my.yaml --slurm --dry-run\n"
    "\n"
    "SIGTERM, SIGINT, SIGHUP (except under nohup), SIGUSR1 and SIGUSR2 save and end it.\n"
    "exit codes: 85 saved: repeat the command, 86 a process hung, 93 restarts bring no progress";

/* The only process of a batch script. */
static int in_job(struct launch *l, char **words)
{
    int rc = OK;

    TRY(slurm_hosts(l));
    if (l->o->measure) {
        TRY(launch_plan(l));
        return launch_measure(l);
    }
    if (slurm_is_requeued()) program_resume(l->conf->run.dir, l->job, words);
    TRY(slurm_begin(l));
    rc = launch_plan(l);
    if (rc == OK) rc = launch_run(l);
    rc = slurm_end(l, rc);
out:
    return rc;
}

/* What would be started, but with nobody who watches it: that takes a launcher. */
static void print(struct launch *l)
{
    l->token[0] = '\0';
    char **words = launch_command(l), *line = shell_line(words);
    printf("%s\n", line);
    mem_free(line);
    mem_free(words);
}

int cmd_launch(int argc, char **argv)
{
    static struct launch_opts o = { .mpirun = TTT_MPIRUN };
    struct launch l = { .o = NULL };
    struct arg_rest rest;
    char **words = mem_new(argc + 1, sizeof *words, "command line");
    int rc = OK, dry = 0, slurm = 0, inside = 0, anyway = 0;
    const struct arg args[] = {
        { "n", ARG_INT, &o.ranks, "N", "number of processes (launch.ranks)" },
        { "grid", ARG_TEXT, &o.grid, "DxPxS", "process grid, or auto: the fastest one (run.grid)" },
        { "hosts", ARG_TEXT, &o.hosts, "A:4,B:4", "hosts and their slots (launch.hosts)" },
        { "hostfile", ARG_TEXT, &o.hostfile, "FILE",
          "hosts from a file, one 'NAME slots=N' a line" },
        { "rates", ARG_TEXT, &o.rates, "FILE", "rates of the machine, from ttt bench rates" },
        { "measure", ARG_FLAG, &o.measure, NULL,
          "measure those rates into the run's folder, on this machine or as a job of five minutes" },
        { "set", ARG_LIST, &o.sets, "KEY=VALUE", "override a key of the configuration" },
        { "allow-config-change", ARG_FLAG, &o.allow_config_change, NULL, "as in ttt train" },
        { "allow-data-change", ARG_FLAG, &o.allow_data_change, NULL, "as in ttt train" },
        { "takeover", ARG_FLAG, &o.takeover, NULL, "as in ttt train" },
        { "slurm", ARG_FLAG, &slurm, NULL, "submit a SLURM job (launch.slurm)" },
        { "inside-slurm", ARG_FLAG, &inside, NULL,
          "run inside a SLURM job; the batch script calls this" },
        { "submit-anyway", ARG_FLAG, &anyway, NULL,
          "submit although SLURM does not tell whether an earlier job has ended" },
        { "dry-run", ARG_FLAG, &dry, NULL,
          "print the command line of mpirun, or the script of --slurm, and start nothing" },
    };

    memcpy(words, argv, (size_t)argc * sizeof *words);  /* args_parse() changes the order */
    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, usage, about));
    if (rest.n < 0) goto out;
    if (rest.n != 1) TRY(fail(ERR_USAGE, "one RUN.yaml is needed: %s", usage));
    o.file = rest.v[0];
    if (slurm && inside) TRY(fail(ERR_USAGE, "--slurm or --inside-slurm, not both"));
    if (slurm && (o.ranks || o.grid || o.hosts || o.hostfile))
        TRY(fail(ERR_USAGE,
                 "-n, --grid and --hosts are for runs on this machine; launch.slurm and run.grid "
                 "describe a job"));
    if (anyway && !slurm) TRY(fail(ERR_USAGE, "--submit-anyway is about --slurm"));
    if (!dry && !slurm) output_optional();
    if (inside) log_times(1);
    if (inside && !o.measure) launch_catch_signals();
    TRY(launch_open(&l, &o));
    if (slurm || inside) {
        if (slurm && o.rates) snprintf(l.conf->launch.rates, sizeof l.conf->launch.rates, "%s", o.rates);
        rc = !slurm ? in_job(&l, words) : o.measure ? slurm_measure(&l, dry) : slurm_launch(&l, dry, anyway);
        goto out;
    }
    TRY(scheduler_hosts(&l));
    if (!l.hosts) slurm_hint();
    if (l.scheduler && !dry) log_times(1);
    TRY(launch_plan(&l));
    if (dry) print(&l);
    else rc = o.measure ? launch_measure(&l) : scheduler_run(&l);
out:
    launch_close(&l);
    mem_free(words);
    return rc;
}
