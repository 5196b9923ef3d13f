# SPDX-License-Identifier: Apache-2.0
# Runs as jobs of a real SLURM, on two nodes: through signals, requeues, the loss of a node,
# cancellation; series as job arrays.  Whatever happens, the last state is that of a run of one
# process which nothing happened to.  LONG=1 waits for a time limit, too.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/tiny.sh"
. "$(dirname "$0")/cluster.sh"
cluster_start
TTT=$(readlink -f "$TTT")
cd "$WORK" || exit 1
make_data
make_config "$WORK/run.yaml"
cat >>"$WORK/run.yaml" <<'END'
launch:
  slurm:
    nodes: 2
    tasks_per_node: 2
    time: 10
    environment: ["TTT_FAIL=train.step#10=sleep:4000"]
END
steps="train.steps=40"
trained "one process" whole $steps run.threads=1 && ok "one process"
root=$(root_of whole)

# submit NAME [key=value ...]: a run in $WORK/NAME; prints nothing.
submit() {
    run=$1 fresh=1; shift
    for s in "run.dir=$WORK/$run" "run.name=$run" $steps "$@"; do
        [ -z "$fresh" ] || set --
        fresh=; set -- "$@" --set "$s"
    done
    "$TTT" launch "$WORK/run.yaml" --slurm "$@" >"$WORK/out" 2>"$WORK/err" ||
        { failed "$run: submit" "exit $?"; cat "$WORK/err" >&2; return 1; }
}

job() { cat "$WORK/$1/slurm/job"; }
log() { cat "$WORK/$1"/slurm/*.log 2>/dev/null; }
at_step() { grep -q "\"kind\":\"step\",\"step\":$2," "$WORK/$1/metrics.jsonl"; }
said() { log "$1" | grep -q -e "$2"; }
state() { scontrol show job -o "$1" | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p'; }
is_state() { [ "$(state "$1")" = "$2" ]; }

# reached NAME STEP: the run is about to do the next step, which takes long.
reached() { cluster_wait 90 at_step "$1" "$2" || failed "$1: step $2" "not reached"; }

# ends NAME: it finishes, with the root that it must have.
ends() {
    cluster_wait 150 said "$1" 'committed step 40 root' || { failed "$1: finishes" "not in time"
        log "$1" | tail -n 40 >&2; sinfo -N >&2; squeue >&2; return 1; }
    equal "$1: same root" "$(log "$1" | sed -n 's/^committed step 40 root //p')" "$root"
    differ "$1: another step, another root" "$(log "$1" | sed -n 's/^committed step 36 root //p')" \
        "$root"
}
expect_said() { if said "$2" "$3"; then ok "$2: $1"; else failed "$2: $1" "not said: $3"; fi; }

# --- the end of the time (as the signal that SLURM sends before it), and a requeue --------
submit limit && reached limit 9
scancel --signal=USR1 --batch "$(job limit)"
submit again launch.slurm.start=mpirun && cluster_wait 30 said limit 'is requeued'
expect_said "both nodes" limit 'SLURM job [0-9]* on n\[1-2\]: 2 nodes, 4 processes'
expect_said "saved where the signal came" limit 'committed step 1[01] root'
reached again 9
scontrol requeue "$(job again)"
equal "waits for its next start" "$("$TTT" status "$WORK/limit" --json | grep -c '"waiting"')" 1
name="again: a second submission" expect_exit 75 "$TTT" launch "$WORK/run.yaml" --slurm \
    --set "run.dir=$WORK/again" --set $steps

# --- a series as a job array ---------------------------------------------------------------
cat >"$WORK/series.yaml" <<END
series:
  dir: $WORK/series
  runs: run.yaml
  set: [train.steps=6, launch.slurm.nodes=1, launch.slurm.tasks_per_node=1, launch.slurm.environment=]
  grid: ["run.seed=1,2", "train.micro_batch=1,5"]
END
all_done() { [ "$("$TTT" status "$WORK/series" --json | grep -c '"state": "finished"')" = "$1" ]; }
name="series: submitted" expect_exit 0 "$TTT" series "$WORK/series.yaml" --slurm
expect_text "series: an array of 4" 'submitted job [0-9]*, an array of 4' "$WORK/out"

ends limit
ends again
expect_said "second start" again 'SLURM job [0-9]*, restart 1 on'
equal "again: restarts are noted" "$(grep -c '"kind":"job"' "$WORK/again/launch.jsonl")" 2
check "series: 4 runs finish" cluster_wait 120 all_done 4
series_root() { sed -n 's/^committed step 6 root //p' "$WORK"/series/slurm/*_"$1".log; }
equal "series: the micro-batch changes nothing" "$(series_root 0)" "$(series_root 1)"
differ "series: the seed does" "$(series_root 0)" "$(series_root 2)"
rm -r "$WORK/series/run-seed2-micro_batch5/ckpt"
name="series: again" expect_exit 0 "$TTT" series "$WORK/series.yaml" --slurm
expect_text "series: only what is missing" 'an array of 1;' "$WORK/out"
check "series: 4 runs again" cluster_wait 60 all_done 4

# --- a chain, and scancel --------------------------------------------------------------------
submit chain launch.slurm.chain=true launch.slurm.start=mpirun && reached chain 9
first=$(grep -o 'submit.*' "$WORK/chain/launch.jsonl" | sed -n 's/.*"id":"\([0-9]*\)".*/\1/p')
differ "chain: the next job waits" "$(job chain)" "$first"
scancel --signal=USR1 --batch "$first"
ends chain
check "chain: no third job" cluster_wait 20 is_state "$(job chain)" CANCELLED

submit cancelled launch.slurm.chain=true && reached cancelled 9
first=$(sed -n 's/.*"submit".*"id":"\([0-9]*\)".*/\1/p' "$WORK/cancelled/launch.jsonl")
scancel "$first"
check "scancel: it ends" cluster_wait 40 is_state "$first" CANCELLED
check "scancel: the chain ends" cluster_wait 40 is_state "$(job cancelled)" CANCELLED
cluster_wait 20 said cancelled 'committed step 1[01] root'
expect_said "scancel: saved" cancelled 'committed step 1[01] root'

# --- pre-emption, with and without time to save -------------------------------------------------
preempted() {
    cluster_wait 40 cluster_idle
    submit "$1" launch.slurm.partition="$2" && reached "$1" 9
    sbatch --parsable --partition=urgent --nodes=2 --exclusive --output=/dev/null --wrap "sleep 1" \
        >/dev/null
    ends "$1"
}
preempted notice main
expect_said "saved in time" notice 'resumed from .*step 1[01] root'
[ -z "$LONG" ] || preempted sudden hard

# --- a node fails ----------------------------------------------------------------------------
cluster_wait 40 cluster_idle
submit node launch.slurm.min_nodes=1 && reached node 9
cluster_kill n2
ends node
expect_said "which node" node 'n2 does not answer'
expect_said "another grid" node 'grid [0-9]x[0-9]x[0-9]: 2 processes'

# --- a node fails that the run needs: it waits for another ------------------------------------
if [ -n "$LONG" ]; then
    cluster_join n2
    cluster_wait 60 cluster_idle
    submit both && reached both 9
    cluster_kill n2
    cluster_wait 60 said both "1 of 2 nodes are left"
    cluster_join n2
    ends both
    expect_said "on two nodes again" both "restart [1-9] on n\[1-2\]"
fi

# --- the end of the time -------------------------------------------------------------------------
if [ -n "$LONG" ]; then
    cluster_wait 60 cluster_idle
    submit minute launch.slurm.time=1 train.steps=40 launch.slurm.signal_s=30 \
        'launch.slurm.environment=TTT_FAIL=train.step#10=sleep:50000'
    ends minute
    expect_said "time limit" minute 'is requeued'
fi
nothing_left() { [ -z "$(squeue -h)" ]; }
check "no job is left" cluster_wait 60 nothing_left
finish
