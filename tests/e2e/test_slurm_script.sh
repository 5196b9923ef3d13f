# SPDX-License-Identifier: Apache-2.0
# ttt launch --slurm without SLURM: the script that is written, and stand-ins for SLURM's programs
# that refuse, lie, or are not there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
make_data
make_config "$WORK/run.yaml"
mkdir "$WORK/bin" "$WORK/empty" "$WORK/here" && cd "$WORK/here" || exit 1
PROGRAM=$(readlink -f "$TTT")

# fake NAME TEXT: a stand-in that writes its arguments to $WORK/calls.
fake() {
    printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n%s\n' "$1" "$WORK" "$2" >"$WORK/bin/$1"
    chmod +x "$WORK/bin/$1"
}
fake sbatch 'echo 77'
fake squeue ''
fake sacct 'exit 1'
fake scontrol 'exit 1'
fake scancel ''
fake sinfo 'exit 1'
MODULE='BASH_FUNC_module%%=() { :; }'  # a shell function, as on a cluster

# submit CODE NAME [OPTION ...]
submit() {
    want=$1; name=$2; shift 2
    : >"$WORK/calls"
    expect_exit "$want" env "$MODULE" PATH="$WORK/bin$OTHERS" "$TTT" launch "$WORK/run.yaml" \
        --slurm "$@"
}
OTHERS=:$PATH

# same NAME: the script on standard output is $WORK/golden.
same() {
    if cmp -s "$WORK/golden" "$WORK/out"; then ok "$1"; else
        failed "$1" "not as expected"; diff "$WORK/golden" "$WORK/out" >&2
    fi
}

# --- the script -----------------------------------------------------------------
submit 0 "dry run, nothing but defaults" --dry-run
cat >"$WORK/golden" <<END
#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#SBATCH --job-name=run
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --time=1-00:00:00
#SBATCH --chdir="$WORK/here"
#SBATCH --output="$WORK/run/slurm/%j.log"
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
# Written by ttt launch --slurm; jobs/README.md tells what happens here. The signal is for this
# shell, which the launcher replaces: it lets the run save, puts the job into the queue again, and
# ends.
trap "" USR1
exec $PROGRAM launch $WORK/run/slurm/run.yaml --inside-slurm
END
same "defaults: the script"
equal "dry run: nothing is submitted" "x$(grep -c '^sbatch --parsable' "$WORK/calls")" x0
check "dry run: no folder is made" test ! -e "$WORK/run"

mkdir "$WORK/it's here" && touch "$WORK/it's here/env.sh" ./-x.sh
cat >>"$WORK/run.yaml" <<'END'
launch:
  slurm:
    nodes: 4
    min_nodes: 2
    tasks_per_node: 8
    cpus_per_task: 6
    time: 2-12:00
    partition: cpu,long
    account: ttt
    qos: high
    constraint: "[rack1|rack2]*2"
    memory: "0"
    signal_s: 600
    chain: true
    modules: [gcc/12.2, openmpi/4.1]
    source: [../it's here/env.sh, -x.sh]
    environment: ["A=$(reboot) `id` \"x\"", "OMPI_MCA_btl=self,tcp"]
    options: [--mail-type=END, --exclusive, --comment=two words]
END
submit 0 "dry run, everything" --dry-run --set "run.name=my run; reboot" --set "run.dir=it's 5" \
    --allow-config-change
cat >"$WORK/golden" <<END
#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#SBATCH --job-name=my-run--reboot
#SBATCH --nodes=2-4
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=6
#SBATCH --time=2-12:00
#SBATCH --chdir="$WORK/here"
#SBATCH --output="$WORK/here/it's 5/slurm/%j.log"
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@600
#SBATCH --no-requeue
#SBATCH --no-kill
#SBATCH --partition=cpu,long
#SBATCH --account=ttt
#SBATCH --qos=high
#SBATCH --constraint=[rack1|rack2]*2
#SBATCH --mem=0
#SBATCH --mail-type=END
#SBATCH --exclusive
#SBATCH "--comment=two words"
# Written by ttt launch --slurm; jobs/README.md tells what happens here. The signal is for this
# shell, which the launcher replaces: it lets the run save, puts the job into the queue again, and
# ends.
trap "" USR1
command -v module >/dev/null || . /etc/profile
module load gcc/12.2 || exit 78
module load openmpi/4.1 || exit 78
. '../it'\\''s here/env.sh' || exit 66
. ./-x.sh || exit 66
export 'A=\$(reboot) \`id\` "x"'
export 'OMPI_MCA_btl=self,tcp'
exec $PROGRAM launch '$WORK/here/it'\\''s 5/slurm/run.yaml' --inside-slurm --allow-config-change
END
same "everything: the script"
check "everything: bash takes it" bash -n "$WORK/golden"
sed -n 's/^export/echo/p' "$WORK/golden" >"$WORK/echo.sh"
equal "everything: quotes keep what they hold" "$(bash "$WORK/echo.sh" | head -n 1)" \
    'A=$(reboot) `id` "x"'
make_config "$WORK/run.yaml"

# --- names that a shell or a program would read in its own way -------------------------------------
# A program of ours at a path of that kind; then one that writes down what it is called with.
mkdir "$WORK/it's a \$(touch hurt) path" && cp "$TTT" "$WORK/it's a \$(touch hurt) path/ttt"
odd="$WORK/it's a \$(touch hurt) path/ttt"
cat >"$WORK/recorder" <<'END'
#!/bin/sh
[ "$1" != --version ] || { echo "mpirun (Open MPI) 4.1.4"; exit; }
for word in "$@"; do printf '<%s>' "$word"; done
echo
END
chmod +x "$WORK/recorder"
n=0
for dir in "blanks  in it" '$(touch hurt)' '`touch hurt`' "it's" 'glob*?[a]' 'semi;touch hurt&' '-r' \
    '#comment' '~x' '!x' 'a=b' 'häß' '$HOME' '{a,b}' '<x'; do
    n=$((n + 1))
    : >"$WORK/calls"
    name="odd name $n: submitted" expect_exit 0 env PATH="$WORK/bin:$PATH" "$odd" launch "$WORK/run.yaml" \
        --slurm --set "run.dir=$dir"
    case $dir in
    -*) expect_text "odd name $n: no option" "^sbatch --parsable ./-r/slurm/job.sh$" "$WORK/calls" ;;
    *) equal "odd name $n: one file" "$(grep '^sbatch --parsable' "$WORK/calls")" "sbatch --parsable $dir/slurm/job.sh" ;;
    esac
    cp "$odd" "$WORK/ours" && cp "$WORK/recorder" "$odd.new" && mv "$odd.new" "$odd"
    equal "odd name $n: what bash makes of it" "$(bash "./$dir/slurm/job.sh" 2>&1)" \
        "<launch><$WORK/here/$dir/slurm/run.yaml><--inside-slurm>"
    mv "$WORK/ours" "$odd"
    check "odd name $n: the file is there" test -s "$WORK/here/$dir/slurm/run.yaml"
    name="odd name $n: dry run" expect_exit 0 env PATH="$WORK/bin:$PATH" MPIRUN="$WORK/recorder" "$odd" \
        launch "$WORK/run.yaml" --dry-run --set "run.dir=$dir"
    bash "$WORK/out" >"$WORK/words"
    equal "odd name $n: the command that is shown" "$(grep -cF "<$odd><train><$WORK/run.yaml><--set><run.dir=$dir><--grid>" "$WORK/words")" 1
done
check "odd names: nothing in them was executed" test ! -e "$WORK/here/hurt"
cp "$WORK/run.yaml" "$WORK/here/-r.yaml"
name="a file that looks like an option" expect_exit 0 "$TTT" launch --dry-run -- -r.yaml
expect_text "a file that looks like an option: no option" " train ./-r.yaml " "$WORK/out"
line_end='a
b'
for dir in "$line_end" 'quo"te' 'back\slash' '50%'; do
    name="refused in a script: $(echo "$dir" | tr '\n' ' ')" expect_exit 78 env PATH="$WORK/bin:$PATH" "$TTT" launch "$WORK/run.yaml" \
        --slurm --set "run.dir=$dir"
    check "refused: nothing is made" test ! -e "$WORK/here/$dir"
done
mkdir "$line_end" && cd "$line_end" || exit 1
name="a working folder of two lines" expect_exit 78 env PATH="$WORK/bin:$PATH" "$TTT" launch "$WORK/run.yaml" --slurm
cd "$WORK/here" || exit 1

# --- when is it told to save ---------------------------------------------------------
mkdir -p "$WORK/measured"
i=0; while [ $i -lt 100 ]; do
    i=$((i + 1))
    echo '{"kind":"step","step":'$i',"step_s":20.5}'
    [ $((i % 10)) != 0 ] || echo '{"kind":"save","step":'$i',"save_s":100.0}'
done >"$WORK/measured/metrics.jsonl"
echo '{"kind":"step","st' >>"$WORK/measured/metrics.jsonl"
submit 0 "measured" --dry-run --set "run.dir=$WORK/measured"
expect_text "measured: 2 x 100 + 20.5 + 30" 'signal=B:USR1@251$' "$WORK/out"
submit 0 "short limit" --dry-run --set launch.slurm.time=4
expect_text "short limit: half of it" 'signal=B:USR1@120$' "$WORK/out"
expect_text "short limit: reported" "launch.slurm.time 4 is short"

# --- submitting -------------------------------------------------------------------------
submit 0 "submitted"
expect_text "submitted: reported" "^submitted job 77; its log: $WORK/run/slurm/77.log" "$WORK/out"
expect_text "submitted: the script" "^sbatch --parsable $WORK/run/slurm/job.sh$" "$WORK/calls"
equal "submitted: the number is kept" "$(cat "$WORK/run/slurm/job")" 77
check "submitted: the run's file is complete" "$TTT" config check "$WORK/run/slurm/run.yaml"
expect_text "submitted: noted" '"kind":"submit".*"id":"77"' "$WORK/run/launch.jsonl"

flock "$WORK/run/slurm/lock" sleep 1000 &
holder=$!
until ! flock -n "$WORK/run/slurm/lock" true; do sleep 0.1; done
submit 75 "two at once"
expect_text "two at once: reported" "another command is submitting this run"
kill "$(cat /proc/$holder/task/$holder/children)" $holder
wait $holder 2>/dev/null
fake squeue 'echo "77|77|PENDING|N/A|Priority"'
submit 75 "a second time"
expect_text "a second time: which job" "job 77 of $WORK/run is in the queue (PENDING, Priority)"
submit 75 "a second time, anyway" --submit-anyway
TTT_SLURM_WAIT_S=1; export TTT_SLURM_WAIT_S
for answer in 'exit 1' 'sleep 1000' 'echo PENDING' 'echo "77|77|WARTEND|N/A|None"'; do
    fake squeue "$answer"
    submit 75 "no answer ($answer)"
    equal "no answer ($answer): nothing is submitted" "x$(grep '^sbatch --parsable' "$WORK/calls")" x
    expect_text "no answer ($answer): reported" "it is not known whether job 77 is still in the queue (\(squeue: \|a state that is not\)"
done
unset TTT_SLURM_WAIT_S
submit 0 "no answer, and it is certain" --submit-anyway
echo spoilt >"$WORK/run/slurm/job"
submit 65 "the number of its job is lost"
echo 77 >"$WORK/run/slurm/job"
fake squeue 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'
submit 0 "again, when it is gone"
fake squeue ''

# series CODE NAME [OPTION ...]
series() {
    want=$1; name=$2; shift 2
    : >"$WORK/calls"
    expect_exit "$want" env PATH="$WORK/bin:$PATH" "$TTT" series "$WORK/series.yaml" --slurm "$@"
}
printf 'series: {dir: %s/series, runs: run.yaml, grid: ["run.seed=1,2"]}\n' "$WORK" >"$WORK/series.yaml"
series 0 "series: submitted"
fake squeue 'printf "77|77_0|PENDING|N/A|Priority\n78|77_1|RUNNING|N/A|None\n"'
series 0 "series: again"
expect_text "series: both are under way" '^2 runs: 0 finished, 2 active, 0 to start$' "$WORK/out"
expect_text "series: why" '^run-seed1  *waiting: job 77_0: PENDING (Priority)$' "$WORK/out"
fake squeue 'exit 1'
series 75 "series: no answer"
equal "series: no answer: nothing is submitted" "x$(grep '^sbatch --parsable' "$WORK/calls")" x
expect_text "series: no answer: reported" "job 77_0: its state is not known (squeue: exit code 1): nothing is"
series 0 "series: no answer, only shown" --dry-run
expect_text "series: no answer, only shown: the sum" '^2 runs: 0 finished, 0 active, 0 to start, 2 unknown$' "$WORK/out"
series 0 "series: no answer, and it is certain" --submit-anyway
equal "series: it is certain: submitted" "$(grep -c '^sbatch --parsable' "$WORK/calls")" 1
fake squeue ''
series 0 "series: when they are gone"
equal "series: when they are gone: submitted" "$(grep -c '^sbatch --parsable' "$WORK/calls")" 1

fake sbatch 'echo "sbatch: error: invalid account" >&2; exit 1'
submit 78 "sbatch refuses"
expect_text "sbatch refuses: its words" "sbatch: error: invalid account"
fake sbatch 'echo "Submitted batch job 77"'
submit 74 "sbatch talks"
expect_text "sbatch talks: reported" "printed 'Submitted batch job 77'"
number="$WORK/run/slurm/job"
submit 65 "sbatch talks: there may be a job"
expect_text "sbatch talks: what to do" "$number: expected the number of a job, found 'unknown': check with squeue"
rm "$number"
fake sbatch 'sleep 1000'
TTT_SLURM_WAIT_S=1; export TTT_SLURM_WAIT_S
submit 74 "sbatch hangs"
expect_text "sbatch hangs: reported" "no answer in 4 s; check with squeue whether the job exists"
submit 65 "sbatch hangs: there may be a job"
rm "$number"
unset TTT_SLURM_WAIT_S
fake sbatch 'head -c 100000 /bin/sh'
submit 74 "sbatch prints nonsense"
rm "$number"
fake sbatch ''
submit 74 "sbatch prints nothing"
rm "$number"
fake sbatch 'kill -SEGV $$'
submit 74 "sbatch crashes"
submit 65 "sbatch crashes: there may be a job"
rm "$number"
fake sbatch 'echo "78;cluster"'
submit 0 "a name of a cluster"
equal "a name of a cluster: the number" "$(cat "$WORK/run/slurm/job")" 78
rm "$WORK/bin/sbatch"
OTHERS=
submit 66 "no sbatch"
OTHERS=:$PATH
expect_text "no sbatch: reported" "sbatch was not found"

name="a path that sbatch would read" expect_exit 78 env PATH="$WORK/bin" "$TTT" launch \
    "$WORK/run.yaml" --slurm --set 'run.dir=50%'
name="ranks for a job" expect_exit 64 env "$TTT" launch "$WORK/run.yaml" --slurm -n 4
name="a grid for a job" expect_exit 64 env "$TTT" launch "$WORK/run.yaml" --slurm --grid 2x1x1
name="not in a job" expect_exit 64 env -u SLURM_JOB_ID "$TTT" launch "$WORK/run.yaml" --inside-slurm

# --- what is known before a job waits -------------------------------------------------
fake sbatch 'echo 79'
fake sinfo 'printf "cpu*|2|8|4000|1-00:00:00|idle\ncpu*|1|8|4000|1-00:00:00|down*\nfat|4|32|64000|infinite|mixed\n"'
# unfit CODE NAME PATTERN [key=value ...]: refused, and nothing is submitted or made.
unfit() {
    want=$1; what=$2; pattern=$3; shift 3
    fresh=1
    for s in "run.dir=$WORK/unfit" "$@"; do
        [ -z "$fresh" ] || set --
        fresh=; set -- "$@" --set "$s"
    done
    submit "$want" "$what" "$@"
    expect_text "$what: reported" "$pattern"
    equal "$what: nothing is submitted" "x$(grep '^sbatch --parsable' "$WORK/calls")" x
    check "$what: nothing is made" test ! -e "$WORK/unfit"
}
S=launch.slurm
submit 0 "what fits" --set $S.nodes=2 --set $S.tasks_per_node=2 --set $S.cpus_per_task=4 --set run.grid=2x1x1
expect_text "what fits: two of four have work" "run.grid 2x1x1 has work for 2 of the job's 4 processes"
rm "$number"
unfit 78 "a grid of more processes" "run.grid 4x1x1 needs 4 processes, but the job has 2 on 2 nodes" \
    run.grid=4x1x1 $S.nodes=2
unfit 78 "a grid of more than nodes that suffice" "run.grid 2x1x1 needs 2 processes, but the job has 1 on 1 node " \
    run.grid=2x1x1 $S.nodes=2 $S.min_nodes=1
unfit 78 "a partition that is not there" "no partition 'gpu'; it has cpu, fat" $S.partition=gpu
unfit 78 "too long" "$S.time is 2-00:00:00, but a job in partition cpu may take 1-00:00:00" $S.time=2-00:00:00
unfit 78 "CPUs" "cpus_per_task is 12 CPUs on a node, but the nodes of partition cpu have at most 8" \
    $S.tasks_per_node=2 $S.cpus_per_task=6
unfit 78 "nodes" "$S.nodes is 9, but partition fat has 4 nodes of 1 CPUs" $S.nodes=9 $S.partition=fat
unfit 71 "memory that was asked for" "on a machine that has 20 MiB ($S.memory is 20M)" $S.memory=20M
unfit 71 "memory of each CPU" "has 24 MiB (--mem-per-cpu=4M in" $S.options=--mem-per-cpu=4M \
    $S.tasks_per_node=2 $S.cpus_per_task=3
unfit 78 "more memory than there is" "asks for 8 GiB, but the partition's nodes have at most 3.9" $S.memory=8G
unfit 66 "a file for the job's shell" "no file $WORK/no.sh that can be read" "$S.source=$WORK/no.sh"
fake scontrol 'echo "PartitionName=cpu Default=YES DefMemPerCPU=15 PreemptMode=OFF"'
unfit 71 "the partition's default" "has 30 MiB (the partition's default: set $S.memory)" $S.cpus_per_task=2
fake scontrol 'exit 1'
MODULE='BASH_FUNC_module%%=() { [ "$1 $2" = "load gcc" ] || { echo "no $2 here" >&2; return 1; }; }'
unfit 78 "a module" "load mpi/4. fails here (no mpi/4 here)" "$S.modules=[gcc, mpi/4, blas]"
submit 0 "modules that are there" --set $S.modules=gcc
rm "$number"
fake sbatch '[ "$1" != --test-only ] || { echo "allocation failure: Invalid qos specification" >&2; exit 1; }; echo 79'
unfit 78 "as sbatch says" "SLURM would refuse this job: allocation failure: Invalid qos" $S.qos=gold
name="series: as sbatch says" expect_exit 78 env PATH="$WORK/bin:$PATH" "$TTT" series "$WORK/series.yaml" --slurm
fake sbatch '[ "$1" != --test-only ] || { echo "allocation failure: Requested nodes are busy" >&2; exit 1; }; echo 79'
submit 0 "busy nodes"
expect_text "busy nodes: a warning" "sbatch --test-only: allocation failure: Requested nodes are busy"
submit 0 "two of three are up" --submit-anyway --set $S.nodes=3
expect_text "two of three: a warning" "partition cpu: only 2 of 3 nodes that fit are up"
submit 0 "another partition will do" --dry-run --set $S.partition=cpu,fat --set $S.time=2-00:00:00
for answer in 'exit 1' 'echo nonsense' 'echo "cpu*|two|8|4000|1:00|idle"' 'head -c 100000 /bin/sh' ':'; do
    fake sinfo "$answer"
    submit 0 "sinfo does not tell ($answer)" --dry-run --set $S.nodes=9
done
fake sinfo 'exit 1'

# --- rates of the cluster --------------------------------------------------------------
printf 'rank: {threads: 3}\n' >"$WORK/rates.yaml"
submit 0 "rates" --rates "$WORK/rates.yaml" --set "run.dir=$WORK/rated"
expect_text "rates: used" "^rates of the machines: $WORK/rates.yaml"
expect_text "rates: in the job, too" "rates: \"$WORK/rates.yaml\"" "$WORK/rated/slurm/run.yaml"
unfit 66 "rates that are not there" "$WORK/no.yaml" "launch.rates=$WORK/no.yaml"
submit 0 "measure" --measure --set "run.dir=$WORK/rated" --set $S.chain=true
expect_text "measure: reported" "^submitted job 79, which writes $WORK/rated/rates.yaml; its log:" "$WORK/out"
expect_text "measure: a job of its own" "^sbatch --parsable $WORK/rated/slurm/measure.sh$" "$WORK/calls"
equal "measure: five minutes, once" \
    "$(grep -c -e '--time=5$' -e '--no-requeue' -e "/measure.yaml --inside-slurm --measure$" "$WORK/rated/slurm/measure.sh")" 3
cp "$WORK/rates.yaml" "$WORK/rated/rates.yaml"
submit 0 "measured rates" --dry-run --set "run.dir=$WORK/rated"
expect_text "measured rates: used" "^rates of the machines: $WORK/rated/rates.yaml"

# --- partitions -----------------------------------------------------------------------------
fake sbatch 'echo 79'
fake scontrol 'cat "$WORK/partitions"'
export WORK
cat >"$WORK/partitions" <<'END'
PartitionName=other AllowGroups=ALL Default=NO GraceTime=0 PreemptMode=OFF State=UP
PartitionName=scavenge AllowGroups=ALL Default=YES GraceTime=0 MaxTime=1 PreemptMode=REQUEUE State=UP
PartitionName=kind Default=NO GraceTime=90 PreemptMode=CANCEL
END
submit 0 "pre-emption without notice" --dry-run
expect_text "without notice: reported" "partition scavenge: .* without notice (GraceTime 0)"
submit 0 "pre-emption with notice" --dry-run --set launch.slurm.partition=kind
expect_text "with notice: reported" "partition kind: .* has 90 s to save"
submit 0 "no pre-emption" --dry-run --set launch.slurm.partition=other
equal "no pre-emption: silent" "$(grep -c partition "$WORK/err")" 0

# --- inside a job -----------------------------------------------------------------------------
# job CODE NAME NODES TASKS NTASKS: what the launcher says to a job that can't be.
job() {
    name=$2 expect_exit "$1" env PATH="$WORK/bin:$PATH" SLURM_JOB_ID=5 SLURM_JOB_NODELIST="$3" \
        SLURM_TASKS_PER_NODE="$4" SLURM_NTASKS="$5" "$TTT" launch "$WORK/run.yaml" --inside-slurm
}
fake scontrol 'printf "n1\nn2\n"'
job 78 "tasks of fewer nodes" 'n[1-2]' '2' 4
job 78 "tasks of more nodes" 'n[1-2]' '2(x3)' 4
job 78 "tasks that are no numbers" 'n[1-2]' '2(x' 4
job 78 "no tasks" 'n[1-2]' '' ''
job 78 "not as many as promised" 'n[1-2]' '2(x2)' 8
expect_text "not as many: reported" "SLURM promises 8 tasks (SLURM_NTASKS), but its nodes have 4"
fake scontrol 'exit 1'
job 78 "no names of nodes" 'n[1-2]' '2(x2)' 4

# A shell of salloc, of the user's own batch script, or on a login node.
# shell CODE NAME [VARIABLE=VALUE ...] [OPTION ...]: what would be started there.
shell() {
    want=$1; name=$2; shift 2
    expect_exit "$want" env -u SLURM_JOB_ID PATH="$WORK/bin:$PATH" SLURM_TASKS_PER_NODE='2(x2)' "$@" \
        "$TTT" launch "$WORK/run.yaml" --dry-run $OPTIONS
}
in_job="SLURM_JOB_ID=5 SLURM_JOB_NODELIST=n[1-2] SLURM_NTASKS=4 SLURM_JOB_CPUS_PER_NODE=6(x2)"
fake scontrol 'printf "n1\nn2\n"'
fake squeue 'echo "5|5|RUNNING|N/A|None"'
# shellcheck disable=SC2086
shell 0 "an allocation" $in_job
expect_text "an allocation: srun on its nodes" \
    "^srun --mpi=pmix --nodes=2 --nodelist=n1,n2 --ntasks=4 --cpus-per-task=3 " "$WORK/out"
expect_text "an allocation: reported" "SLURM job 5 on n.1-2.: 2 nodes, 4 processes"
expect_text "an allocation: how to leave it" "nodes of this allocation; --hosts names other machines"
# shellcheck disable=SC2086
shell 0 "an allocation, CPUs for each task" $in_job SLURM_CPUS_PER_TASK=2
expect_text "CPUs for each task" " --ntasks=4 --cpus-per-task=2 " "$WORK/out"
# shellcheck disable=SC2086
OPTIONS="--hosts x:2" shell 0 "an allocation, other hosts" $in_job
expect_text "other hosts: mpirun" "^mpirun .*--host x:2 -n 2 " "$WORK/out"
fake squeue 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'
# shellcheck disable=SC2086
shell 64 "an allocation that has ended" $in_job
expect_text "that has ended: reported" "this shell belongs to job 5 of SLURM (SLURM_JOB_ID), which has"
fake squeue ''
shell 0 "a login node"
equal "a login node: a forgotten --slurm" "$(grep -c 'sbatch is installed here: --slurm' "$WORK/err")" 1
fake scontrol 'exit 1'

# A job whose srun runs its one process here.
fake srun 'while [ "${1##*/}" != "${PROGRAM##*/}" ]; do shift; done; exec "$@"'
export PROGRAM
fake sbatch 'echo 6'
# run CODE NAME DIR [key=value ...]: a job that is told to save after step 3, if $TOLD; what it
# called is in $WORK/calls.
run() {
    want=$1; name=$2; dir=$3; shift 3
    sets=; for s in "$@"; do sets="$sets --set $s"; done
    : >"$WORK/calls"
    # shellcheck disable=SC2086
    (PATH="$WORK/bin:$PATH" SLURM_JOB_ID=5 SLURM_JOB_NODELIST=n1 SLURM_TASKS_PER_NODE=1 \
        TTT_FAIL=${TOLD:+train.step#4=sleep:3000}
     export PATH SLURM_JOB_ID SLURM_JOB_NODELIST SLURM_TASKS_PER_NODE TTT_FAIL
     exec "$TTT" launch "$WORK/run.yaml" --inside-slurm --set "run.dir=$WORK/$dir" $sets \
        >"$WORK/out" 2>"$WORK/err") &
    pid=$!
    if [ -n "$TOLD" ]; then
        until grep -q '"step":3,' "$WORK/$dir/metrics.jsonl" 2>/dev/null || ! kill -0 $pid; do
            sleep 0.1
        done
        kill -USR1 $pid
    fi
    wait $pid; got=$?
    equal "$name: exit code" "$got" "$want"
}
calls() { grep "$1" "$WORK/calls" | sed "s|$WORK/||"; }
SCONTROL='[ "$1 $2" = "show hostnames" ] && echo n1
[ "$1 $2" = "show job" ] && echo "JobId=5 JobName=x JobState=$STATE Reason=None"
[ "$1" != requeue ] || exit ${REQUEUE:-0}'
fake scontrol "$SCONTROL"
export STATE=RUNNING REQUEUE TOLD=1
mkdir -p "$WORK/requeued/slurm"
run 0 "requeued" requeued
equal "requeued: by scontrol" "$(calls '^scontrol requeue')" "scontrol requeue 5"
equal "requeued: no other job" "x$(calls sbatch)" x
expect_text "requeued: the time of day" '^[01][0-9]-[0-3][0-9] [0-9:]* SLURM job 5 on' "$WORK/err"
expect_text "requeued: and in what processes say" '^[01][0-9]-[0-3][0-9] [0-9:]* step 3/' "$WORK/err"
echo 5 >"$WORK/requeued/slurm/job"
fake squeue 'echo "5|5|PENDING|N/A|BeginTime"'
equal "requeued: the run waits" "$(PATH=$WORK/bin:$PATH "$TTT" status "$WORK/requeued" --json | grep -c '"waiting"')" 1
fake squeue ''
# The job begins again, and another program is installed by then: one that differs in a byte.
mkdir "$WORK/new" && cat "$PROGRAM" >"$WORK/new/ttt" && echo >>"$WORK/new/ttt" && chmod +x "$WORK/new/ttt"
old=$TTT; TTT=$WORK/new/ttt; SLURM_RESTART_COUNT=1; TOLD=; export SLURM_RESTART_COUNT
run 0 "requeued, another program" requeued
TTT=$old; unset SLURM_RESTART_COUNT
expect_text "another program: not for this job" "another program is installed since job 5 began: it continues with .*/requeued/program/" "$WORK/err"
equal "restarts are numbers" "$(sed -n 's/.*"kind":"job".*"restarts":\([^,]*\),.*/\1/p' "$WORK/requeued/launch.jsonl" | tr '\n' ' ')" "0 1 "
check "another program: the copy goes with the job" test ! -e "$WORK/requeued/program"
SLURM_ARRAY_JOB_ID=4 SLURM_ARRAY_TASK_ID=2; export SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID
run 0 "a member of an array" member train.steps=1
unset SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID
equal "a member of an array: its name" "$(grep -c '"job":"4_2"' "$WORK/member/launch.jsonl")" \
    "$(wc -l <"$WORK/member/launch.jsonl")"
cp "$WORK/bin/srun" "$WORK/srun"
fake srun 'echo "srun: error: cannot find mpi plugin for mpi/pmi9" >&2
echo "srun: error: n1: more of it" >&2; exit 1'
run 78 "an MPI that SLURM does not have" plugin launch.slurm.mpi=pmi9
expect_text "no such MPI: reported" "srun started no process of the run (exit code 1): srun: error: cannot find mpi plugin for mpi/pmi9 " "$WORK/err"
equal "no such MPI: nothing else of srun" "x$(grep 'more of it' "$WORK/err")" x
equal "no such MPI: two tries" "$(grep -c '"kind":"start"' "$WORK/plugin/launch.jsonl")" 2
fake srun '[ -e "$WORK/killed" ] && exec "$WORK/srun" "$@"
: >"$WORK/killed"; echo "srun: error: n1: task 0: Out Of Memory" >&2; exit 137'
run 0 "srun: out of memory" memory train.steps=1 launch.slurm.memory=4G
expect_text "srun: out of memory: so called" "the kernel killed a process for lack of memory after" "$WORK/err"
expect_text "srun: out of memory: what was allowed" "may use .*, launch.slurm.memory is 4G;" "$WORK/err"
cp "$WORK/srun" "$WORK/bin/srun"
TOLD=1
STATE="COMPLETING Reason=TimeLimit"
run 0 "out of time" late
equal "out of time: requeued" "$(calls '^scontrol requeue')" "scontrol requeue 5"
STATE=RUNNING
REQUEUE=1; mkdir -p "$WORK/refused/slurm" "$WORK/neither/slurm"
run 0 "requeue is refused" refused
equal "refused: a job after it" "$(calls sbatch)" "sbatch --parsable --dependency=afterany:5 refused/slurm/job.sh"
fake sbatch 'exit 1'
run 85 "neither requeue nor sbatch" neither
fake scontrol '[ "$1 $2" = "show hostnames" ] && echo n1
[ "$1" != requeue ] || { : >"$WORK/asked"; exit 1; }
[ ! -e "$WORK/asked" ] || STATE=PENDING
[ "$1 $2" != "show job" ] || echo "JobId=5 JobName=x JobState=$STATE Reason=None"'
run 85 "requeue is refused, and it waits" waits
equal "it waits: no other job" "x$(calls sbatch)" x
TTT_SLURM_WAIT_S=1; export TTT_SLURM_WAIT_S
fake scontrol '[ "$1 $2" = "show hostnames" ] && echo n1 || exit 1'
run 85 "scontrol fails" fails
unset TTT_SLURM_WAIT_S
equal "scontrol fails: no other job" "x$(calls sbatch)" x
expect_text "scontrol fails: reported" "may be in the queue nevertheless (SLURM does not answer)"
fake scontrol "$SCONTROL"
STATE=CANCELLED
run 85 "cancelled" cancelled
equal "cancelled: no requeue" "x$(calls '^scontrol requeue')" x
STATE=RUNNING
fake sbatch 'echo 6'
mkdir -p "$WORK/chain/slurm"
run 0 "chain" chain launch.slurm.chain=true
equal "chain: the next job from the beginning" "$(calls '^sbatch\|^scontrol requeue\|^scancel')" \
    "sbatch --parsable --dependency=afterany:5 chain/slurm/job.sh"
TOLD=
SLURM_MEM_PER_NODE=20; export SLURM_MEM_PER_NODE
run 71 "less memory than the run needs" small
expect_text "less memory: reported" "on a machine that has 20 MiB for this job (launch.slurm.memory"
unset SLURM_MEM_PER_NODE
run 0 "chain, to its end" chain launch.slurm.chain=true
equal "chain: done, the next is not wanted" "$(calls scancel)" "scancel 6"
run 0 "chain, once more" chain launch.slurm.chain=true
equal "chain: of a finished run nothing follows" "x$(calls sbatch)" x
submit 0 "a finished run" --set "run.dir=$WORK/chain"
equal "a finished run is not submitted" "x$(calls '^sbatch --parsable')" x
: >"$WORK/calls"
submit 78 "another batch than the checkpoint's" --set "run.dir=$WORK/chain" --set train.steps=20 \
    --set optim.warmup_steps=1 --set optim.decay_steps=12 --set train.batch_tokens=640
expect_text "another batch: which key" "config: train.batch_tokens is 640, was 320"
equal "another batch: nothing is submitted" "x$(calls '^sbatch --parsable')" x
fake sbatch 'exit 1'
run 78 "chain that can't continue" broken launch.slurm.chain=true

# srun promised four, MPI sees one.
name="a promise that is not kept" expect_exit 78 env SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=4 \
    SLURM_PROCID=0 "$TTT" train "$WORK/run.yaml" --set "run.dir=$WORK/promise"
expect_text "promise: reported" "srun started 4 processes, but MPI connects only 1 of them"
name="a promise: the others are silent" expect_exit 78 env SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=4 \
    SLURM_PROCID=1 "$TTT" train "$WORK/run.yaml" --set "run.dir=$WORK/promise"
equal "promise: silent" "x$(cat "$WORK/err")" x
check "promise: nobody trains" test ! -e "$WORK/promise"

# A job that begins after its run was asked to stop.
mkdir -p "$WORK/halted/slurm"
echo '{"kind":"submit","time":1,"id":"5"}' >"$WORK/halted/launch.jsonl"; : >"$WORK/halted/STOP"
fake scontrol 'echo n1'
name="asked to stop in the queue" expect_exit 85 env PATH="$WORK/bin:$PATH" SLURM_JOB_ID=5 \
    SLURM_JOB_NODELIST=n1 SLURM_TASKS_PER_NODE=1 SLURM_NTASKS=1 "$TTT" launch "$WORK/run.yaml" \
    --inside-slurm --set "run.dir=$WORK/halted"
equal "asked to stop in the queue: then" "$(PATH=$WORK/bin:$PATH "$TTT" status "$WORK/halted" --json | grep -c '"cancelled"')" 1

# Three jobs that began at the same step.
fake scontrol 'echo n1'
mkdir -p "$WORK/run"
for i in 1 2 3; do echo '{"kind":"job","id":"5","committed":-1}'; done >>"$WORK/run/launch.jsonl"
job 93 "no progress" n1 1 1
expect_text "no progress: reported" "3 jobs began at step 0 and brought no new checkpoint"
finish
