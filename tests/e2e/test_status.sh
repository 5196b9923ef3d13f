# SPDX-License-Identifier: Apache-2.0
# ttt status and ttt stop, of folders that are written here and with stand-ins for SLURM's programs:
# one run that can't be read hides no other, JSON is valid whatever names there are, a job's state
# and reason are shown, no answer of SLURM is not "no job", and stop does what it says.
. "$(dirname "$0")/lib.sh"
mkdir "$WORK/bin" "$WORK/logs" && cd "$WORK" || exit 1
PATH=$WORK/bin:$PATH
export WORK PATH
TTT=$(readlink -f "$TTT")

# fake NAME TEXT: a stand-in that writes its arguments to $WORK/calls.
fake() {
    printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n%s\n' "$1" "$WORK" "$2" >"$WORK/bin/$1"
    chmod +x "$WORK/bin/$1"
}
fake squeue 'cat "$WORK/queue" 2>/dev/null; :'
fake sacct 'cat "$WORK/history" 2>/dev/null; :'
fake scancel 'rm -f "$WORK/queue"'
calls() { grep -c "^$1" "$WORK/calls"; }
# queue STATE [REASON]: what squeue says of job 77; history STATE [CODE]: what sacct does.
queue() { echo "77|77|$1|N/A|${2:-None}" >"$WORK/queue"; rm -f "$WORK/history"; }
history() { echo "77|77|$1|${2:-0:0}" >"$WORK/history"; rm -f "$WORK/queue"; }

# run DIR: a run of 60 steps that is submitted as job 77 and has not begun.
run() {
    mkdir -p "$1/slurm" && echo 77 >"$1/slurm/job"
    printf 'data: {train: x}\ntrain: {steps: 60}\n' >"$1/config.yaml"
    echo '{"kind":"submit","time":100,"id":"77"}' >"$1/launch.jsonl"
}
# trained DIR STATUS STEP COMMITTED: it has run and ended.
trained() {
    mkdir -p "$1/fence" "$1/ckpt/step-0000000000$4.a0001" && : >"$1/ckpt/step-0000000000$4.a0001/MANIFEST"
    printf 'data: {train: x}\ntrain: {steps: 60}\n' >"$1/config.yaml"
    echo "{\"host\":\"n1\",\"job\":\"77\",\"seen\":200,\"status\":$2}" >"$1/fence/000001"
    echo "{\"kind\":\"step\",\"step\":$3,\"loss_nats\":2.5,\"step_s\":1.0}" >"$1/metrics.jsonl"
    echo '{"kind":"start","time":100,"launcher":"n1","pid":7}' >"$1/launch.jsonl"
    echo "{\"kind\":\"end\",\"time\":200,\"status\":$2}" >>"$1/launch.jsonl"
}
# shows NAME DIR STATE [PATTERN]: the row of a run.
shows() {
    "$TTT" status "$2" >"$WORK/row" 2>"$WORK/err"
    equal "$1" "$(sed -n '2s/^[^ ]*  *\([a-z]*\).*/\1/p' "$WORK/row")" "$3"
    [ -z "$4" ] || expect_text "$1: why" "$4" "$WORK/row"
}

# --- a job, from the queue to its end -----------------------------------------------------
run logs/new
queue PENDING Resources
shows "in the queue" logs/new waiting 'job 77: PENDING (Resources)'
queue PENDING 'ReqNodeNotAvail, UnavailableNodes:n[1-2]'
shows "in the queue: a reason of several words" logs/new waiting 'UnavailableNodes:n\[1-2\])'
queue REQUEUE_HOLD
shows "held" logs/new waiting 'job 77: REQUEUE_HOLD'
queue RUNNING
shows "its job runs" logs/new waiting 'training has not begun yet; job 77: RUNNING'
queue SUSPENDED
shows "suspended" logs/new suspended
queue FAILED NonZeroExitCode
shows "died before it trained" logs/new failed 'training never began; job 77: FAILED (NonZeroExitCode); the job has no log logs/new/slurm/77.log'
printf 'loading\nLmod: module "gcc/99" is unknown\n\n' >logs/new/slurm/77.log
shows "died: its last words" logs/new failed 'logs/new/slurm/77.log: Lmod: module "gcc/99" is unknown$'
printf 'bad \033]0;title\007 module\n' >>logs/new/slurm/77.log
shows "died: control characters are visible" logs/new failed '77.log: bad \\x1b\]0;title\\x07 module$'
history FAILED 78:0
shows "died long ago" logs/new failed 'job 77: FAILED (exit code 78)'
history 'CANCELLED by 1000'
shows "cancelled in the queue" logs/new cancelled 'before training began; job 77: CANCELLED by 1000'
for state in TIMEOUT OUT_OF_MEMORY NODE_FAIL PREEMPTED BOOT_FAIL DEADLINE COMPLETED; do
    history $state
    shows "$state" logs/new failed "job 77: $state"
done
history 'OUT_OF_ME+'
shows "a cut state" logs/new failed "job 77: OUT_OF_ME+"
rm -f history queue
shows "nobody knows it" logs/new failed "job 77 has left SLURM's queue"

rm logs/new/slurm/77.log
shows "nobody knows it, and it left nothing" logs/new failed 'the job printed nothing: was it cancelled?$'

# Of an array: members of a series, whose logs are in one folder.
mkdir -p logs/series/slurm
for i in 0 1; do run logs/series/m$i; echo "77_$i" >logs/series/m$i/slurm/job; done
printf '77|77_0|FAILED|N/A|NonZeroExitCode\n77|77_1|PENDING|N/A|JobArrayTaskLimit\n' >queue
echo "no such module" >logs/series/slurm/77_0.log
: >calls
"$TTT" status logs/series >row 2>err
expect_text "array: one has died" '^m0  *failed .*77_0: FAILED.*/slurm/77_0.log: no such module$' row
expect_text "array: one waits" '^m1  *waiting .*job 77_1: PENDING (JobArrayTaskLimit)$' row
equal "array: one question" "$(calls squeue)" 1

# --- what the folder says, and the queue ---------------------------------------------------
trained logs/saved 85 40 40
echo 77 >logs/saved/job; mkdir -p logs/saved/slurm; mv logs/saved/job logs/saved/slurm/job
history COMPLETED
shows "saved" logs/saved saved
queue PENDING BeginTime
shows "saved, and in the queue again" logs/saved waiting 'job 77: PENDING (BeginTime)'
rm queue
trained logs/behind 85 60 40
shows "60 of 60, and a checkpoint of step 40" logs/behind stopped 'steps after the newest checkpoint'
trained logs/done 0 60 60
: >calls
shows "finished" logs/done finished
equal "finished: the accounts are not asked" "$(calls squeue) $(calls sacct)" "1 0"
trained logs/bad 74 40 40
shows "failed" logs/bad failed 'exit code 74: reading or writing failed'

for state in $(sed -n '/names\[RUN_PHASES\]/,/};/p' "$ROOT/jobs/run_phase.c" | grep -o '"[a-z]*"' | tr -d '"'); do
    expect_text "RUNS.md: $state" "^| $state | " "$ROOT/jobs/RUNS.md"
done

# --- no answer ----------------------------------------------------------------------------------
TTT_SLURM_WAIT_S=1; export TTT_SLURM_WAIT_S
for answer in 'sleep 1000' 'exit 1' 'echo "squeue: command not supported"' 'echo PENDING' 'head -c 99 /dev/zero'; do
    fake squeue "$answer"; fake sacct "$answer"
    name="no answer ($answer)" expect_exit 0 timeout 60 "$TTT" status logs
    expect_text "no answer ($answer): not known" '^new  *unknown .*job 77: its state is not known (squeue: ' out
    expect_text "no answer ($answer): said by the folder" '^saved  *saved .*its state is not known' out
    expect_text "no answer ($answer): finished is finished" '^done  *finished .* 77$' out
done
unset TTT_SLURM_WAIT_S
fake squeue 'cat "$WORK/queue" 2>/dev/null; :'
fake sacct 'cat "$WORK/history" 2>/dev/null; :'

# --- a run that can't be read, names that are no text --------------------------------------------
# valid NAME N: the output is whole, of N runs, and UTF-8.
valid() {
    if iconv -f UTF-8 -t UTF-8 out >/dev/null 2>&1 && [ "$(grep -c '"state": ' out)" = "$2" ] &&
        [ "$(tail -n 1 out)" = "]" ]; then ok "$1"; else failed "$1" "no JSON"; cat out >&2; fi
}
mkdir mixed
trained mixed/a 0 60 60
trained mixed/b 0 60 60
trained mixed/c 85 40 40
trained mixed/d 0 60 60
printf 'watchdog: {bogus: 1}\n' >>mixed/b/config.yaml
rm mixed/c/launch.jsonl && mkdir mixed/c/launch.jsonl
name="one bad run among others: exit code of the first" expect_exit 78 "$TTT" status mixed
expect_text "the good ones are shown" '^a  *finished ' out
expect_text "the good ones are shown, too, after it" '^d  *finished ' out
expect_text "a newer one: what is wrong" '^b  *finished .*mixed/b/config.yaml:3:[0-9]*: watchdog.bogus' out
expect_text "an unreadable one: what is wrong" '^c  *unreadable .*mixed/c/launch.jsonl' out
expect_text "said on stderr" "2 of 4 runs can't be read in full"
name="one bad run: JSON" expect_exit 78 "$TTT" status mixed --json
valid "one bad run: valid" 4
expect_text "one bad run: the error" '"error": "mixed/b/config.yaml:3' out
equal "the others have none" "$(grep -c '"error": null' out)" 2
name="one that is not there" expect_exit 66 "$TTT" status mixed/a nothing
expect_text "not there: the other is shown" '^a  *finished ' out

# What can't be looked at is not absent, and what is wrong with one run is no other's.
mkdir hidden
trained hidden/a 0 60 60
mkdir hidden/b && ln -s launch.jsonl hidden/b/launch.jsonl
trained hidden/c 0 60 60
rm hidden/c/metrics.jsonl && mkdir hidden/c/metrics.jsonl
trained hidden/d 0 60 60
rm -r hidden/d/ckpt && : >hidden/d/ckpt
name="hidden: exit code of the first" expect_exit 74 "$TTT" status hidden
expect_text "hidden: a folder that can't be looked into" '^b  *unreadable .*hidden/b/launch.jsonl: ' out
expect_text "hidden: no folder of checkpoints" '^d  *finished .* 77  *hidden/d/ckpt: is not a folder, or can.t be read$' out
trained hidden/e 1000000000000000 40 40
shows "a code that is none" hidden/e failed 'exit code 255'
mkdir no-runs
name="no logs" expect_exit 66 sh -c 'cd no-runs && exec "$0" status' "$TTT"
expect_text "no logs: what to do" 'there is no folder logs here: change to the folder in which runs were started'
name="no runs" expect_exit 0 "$TTT" status no-runs
expect_text "no runs: reported" 'no-runs: there is no run in this folder'

odd=$(printf 'odd/\377\303name-of-more-than-sixty-four-bytes-\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251')
mkdir odd
run "$odd"
printf '{"kind":"submit","id":"ab%s"}\n' "$(printf '\303\251%.0s' $(seq 60))" >"$odd/launch.jsonl"
rm "$odd/slurm/job"
name="names that are no text" expect_exit 0 "$TTT" status odd --json
valid "names that are no text: valid" 1
expect_text "not cut" 'bytes-ééééééééééééé"' out
echo 'no number' >"$odd/slurm/job"
name="a spoilt number of a job" expect_exit 65 "$TTT" status odd
expect_text "a spoilt number: reported" "expected the number of a job, found 'no number'" out

# --- stop ---------------------------------------------------------------------------------------
: >calls
queue PENDING Priority
name="stop: in the queue" expect_exit 0 timeout 60 "$TTT" stop --wait logs/new
equal "stop: in the queue: cancelled" "$(grep '^scancel' calls)" "scancel 77"
expect_text "stop: in the queue: reported" 'logs/new: job 77 was waiting and is cancelled'
shows "stop: in the queue: then" logs/new cancelled "before training began; job 77 has left SLURM's queue"
queue PENDING Priority
fake scancel 'echo "scancel: error: Kill job error on job id 77: Access/permission denied" >&2; exit 1'
name="stop: not allowed" expect_exit 74 "$TTT" stop logs/new
expect_text "stop: not allowed: reported" 'job 77 is still in the queue (scancel: .*permission denied; squeue: PENDING'
fake squeue 'exit 1'
run logs/new
name="stop: no answer" expect_exit 75 "$TTT" stop logs/new
expect_text "stop: no answer: reported" 'its job may still be in the queue (job 77: its state is not known (squeue: exit code 1)'
check "stop: no answer: should it begin, it ends" test -e logs/new/STOP
fake squeue 'cat "$WORK/queue" 2>/dev/null; :'
queue RUNNING
name="stop: its job runs" expect_exit 0 "$TTT" stop logs/new
expect_text "stop: its job runs: reported" 'job 77 does not train yet, and will end before it does'
rm queue
name="stop: nothing to stop" expect_exit 0 "$TTT" stop logs/done
expect_text "stop: nothing to stop: reported" 'nothing to stop: the run is finished'
name="stop: a folder of runs" expect_exit 64 "$TTT" stop logs/series
expect_text "stop: a folder of runs: which" 'logs/series is not a run but a folder of 2 runs; name one of them:.* logs/series/m0 logs/series/m1$'
check "stop: a folder of runs: left alone" test ! -e logs/series/STOP
name="stop: a folder of nothing" expect_exit 66 "$TTT" stop bin
check "stop: a folder of nothing: left alone" test ! -e bin/STOP
name="stop: several, one of them none" expect_exit 66 "$TTT" stop nothing logs/bad
check "stop: the other is asked" test -e logs/bad/STOP
finish
