# SPDX-License-Identifier: Apache-2.0
# ttt status and ttt stop with a real SLURM of two nodes: jobs that wait, that die before they
# train, that are cancelled, held, requeued, suspended; and a controller that is gone.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/tiny.sh"
. "$(dirname "$0")/cluster.sh"
cluster_start
TTT=$(readlink -f "$TTT")
cd "$WORK" || exit 1
make_data
make_config run.yaml
cat >>run.yaml <<'END'
launch:
  slurm:
    time: 10
    environment: ["TTT_FAIL=train.step#6=sleep:600000"]
END

# submit NAME [key=value ...]: a run in $WORK/NAME.
submit() {
    run=$1; shift
    sets="--set run.dir=$run --set run.name=$run"
    for s in "$@"; do sets="$sets --set $s"; done
    # shellcheck disable=SC2086
    "$TTT" launch run.yaml --slurm $sets >out 2>err || { failed "$run: submit" "exit $?"; cat err >&2; }
}
job() { cat "$1/slurm/job"; }
shows() { "$TTT" status "$1" >row 2>/dev/null; grep -q "^${1##*/}  *$2 .*$3" row; }
# becomes NAME RUN STATE [PATTERN]: its row says so, soon.
becomes() {
    if cluster_wait 60 shows "$2" "$3" "$4"; then ok "$1"; else
        failed "$1" "not $3 $4: $(sed -n 2p row)"; tail -n 5 "$2"/slurm/*.log >&2; squeue -a >&2
    fi
}

# Where this machine has modules, a wrong one is found before the job is submitted.
if bash -c '. /etc/profile; command -v module' >/dev/null 2>&1; then
    name="a module that is not there: refused" expect_exit 78 "$TTT" launch "$WORK/run.yaml" --slurm \
        --set "run.dir=$WORK/module" --set launch.slurm.modules=nothing-of-that-name
    expect_text "a module that is not there: named" 'nothing-of-that-name. fails here' "$WORK/err"
else
    submit module launch.slurm.modules=nothing-of-that-name
    becomes "a module that is not there" module failed 'training never began; job [0-9]*: FAILED (NonZeroExitCode); module/slurm/[0-9]*.log: .'
fi

submit held launch.slurm.options=--hold
becomes "held" held waiting 'PENDING (JobHeldUser)'
name="stop: a job that is held" expect_exit 0 timeout 60 "$TTT" stop --wait held
expect_text "stop: reported" "held: job $(job held) was waiting and is cancelled"
becomes "cancelled" held cancelled 'before training began; job [0-9]*: CANCELLED'
submit held
becomes "submitted again" held running
name="a second submission" expect_exit 75 "$TTT" launch run.yaml --slurm --set run.dir=held

submit late launch.slurm.options=--begin=now+1hour
becomes "to begin later" late waiting 'PENDING (BeginTime)'
name="stop: a job that runs" expect_exit 0 "$TTT" stop held
becomes "asked to stop" held running 'asked to stop'
scontrol suspend "$(job held)"
becomes "suspended" held suspended 'SUSPENDED'
scontrol resume "$(job held)"
becomes "resumed" held running

# A folder that its nodes do not see.
submit hidden launch.slurm.options=--hold
id=$(job hidden)
rm -r hidden/slurm
scontrol release "$id"
becomes "a folder that is not there" hidden failed "job $id: FAILED .*the job has no log hidden/slurm/$id.log: can its nodes write there"

# The user's own requeue of a run that trains.
submit again
cluster_wait 60 grep -q '"step":5,' again/metrics.jsonl
scontrol requeuehold "$(job again)"
becomes "requeued and held" again waiting 'PENDING (job requeued in held state)'
scontrol release "$(job again)"
becomes "and running again" again running

# A series, of which one is in the queue and one is cancelled there.
printf 'series: {dir: series, runs: run.yaml, at_once: 1, grid: ["run.seed=1,2,3"], set: [launch.slurm.nodes=1]}\n' >series.yaml
name="series" expect_exit 0 "$TTT" series series.yaml --slurm
becomes "series: the first runs" series/run-seed1 running
becomes "series: the last waits" series/run-seed3 waiting 'PENDING (JobArrayTaskLimit)'
name="series: stop one" expect_exit 0 "$TTT" stop series/run-seed3
becomes "series: it is cancelled" series/run-seed3 cancelled
becomes "series: the second waits" series/run-seed2 waiting 'PENDING (JobArrayTaskLimit)'
name="series: again" expect_exit 0 "$TTT" series series.yaml --slurm --dry-run
expect_text "series: what is to do" '^3 runs: 0 finished, 2 active, 1 to start$' out
name="series: stop the folder" expect_exit 64 "$TTT" stop series

# The controller is gone.
kill -STOP "$(cat "$CLUSTER/slurmctld.pid")"
TTT_SLURM_WAIT_S=2; export TTT_SLURM_WAIT_S
"$TTT" status late >row
expect_text "no controller: not known" 'late *unknown .*its state is not known (squeue: ' row
name="no controller: no second submission" expect_exit 75 "$TTT" launch run.yaml --slurm --set run.dir=late
kill -CONT "$(cat "$CLUSTER/slurmctld.pid")"
unset TTT_SLURM_WAIT_S
becomes "it is back" late waiting 'PENDING (BeginTime)'
finish
