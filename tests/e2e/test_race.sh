# SPDX-License-Identifier: Apache-2.0
# tests/bench/race.sh on few tokens: a recipe ends where it reaches its target, and what it took.
. "$(dirname "$0")/lib.sh"
command -v bible >/dev/null || { echo "# no bible"; finish; }
OMP_WAIT_POLICY=passive; export OMP_WAIT_POLICY

# One processor, with a counter that begins again while the first recipe runs: 200 J; and its cores.
for d in intel-rapl:0 intel-rapl:0:0; do
    mkdir -p "$WORK/rapl/$d"
    echo 900000000 >"$WORK/rapl/$d/energy_uj"
    echo 1000000000 >"$WORK/rapl/$d/max_energy_range_uj"
done
(until [ -s "$WORK/r/demo/energy" ]; do sleep 0.1; done
 echo 100000000 >"$WORK/rapl/intel-rapl:0/energy_uj") &

# raced TARGET STEPS RECIPE ...
raced() {
    TARGET=$1
    SETS="train.steps=$2 train.context=256 train.batch_tokens=256 train.micro_batch=1 optim.warmup_steps=0
          eval.every_steps=2 eval.max_tokens=1024"
    shift 2
    RAPL=$WORK/rapl OUT=$WORK/r TARGET=$TARGET SETS=$SETS sh "$ROOT/tests/bench/race.sh" "$TTT" "$@"
}

name="it runs" expect_exit 0 raced 9 100000 demo
expect_text "steps, tokens, loss, seconds, of it evaluation, joules" \
    '^| demo | 2 | 512 | [78]\.[0-9]* | [0-9.]* | [0-9.]* | 200 |$' "$WORK/out"
expect_text "the fastest" '^fastest: demo, [0-9.]* s$' "$WORK/out"
name="two that do not reach it" expect_exit 0 raced 1 3 demo large
expect_text "where it ended" '^| large | 3 | 768 | [78]\.' "$WORK/out"
expect_text "none" '^no recipe has reached 1 nats' "$WORK/out"
rm -r "$WORK/rapl"
name="no counter" expect_exit 0 raced 9 2 demo
expect_text "no counter: said" '| not readable |$' "$WORK/out"
name="a recipe that there is not is 64" expect_exit 64 raced 9 2 none
name="a run that fails" expect_exit 1 raced 9 0 demo
finish
