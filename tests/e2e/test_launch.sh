# SPDX-License-Identifier: Apache-2.0
# ttt launch: what it refuses, what it survives, how it ends; ttt status and ttt stop; one writer.
#
#   SIGNALS=10   at random moments (100 for the full proof)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/launch.sh"
command -v "$MPIRUN" >/dev/null || { echo "# no $MPIRUN"; finish; }
SIGNALS=${SIGNALS:-10}
make_data
make_config "$WORK/run.yaml"

last_step() { sed -n 's/.*"kind":"step","step":\([0-9]*\).*/\1/p' "$WORK/$1/metrics.jsonl" 2>/dev/null | tail -n 1; }
newest() { find "$WORK/$1/ckpt" -name MANIFEST 2>/dev/null | sed 's/.*step-0*\([0-9]*\)\.a.*/\1/' | sort -n | tail -n 1; }

# --- what is wrong is found before anything starts ------------------------------------------
# refused CODE NAME PATTERN [WORD ...]
refused() {
    code=$1; name=$2; pattern=$3; shift 3
    launch refused "$@"
    equal "$name: exit code" "$?" "$code"
    expect_text "$name: reported" "$pattern" "$WORK/refused.err"
    [ ! -e "$WORK/refused/fence" ] && ok "$name: nothing was started" ||
        failed "$name" "something was started"
}
refused 78 "configuration" "train.stepz: expected a known key" train.stepz=3
refused 66 "data" "nowhere: no such data set" data.train="$WORK/nowhere"
refused 78 "vocabulary" "model.vocab is 99" model.vocab=99
refused 78 "grid" "grid 2x2x1 needs 4 processes, but 3 were asked for" -n 3 --grid 2x2x1
refused 78 "grid and layers" "layers" --grid 1x3x1
refused 71 "memory" "needs .* of memory on a machine that has" model.layers=800 model.width=16384 \
    model.ffn_width=65536 --grid 2x1x1
refused 74 "disk" "are free, but the next .* checkpoints may need" checkpoint.keep=1000000 model.width=1024
refused 78 "hosts" "'no host' is not a valid host name" "launch.hosts=a:2,no host"
printf 'node1 slots=2\nnode2 slots=x\n' >"$WORK/hosts"
refused 78 "hostfile" "node2: 'x' is not a number of slots" --hostfile "$WORK/hosts"
refused 66 "no mpirun" "nowhere/mpirun: it is not installed here" launch.mpirun="$WORK/nowhere/mpirun"
refused 78 "another mpirun" "true --version says .*, which is none of Open MPI.*launch.mpirun_kind" launch.mpirun=true
cp -r "$WORK/train" "$WORK/hurt"
shard=$(find "$WORK/hurt" -name '*.tts' | head -n 1)
printf 'x' | dd of="$shard" bs=1 seek=20 conv=notrunc 2>/dev/null
refused 65 "shard" "$shard" data.train="$WORK/hurt"
launch dry -n 4 --dry-run
expect_text "dry run: a command line" "^$MPIRUN .* -n 4 .* train .*run.yaml .*--grid [124]x[12]x1" "$WORK/dry.out"
GOMP_SPINCOUNT=77; export GOMP_SPINCOUNT
launch dry -n 4 --dry-run
unset GOMP_SPINCOUNT
[ "$MPI" != openmpi ] ||
    expect_text "how long threads wait goes along" "^mpirun .* -x GOMP_SPINCOUNT .* train " "$WORK/dry.out"
launch dry --hostfile /dev/null --dry-run
equal "a hostfile without hosts" "$?" 66
launch dry --hosts a:1,b:2 --dry-run
expect_text "hosts" "-hosts\{0,1\} a:1,b:2 -n 3 " "$WORK/dry.out"

# --- inside a job of a scheduler, with variables as its manual names them ---------------------------
mkdir "$WORK/bin"
for i in 1 1 2 2; do echo node$i.cluster; done >"$WORK/nodefile"
printf '#!/bin/sh\n[ "$1 $2" = "resource list" ] && echo "16 node[01-02]"\n' >"$WORK/bin/flux"
printf '#!/bin/sh\nprintf "n1\\nn2\\n"\n' >"$WORK/bin/scontrol"
chmod +x "$WORK/bin"/*
# offered NAME LINE COMMAND VARIABLE=VALUE ... -- [WORD ...]: what is reported of the job, and the start.
offered() {
    name=$1; said=$2; starts=$3; shift 3
    (PATH=$WORK/bin:$PATH
     while [ "$1" != -- ]; do export "$1"; shift; done
     shift; launch job "$@" --dry-run)
    expect_text "$name: said" "$said" "$WORK/job.err"
    expect_text "$name: used" "$starts" "$WORK/job.out"
}
offered PBS 'PBS job 12.pbs: 2 hosts, 4 slots' ' --host node1.cluster:2,node2.cluster:2 -n 4 ' \
    PBS_JOBID=12.pbs PBS_NODEFILE="$WORK/nodefile" --
offered "PBS, fewer processes" 'PBS job 12.pbs: 2 hosts, 4 slots' ' --host node1.cluster:1,node2.cluster:1 -n 2 ' \
    PBS_JOBID=12.pbs PBS_NODEFILE="$WORK/nodefile" -- -n 2
offered "PBS, other hosts named" 'grid 3x1x1: 3 processes' ' --host a:3 -n 3 ' \
    PBS_JOBID=12.pbs PBS_NODEFILE="$WORK/nodefile" -- --hosts a:3 --grid 3x1x1
offered LSF 'LSF job 7: 2 hosts, 4 slots' ' --host node1.cluster:2,node2.cluster:2 -n 4 ' \
    LSB_JOBID=7 LSB_DJOB_HOSTFILE="$WORK/nodefile" LSB_MCPU_HOSTS="other 9" --
offered "LSF, no file" 'LSF job 7: 2 hosts, 5 slots' ' --host node1:4,node2:1 -n 5 ' \
    LSB_JOBID=7 LSB_MCPU_HOSTS="node1 4 node2 1 " --
offered Flux 'Flux job local:///tmp/flux: 2 hosts, 16 slots' ' --host node01:2,node02:2 -n 4 ' \
    FLUX_URI=local:///tmp/flux -- --grid 2x2x1
offered SLURM 'SLURM job 5 on n\[1-2\]: 2 nodes, 4 processes' '^srun .* --nodelist=n1,n2 --ntasks=4 ' \
    SLURM_JOB_ID=5 SLURM_JOB_NODELIST='n[1-2]' SLURM_TASKS_PER_NODE='2(x2)' --
echo 'not a host' >"$WORK/spoilt"
for job in "PBS_JOBID=1" "PBS_JOBID=1 PBS_NODEFILE=$WORK/nowhere" "PBS_JOBID=1 PBS_NODEFILE=/dev/null" \
    "LSB_JOBID=1" "LSB_JOBID=1 LSB_MCPU_HOSTS=a" "FLUX_URI=x PATH=/nowhere"; do
    # shellcheck disable=SC2086
    env $job "$TTT" launch "$WORK/run.yaml" --dry-run >"$WORK/out" 2>"$WORK/err"
    expect_text "a job without hosts ($job)" 'the hosts of this .* job are not known; --hosts A:4,B:4 names them'
done

# A job on this machine. A signal of the scheduler: 85, to be submitted again. ttt stop: not again.
hostname=$(hostname)
printf '%s\n%s\n' "$hostname" "$hostname" >"$WORK/nodefile"
# in_job SIGNAL [WORD ...]: a job that gets the signal, or is asked to stop, after step 5.
in_job() {
    asks=$1; shift
    (PBS_JOBID=12 PBS_NODEFILE=$WORK/nodefile FAIL=train.step@0#7=sleep:500
     export PBS_JOBID PBS_NODEFILE; launch batch train.steps=4000 log.every_steps=1 checkpoint.every_steps=0 "$@") &
    pid=$!
    await_step batch "$from"
    if [ "$asks" = STOP ]; then "$TTT" stop "$WORK/batch" 2>/dev/null
    else kill -"$asks" "$(launcher_of batch)"; fi
    wait $pid; got=$?
    from=$(($(newest batch) + 5))
}
from=5
in_job TERM
equal "PBS: SIGTERM" "$got" 85
expect_text "PBS: what to do" "exit code 85: submit the job again" "$WORK/batch.err"
equal "PBS: all steps are saved" "$(newest batch)" "$(last_step batch)"
in_job USR2
equal "the next job, SIGUSR2" "$got" 85
equal "it continued" "$(notes batch start ranks | tr '\n' ' ')" "2 2 "
in_job STOP
equal "ttt stop: not submitted again" "$got" 0
expect_text "ttt stop: reported" "asked to stop: the exit code is not 85" "$WORK/batch.err"
steps=$(newest batch)
"$TTT" stop "$WORK/batch" 2>/dev/null
(PBS_JOBID=13 PBS_NODEFILE=$WORK/nodefile; export PBS_JOBID PBS_NODEFILE; launch batch train.steps=4000)
equal "asked while the job waited" "$?" 0
expect_text "asked while the job waited: reported" "asked to stop while this job waited" "$WORK/batch.err"
equal "asked while the job waited: no step" "$(newest batch)" "$steps"
for i in 1 2 3; do echo "{\"kind\":\"job\",\"committed\":$steps}"; done >>"$WORK/batch/launch.jsonl"
(PBS_JOBID=14 PBS_NODEFILE=$WORK/nodefile; export PBS_JOBID PBS_NODEFILE; launch batch train.steps=4000)
got=$?
equal "jobs that bring nothing end" "$got" 93
expect_text "jobs that bring nothing: reported" "3 jobs began at step $steps and brought no new checkpoint" "$WORK/batch.err"

# --- crashes ----------------------------------------------------------------------------------
sets="train.steps=30 log.every_steps=10"
# shellcheck disable=SC2086
launch whole -n 2 $sets
equal "uninterrupted" "$?" 0
root=$(root_of whole)
equal "uninterrupted: no process is believed to be left" "$(notes whole left rank | wc -l)" 0
expect_text "uninterrupted: where it begins" "whole: no checkpoint, the run begins at step 0" "$WORK/whole.err"

# shellcheck disable=SC2086
FAIL="train.step@1#23=kill" launch killed -n 2 $sets
equal "a killed rank: exit code" "$?" 0
equal "a killed rank: started again" "$(notes killed start restarts | tr '\n' ' ')" "0 1 "
equal "a killed rank: from step 20" "$(notes killed exit committed | head -n 1)" 20
equal "a killed rank: same root" "$(root_of killed)" "$root"

# shellcheck disable=SC2086
FAIL="train.step@0#25=sleep:1500" launch mpirun -n 2 $sets &
pid=$!
await_step mpirun 23
kill -9 "$(pgrep -f "^$MPIRUN .*run.dir=$WORK/mpirun( |\$)")"
wait $pid
equal "a killed mpirun: exit code" "$?" 0
equal "a killed mpirun: same root" "$(root_of mpirun)" "$root"

# shellcheck disable=SC2086
FAIL="train.step@0#25=sleep:1500" launch launcher -n 2 $sets &
pid=$!
await_step launcher 23
kill -9 "$(launcher_of launcher)"
wait $pid 2>/dev/null
i=0
while [ -n "$(ranks_of launcher)" ] && [ $i -lt 200 ]; do sleep 0.1; i=$((i + 1)); done
equal "a killed launcher: its processes leave" "$(ranks_of launcher | wc -l)" 0
step=$(newest launcher)
equal "a killed launcher: and save" "$step" "$(last_step launcher)"
# shellcheck disable=SC2086
launch launcher -n 2 $sets
expect_text "a killed launcher: the next one continues" "the run resumes from .*: step $step root" "$WORK/launcher.err"
equal "a killed launcher: same root" "$(root_of launcher)" "$root"

FAIL="train.step@1#3=kill" launch loop -n 2
equal "the same crash again and again: exit code" "$?" 93
equal "the same crash again and again: three restarts" "$(notes loop start restarts | tr '\n' ' ')" "0 1 2 3 "
FAIL="nan-weight:model.norm.weight#*=err" launch nan -n 2 train.max_bad_steps=3
equal "a run that diverges: exit code" "$?" 87
equal "a run that diverges is not started again" "$(notes nan start restarts)" 0

# --- another program is installed ---------------------------------------------------------------
mkdir "$WORK/installed" && cp "$TTT" "$WORK/installed/ttt"
# shellcheck disable=SC2086
(TTT=$WORK/installed/ttt
 FAIL="train.step@0#22=sleep:1500,train.step@1#23=kill" launch replaced -n 2 $sets) &
pid=$!
await_step replaced 21
check "another program: a job has its own" test -x "$(echo "$WORK"/replaced/program/*/ttt)"
printf '#!/bin/sh\nexit 9\n' >"$WORK/new" && chmod +x "$WORK/new" && mv "$WORK/new" "$WORK/installed/ttt"
wait $pid
equal "another program: exit code" "$?" 0
equal "another program: started again" "$(notes replaced start restarts | tr '\n' ' ')" "0 1 "
expect_text "another program: reported" \
    "another program is installed at $WORK/installed/ttt since .* continues with the one that it started with" "$WORK/replaced.err"
equal "another program: same root" "$(root_of replaced)" "$root"
check "another program: the copy is removed at the end" test ! -e "$WORK/replaced/program"
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
    mkdir "$WORK/noexec"
    BEFORE="unshare -m sh $WORK/noexec.sh"
    echo "mount -t tmpfs -o noexec none $WORK/noexec || exit 9; exec \"\$@\"" >"$WORK/noexec.sh"
    launch noexec -n 2 train.steps=1
    equal "a folder without programs: exit code" "$?" 0
    expect_text "a folder without programs: reported" "can't be kept in the run's folder (.*Permission denied)" "$WORK/noexec.err"
    BEFORE=
fi

# --- memory that is used up ---------------------------------------------------------------------
mkdir -p "$WORK/groups/mine" && echo "0::/mine" >"$WORK/groups/cgroup"
echo 8000000000 >"$WORK/groups/mine/memory.max"
printf 'oom 0\noom_kill 0\n' >"$WORK/groups/mine/memory.events"
# shellcheck disable=SC2086
(TTT_CGROUPS=$WORK/groups; export TTT_CGROUPS
 FAIL="train.step@0#22=sleep:1500,train.step@1#23=kill" launch oom -n 2 $sets) &
pid=$!
await_step oom 21
printf 'oom 1\noom_kill 1\n' >"$WORK/groups/mine/memory.events"
wait $pid
equal "out of memory: exit code" "$?" 0
expect_text "out of memory: so called" "the kernel killed a process for lack of memory after" "$WORK/oom.err"
expect_text "out of memory: predicted and allowed" \
    "out of memory: the prediction is .*iB per machine, and the processes on this one may use 7.45 GiB" "$WORK/oom.err"
equal "out of memory: noted" "$(notes oom exit status | tr '\n' ' ')" "71 0 "
equal "out of memory: same root" "$(root_of oom)" "$root"

# --- an MPI that fails at once -------------------------------------------------------------------
printf '#!/bin/sh\necho "ssh: Could not resolve hostname $1: Name or service not known" >&2\nexit 255\n' >"$WORK/ssh"
chmod +x "$WORK/ssh"
launch nohost --hosts nosuch:2 "launch.mpirun_args=--mca plm_rsh_agent $WORK/ssh"
equal "an unknown host: exit code" "$?" 78
equal "an unknown host: not tried again" "$(notes nohost start restarts)" 0
expect_text "an unknown host: one line" \
    "started no process of the run .*ssh: Could not resolve hostname .*: Name or service not known .all that it printed is in .*/nohost/start.log" "$WORK/nohost.err"
equal "an unknown host: nothing else of mpirun" "$(grep -c 'ORTE\|^----' "$WORK/nohost.err")" 0
expect_text "an unknown host: the rest is in a file" "Could not resolve hostname" "$WORK/nohost/start.log"

# --- processors ----------------------------------------------------------------------------------
last=$(sed -n 's/^Cpus_allowed_list:.*[^0-9]\([0-9]*\)$/\1/p' /proc/self/status)
if command -v taskset >/dev/null; then
    BEFORE="taskset -c $last"
    launch narrow -n 1 run.threads=0 launch.bind=true train.steps=2
    equal "one processor: exit code" "$?" 0
    expect_text "one processor: planned" ": 1 process with 1 thread each .*1 core " "$WORK/narrow.err"
    expect_text "one processor: reported" "^processes on .*: 1 with 1 thread on 1 core (CPUs $last)$" "$WORK/narrow.err"
    equal "one processor: noted" "$(notes narrow ranks cores)" 1
    launch crowd -n 1 run.threads=2 train.steps=2
    expect_text "asked for more: reported" ": 1 with 2 threads on 1 core (CPUs $last); more threads than cores" "$WORK/crowd.err"
    BEFORE=
fi
# Processes that got different processors, as on nodes that differ.
if command -v taskset >/dev/null && [ "$(taskset -c "$last" nproc)" = 1 ] && [ "$(nproc)" -ge 2 ]; then
    cat >"$WORK/uneven.sh" <<END
[ "\$OMPI_COMM_WORLD_RANK" = 1 ] && exec taskset -c $last "\$@"
exec "\$@"
END
    # shellcheck disable=SC2046
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout 60 \
        mpirun --oversubscribe --bind-to none -n 2 sh "$WORK/uneven.sh" "$TTT" train "$WORK/run.yaml" \
        --set run.threads=0 --set train.steps=2 --set "run.dir=$WORK/uneven" >"$WORK/out" 2>"$WORK/err"
    equal "uneven processors: exit code" "$?" 0
    expect_text "uneven processors: each its own number" "^processes on .*: 2 with 1 to [0-9]* threads on 1 to [0-9]* cores each (CPUs .* $last)$"
fi

# --- signals ------------------------------------------------------------------------------------
long="train.steps=400 log.every_steps=100 checkpoint.every_steps=0 checkpoint.background=true"
now() { date +%s%3N; }  # milliseconds
start=$(now)
# shellcheck disable=SC2086
launch long -n 2 $long
took=$(($(now) - start))
root=$(root_of long)
# At moments of a whole run on this machine.  A run that ends before its signal costs a line.
awk -v n="$SIGNALS" -v took="$took" 'BEGIN { srand(11); split("TERM INT USR1 HUP", s)
    for (i = 0; i < 40 * n; i++) printf "%.3f %s %.3f\n", 0.001 * took * rand(), s[1 + int(4 * rand())], 0.5 * rand() }' >"$WORK/times"
sent=0; runs=1; wrong=0; lost=0; other=0
while [ $sent -lt "$SIGNALS" ] && read -r delay signal more; do
    # shellcheck disable=SC2086
    launch s$runs -n 2 $long &
    pid=$!
    sleep "$delay"
    kill -"$signal" "$(launcher_of s$runs)" 2>/dev/null
    sleep "$more"
    kill -TERM "$(launcher_of s$runs)" 2>/dev/null
    wait $pid; code=$?
    if [ $code = 0 ]; then
        [ "$(root_of s$runs)" = "$root" ] || other=$((other + 1))
        runs=$((runs + 1))
        continue
    fi
    sent=$((sent + 1))
    [ $code = 85 ] || { wrong=$((wrong + 1)); echo "# $signal after $delay s: exit $code" >&2; tail -n 5 "$WORK/s$runs.err" >&2; }
    [ "$(last_step s$runs)" = "$(newest s$runs)" ] || {
        lost=$((lost + 1)); echo "# $signal after $delay s: step $(last_step s$runs), saved $(newest s$runs)" >&2
    }
done <"$WORK/times"
equal "signals, each followed by another" "$sent" "$SIGNALS"
equal "signals: exit codes other than 85" "$wrong" 0
equal "signals: steps lost" "$lost" 0
# shellcheck disable=SC2086
launch s$runs -n 2 $long
equal "signals: same root" "$(root_of s$runs)" "$root"
equal "signals: other roots" "$other" 0
echo "# $sent signals in $runs runs"
# shellcheck disable=SC2086
FAIL="launch.end=sleep:1500" launch late -n 2 $long &
pid=$!
until [ "$(notes late end status)" ]; do kill -0 $pid 2>/dev/null || break; sleep 0.05; done
kill -INT "$(launcher_of late)"
kill -TERM "$(launcher_of late)"
wait $pid
equal "signals when the run has ended: exit code" "$?" 0
equal "signals when the run has ended: same root" "$(root_of late)" "$root"

# --- one writer ------------------------------------------------------------------------------------
slow="train.steps=20 checkpoint.every_steps=5"
# shellcheck disable=SC2086
trained "alone" alone $slow
pids=
for i in $(seq 20); do
    "$TTT" train "$WORK/run.yaml" --set train.steps=20 --set checkpoint.every_steps=5 \
        --set run.dir="$WORK/many" >"$WORK/many.out$i" 2>"$WORK/many.err$i" &
    pids="$pids $!"
done
done_by=0; refused=0
for p in $pids; do
    wait "$p"
    case $? in 0) done_by=$((done_by + 1)) ;; 75) refused=$((refused + 1)) ;; esac
done
# One that starts when another has finished finds the run finished.
equal "20 starts at once: all refused or done" "$((done_by + refused))" 20
equal "20 starts at once: one lineage" "$(cat "$WORK"/many.out* | grep -c committed)" 4
equal "20 starts at once: each step once" "$(values many step | tr '\n' ' ')" "$(seq 20 | tr '\n' ' ')"
cat "$WORK"/many.out* >"$WORK/many.out"; : >"$WORK/many.err"
equal "20 starts at once: same root" "$(ls "$WORK/many/ckpt" | tail -n 1) $(root_of many)" \
    "$(ls "$WORK/alone/ckpt" | tail -n 1) $(root_of alone)"

# shellcheck disable=SC2086
(TTT_FAIL="train.step#8=sleep:2500"; export TTT_FAIL; train over $slow; exit $?) &
pid=$!
await_step over 7
cp "$WORK/over.out" "$WORK/first.out"
"$TTT" launch "$WORK/run.yaml" --set run.dir="$WORK/over" 2>"$WORK/err"
equal "a second start: exit code" "$?" 75
expect_text "a second start: says whose run it is" "belongs to another process (process [0-9]* on .*--takeover"
"$TTT" train "$WORK/run.yaml" --takeover --set run.dir="$WORK/over" --set train.steps=20 \
    --set checkpoint.every_steps=5 >"$WORK/second.out" 2>"$WORK/second.err"
equal "a takeover: exit code" "$?" 0
wait $pid
equal "a takeover: the first one's exit code" "$?" 75
equal "a takeover: the first one committed nothing more" "$(grep -c 'committed' "$WORK/over.out")" 1
equal "a takeover: same root" "$(sed -n 's/^committed step 20 root //p' "$WORK/second.out")" "$(root_of alone)"

# --- status and stop ---------------------------------------------------------------------------------
state() { "$TTT" status --json "$WORK/$1" | sed -n 's/^ *"state": "\(.*\)",/\1/p'; }
equal "status: finished" "$(state killed)" finished
equal "status: failed" "$(state nan)" failed
launch asked -n 2 train.steps=100000 log.every_steps=10000 &
pid=$!
await_step asked 10
equal "status: running" "$(state asked)" running
check "stop" "$TTT" stop --wait "$WORK/asked"
wait $pid
equal "stop: exit code" "$?" 85
equal "stop: no step is lost" "$(last_step asked)" "$(newest asked)"
equal "status: saved" "$(state asked)" saved
train gone &
pid=$!
await_step gone 2
# shellcheck disable=SC2046
kill -9 $(pgrep -f "$TTT train .*run.dir=$WORK/gone") 2>/dev/null
wait $pid 2>/dev/null
case $(state gone) in crashed | finished) ok "status: crashed" ;; *) failed "status: crashed" "$(state gone)" ;; esac
"$TTT" status "$WORK" >"$WORK/out"
expect_text "status: a table of all runs" "^asked *saved .*/100000" "$WORK/out"
name="status: no such run" expect_exit 66 "$TTT" status "$WORK/nothing"

# --- fewer machines ---------------------------------------------------------------------------------
# Two names for this machine; one of them stops to answer.
if [ "$(id -u)" = 0 ] && unshare --uts true 2>/dev/null; then
    cat >"$WORK/agent" <<END
#!/bin/sh
host=\$1; shift
[ -e "$WORK/down.\$host" ] && exit 255
exec unshare --uts sh -c "hostname \$host; \$*"
END
    chmod +x "$WORK/agent"
    case $MPI in
        mpich) far="-launcher rsh -launcher-exec $WORK/agent" ;;
        *)     far="--mca plm_rsh_agent $WORK/agent --mca btl self,tcp" ;;
    esac
    sets="train.steps=60 log.every_steps=20"
    # shellcheck disable=SC2086
    trained "60 steps" sixty $sets
    # shellcheck disable=SC2086
    FAIL="train.step@3#30=sleep:1500" launch fewer --hosts nodea:3,nodeb:1 $sets \
        "launch.mpirun_args=$far" &
    pid=$!
    await_step fewer 28
    : >"$WORK/down.nodeb"
    kill -9 "$(ranks_of fewer | tail -n 1)"
    wait $pid
    equal "a lost host: exit code" "$?" 0
    equal "a lost host: named" "$(notes fewer lost host)" nodeb
    equal "a lost host: 4 processes, then 3" "$(notes fewer start ranks | tr '\n' ' ')" "4 3 "
    equal "a lost host: same root" "$(root_of fewer)" "$(root_of sixty)"
fi
finish
