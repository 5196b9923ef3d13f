#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# smoke.sh -- does this installation of ttt work?  `make smoke PREFIX=...`, or PREFIX/share/ttt/smoke.sh.
#
# Prepares a small text, trains a model of a few thousand numbers on one process, is killed, resumes,
# trains on two processes and evaluates: the two have to end with equal bits.  Less than a minute, as
# any user; everything is in a temporary folder, and the program is found next to this file.  The last
# line is "N passed, N failed", and the exit code is 0 only if none failed.
prefix=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
ttt=$prefix/bin/ttt
work=$(mktemp -d "${TMPDIR:-/tmp}/ttt-smoke.XXXXXX") || exit 1
passed=0 failed=0
trap '[ -n "$KEEP" ] || rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

unset TTT_FAIL
export OMP_NUM_THREADS=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
if [ "$(id -u)" = 0 ]; then  # containers
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# step NAME CODE COMMAND ...: one that has to end with this exit code; its output is in $work/out.
step() {
    step_name=$1 want=$2; shift 2
    timeout 120 "$@" >"$work/out" 2>"$work/err" </dev/null
    code=$?
    if [ $code = "$want" ]; then echo "ok     $step_name"; passed=$((passed + 1)); return 0; fi
    echo "FAILED $step_name: exit code $code instead of $want"
    tail -n 20 "$work/out" "$work/err"
    failed=$((failed + 1))
    return 1
}

# The state root that the command before has ended with.
root() { sed -n 's/^.*committed step 8 root \([0-9a-f]*\).*/\1/p' "$work/out" "$work/err" | tail -n 1; }

step "ttt --version" 0 "$ttt" --version && cat "$work/out"

i=0
while [ $i -lt 120 ]; do
    i=$((i + 1))
    echo "line $i: the quick brown fox jumps over the lazy dog $((i * i % 97)) times."
done >"$work/text.txt"
step "ttt prep" 0 "$ttt" prep "$work/text.txt" --tokenizer bytes --out "$work/data"
step "ttt data verify" 0 "$ttt" data verify "$work/data"

cat >"$work/run.yaml" <<END
base: ttt-linear-125m.yaml     # it came with the program
run: {dir: $work/one, threads: 1}
model: {vocab: 258, layers: 2, width: 32, heads: 2, ffn_width: 64}
data: {train: $work/data, val: ""}
train: {steps: 8, context: 64, batch_tokens: 256}
checkpoint: {every_steps: 3, every_minutes: 0}
launch: {bind: false}
END
step "ttt config check" 0 "$ttt" config check "$work/run.yaml"
step "training on 1 process, killed in step 5" 137 env TTT_FAIL="train.step#5=kill" \
    "$ttt" train "$work/run.yaml"
step "resumed" 0 "$ttt" train "$work/run.yaml" && one=$(root)
step "training on 2 processes" 0 "$ttt" launch "$work/run.yaml" -n 2 --set "run.dir=$work/two" &&
    two=$(root)
if [ -n "$one" ] && [ "$one" = "$two" ]; then
    echo "ok     equal bits on 1 and 2 processes: root $one"; passed=$((passed + 1))
else
    echo "FAILED equal bits: root '$one' on 1 process, '$two' on 2"; failed=$((failed + 1))
fi
step "ttt eval" 0 "$ttt" eval "$work/two" "$work/data" && cat "$work/out"
step "ttt export" 0 "$ttt" export "$work/one" "$work/hf"
step "ttt import" 0 "$ttt" import "$work/hf" "$work/back"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
