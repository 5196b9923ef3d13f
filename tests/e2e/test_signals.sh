# SPDX-License-Identifier: Apache-2.0
# The table of jobs/RUNS.md, Signals: however a run was started, a signal that asks for its end costs no
# step, with the exit code that the table says; a restart ends like a run without interruption.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/launch.sh"
make_data
make_config "$WORK/run.yaml"
sets="train.steps=60 checkpoint.every_steps=0 checkpoint.background=true train.inner_stats_every=0"

# shellcheck disable=SC2086
trained "uninterrupted" whole $sets && ok "uninterrupted"
root=$(root_of whole)
curve=$(values whole loss_nats)
# shellcheck disable=SC2086
trained "another seed" seed $sets run.seed=4 && differ "another seed, another root" "$(root_of seed)" "$root"

# A job of SLURM whose only process srun starts here.
mkdir "$WORK/bin"
fake() { printf '#!/bin/sh\n%s\n' "$2" >"$WORK/bin/$1"; chmod +x "$WORK/bin/$1"; }
PROGRAM=$(readlink -f "$TTT")
export PROGRAM WORK
fake srun 'while [ "${1##*/}" != "${PROGRAM##*/}" ]; do shift; done; exec "$@"'
fake scontrol '[ "$1 $2" = "show hostnames" ] && echo n1
[ "$1 $2" = "show job" ] && echo "JobId=5 JobName=x JobState=RUNNING Reason=None"
[ "$1" != requeue ] || echo requeued >>"$WORK/job.requeued"'

# start HOW DIR FAILPOINTS [key=value ...]: $pid is ttt, mpirun or the launcher.
start() {
    how=$1 dir=$2 fail=$3; shift 3
    words=; for s in $sets "$@" "run.dir=$WORK/$dir"; do words="$words --set $s"; done
    # shellcheck disable=SC2086
    (TTT_FAIL=$fail; export TTT_FAIL
     case $HUP in ignored) trap "" HUP ;; esac
     case $how in
     train) exec "$TTT" train "$WORK/run.yaml" $words ;;
     mpirun) exec $RANKS 2 "$TTT" train "$WORK/run.yaml" $words ;;
     launch) exec "$TTT" launch "$WORK/run.yaml" -n 2 --set launch.bind=false $words ;;
     job) PATH="$WORK/bin:$PATH" SLURM_JOB_ID=5 SLURM_JOB_NODELIST=n1 SLURM_TASKS_PER_NODE=1
          export PATH SLURM_JOB_ID SLURM_JOB_NODELIST SLURM_TASKS_PER_NODE
          exec "$TTT" launch "$WORK/run.yaml" --inside-slurm $words ;;
     esac >"$WORK/$dir.out" 2>"$WORK/$dir.err" </dev/null) &
    pid=$!
}

steps_of() { grep -c "\"kind\":\"step\"" "$WORK/$1/metrics.jsonl" 2>/dev/null; }
until_step() { until [ "$(steps_of "$1")" = "$2" ] || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done; }

resumed() {
    # shellcheck disable=SC2086
    trained "$1: resumed" "$2" $sets || return
    equal "$1: same root" "$(root_of "$2")" "$root"
    equal "$1: same losses" "$(values "$2" loss_nats)" "$curve"
}

# mpirun may be gone before its processes are.
until_gone() { for _ in $(seq 400); do [ -n "$(ranks_of "$1")" ] || break; sleep 0.05; done; }

# cell HOW SIGNAL CODE STEPS: a signal about when step 20 begins ends the run with CODE, and the
# checkpoint is of its last step; STEPS is 60 where it runs to its end.  The pause ends with a signal
# that is caught.
cell() {
    name="$1, $2" dir=$1-$2
    case $4 in 20) pause=20000 ;; *) pause=300 ;; esac
    case $2 in nohup) HUP=ignored signal=HUP ;; *) HUP= signal=$2 ;; esac
    start "$1" "$dir" "train.step#20=sleep:$pause"
    until_step "$dir" 19
    kill -"$signal" $pid
    wait $pid
    equal "$name: exit code" "$?" "$3"
    until_gone "$dir"
    n=$(steps_of "$dir")
    equal "$name: checkpoint" "$(ls "$WORK/$dir/ckpt")" "step-0000000000$n.a0001"
    [ "$n" = 19 ] || equal "$name: steps" "$n" "$4"
    [ "$4" = 60 ] && equal "$name: same root" "$(root_of "$dir")" "$root" && return
    expect_text "$name: reported" "step $n is saved; the same command resumes" "$WORK/$dir.err"
    resumed "$name" "$dir"
}

# --- the table -------------------------------------------------------------------------------
for s in INT TERM HUP USR1 USR2 XCPU; do cell train $s 85 20; done
for s in nohup PIPE; do cell train $s 0 60; done
if command -v "$MPIRUN" >/dev/null; then
    case $MPI in
    openmpi)
        for s in INT TERM HUP; do cell mpirun $s 1 20; done   # with the second that mpirun gives
        for s in USR1 USR2; do cell mpirun $s 85 20; done
        cell mpirun PIPE 0 60
        cell mpirun nohup 1 20 ;;   # mpirun has a handler of its own
    mpich)   # it ends at once, and its processes with it, after HUP and USR2
        for s in INT TERM USR1; do cell mpirun $s 85 20; done
        cell mpirun nohup 0 60 ;;
    esac
    for s in INT TERM HUP USR1 USR2 XCPU; do cell launch $s 85 20; done
    for s in nohup PIPE; do cell launch $s 0 60; done
    for s in INT TERM HUP USR1 USR2 XCPU; do cell job $s 0 20; done
    for s in nohup PIPE; do cell job $s 0 60; done
    equal "job: in the queue again after each signal" "$(wc -l <"$WORK/job.requeued")" 6

    # Processes that are killed after a signal had asked for a checkpoint: 85, and why.
    start launch unsaved "train.step#20=spin" checkpoint.every_steps=10
    until_step unsaved 19
    sleep 0.5
    kill -TERM $pid
    sleep 0.5
    # shellcheck disable=SC2046
    kill -KILL $(ranks_of unsaved)
    wait $pid
    equal "launch, killed before it saved: exit code" "$?" 85
    expect_text "launch, killed before it saved: reported" \
        "before it could save, after .*; the newest checkpoint is of step 10" "$WORK/unsaved.err"
    resumed "launch, killed before it saved" unsaved

    # MPICH passes SIGTERM on, and its processes do not survive it.
    if [ "$MPI" = openmpi ]; then
        # mpirun without time for a checkpoint: nothing older is lost, and the user was told.
        FLAGS= start mpirun killed "train.step#2=sleep:1200,train.step#20=spin" checkpoint.every_steps=10
        until_step killed 19
        kill -TERM $pid
        wait $pid
        equal "mpirun kills in a step: exit code" "$?" 1
        expect_text "mpirun kills in a step: the user was warned" \
            "mpirun kills its processes 1 s after they got SIGTERM" "$WORK/killed.err"
        equal "mpirun kills in a step: the checkpoint before it" "$(ls "$WORK/killed/ckpt")" \
            "step-000000000010.a0001"
        resumed "mpirun kills in a step" killed
        OMPI_MCA_odls_base_sigkill_timeout=30
        export OMPI_MCA_odls_base_sigkill_timeout
        start mpirun patient "train.step#2=sleep:1200"
        wait $pid
        equal "mpirun that waits longer: no warning" "$?:$(grep -c "mpirun kills" "$WORK/patient.err")" 0:0
        unset OMPI_MCA_odls_base_sigkill_timeout

        # mpirun that is gone: its processes save, and end.
        start mpirun orphans "train.step#20=sleep:20000"
        until_step orphans 19
        kill -KILL $pid
        wait $pid
        until_gone orphans
        equal "mpirun was killed: its processes saved" "$(ls "$WORK/orphans/ckpt")" \
            "step-0000000000$(steps_of orphans).a0001"
        resumed "mpirun was killed" orphans

        # So they do when its reader ends: Open MPI 4.1's mpirun crashes then.
        # shellcheck disable=SC2086
        TTT_FAIL="train.step#20=sleep:20000" $RANKS 2 "$TTT" train "$WORK/run.yaml" \
            $words --set run.dir="$WORK/reader" 2>&1 </dev/null | head -n 2 >"$WORK/out"
        until_gone reader
        equal "mpirun without a reader: its processes saved" "$(ls "$WORK/reader/ckpt")" \
            "step-0000000000$(printf %02d "$(steps_of reader)").a0001"
        resumed "mpirun without a reader" reader
    fi
fi

# --- moments ---------------------------------------------------------------------------------
# More signals meet the save.
start train twice "train.step#20=sleep:20000,ckpt.after_mkdir=sleep:300"
until_step twice 19
for _ in 1 2 3 4; do kill -TERM $pid 2>/dev/null; sleep 0.05; done
wait $pid
equal "TERM four times: exit code" "$?" 85
resumed "TERM four times" twice

# In the last step: the run is complete, and says so with 0.
start train last "train.step#60=sleep:20000"
until_step last 59
kill -TERM $pid
wait $pid
equal "TERM in the last step: exit code" "$?" 0
equal "TERM in the last step: same root" "$(root_of last)" "$root"

# In an evaluation: it is left, and repeated.
for how in train mpirun; do
    for n in 30 60; do
        dir=eval-$how-$n name="$how, USR1 in the evaluation of step $n"
        start $how $dir "eval.slice=sleep:20000" data.val="$WORK/val" eval.every_steps=$n
        until_step $dir $n
        sleep 0.2
        kill -USR1 $pid
        wait $pid
        equal "$name: exit code" "$?" 85
        expect_text "$name: reported" "evaluation of step $n was given up: a signal" "$WORK/$dir.err"
        # shellcheck disable=SC2086
        trained "$name: resumed" $dir $sets data.val="$WORK/val" eval.every_steps=$n
        equal "$name: repeated" "$(values $dir step eval | head -n 1)" $n
        equal "$name: same root" "$(root_of $dir)" "$root"
    done
done

# A limit of CPU time, hard and soft at once, as `ulimit -t` sets it.
(ulimit -t 4; exec "$TTT" train "$WORK/run.yaml" --set train.steps=10000000 --set checkpoint.every_steps=0 \
    --set run.dir="$WORK/cpu" >"$WORK/out" 2>"$WORK/err")
equal "ulimit -t: exit code" "$?" 85
expect_text "ulimit -t: reported" "is saved; the same command resumes"

# A limit of file sizes is no signal that kills, but an error of the write that meets it.  (UCX, and so
# MPICH, does not start with so small a limit.)
if [ "$MPI" = openmpi ]; then
    make_config "$WORK/big.yaml"
    (ulimit -f 100; exec "$TTT" train "$WORK/big.yaml" --set model.width=128 --set run.dir="$WORK/limit" \
        >"$WORK/out" 2>"$WORK/err")
    equal "ulimit -f: exit code" "$?" 74
    expect_text "ulimit -f: reported" "File too large"
fi
finish
