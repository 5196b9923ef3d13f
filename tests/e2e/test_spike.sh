# SPDX-License-Identifier: Apache-2.0
# A loss out of line: the run goes back to the newest checkpoint and leaves out the samples since.
# It ends like a run that was told at its start to leave them out.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
make_grid_config "$WORK/run.yaml"
long="train.steps=60 train.spike_nats=0.5 checkpoint.every_steps=10 eval.every_steps=25 log.every_steps=10"

# shellcheck disable=SC2086
went "clean" 1x1x1 clean $long && ok "clean"
equal "a clean run continues" "$(grep -c '"kind":"rewind"' "$WORK/clean/metrics.jsonl")" 0
# shellcheck disable=SC2086
went "nobody watches" 1x1x2 unwatched $long train.spike_nats=0 &&
    equal "watching changes no loss" "$(values unwatched loss_nats)" "$(values clean loss_nats)"

# Step 37 of 5 sequences: back to step 30, samples 150 to 184 are left out.
TTT_FAIL="train.spike#37=err"; export TTT_FAIL
# shellcheck disable=SC2086
went "a spike in step 37" 1x2x2 spike $long && ok "a spike in step 37"
unset TTT_FAIL
expect_text "said" "step 37: the loss is .* a spike; back to step 30, and samples 150-184 are left out" "$WORK/spike.err"
expect_text "in metrics.jsonl" '"kind":"rewind","step":30,"from":37,.*"left_out":"150-184"' "$WORK/spike/metrics.jsonl"
equal "each step is there once" "$(values spike step | tr '\n' ' ')" "$(seq 60 | tr '\n' ' ')"
# shellcheck disable=SC2086
went "told at the start" 2x1x1 told $long data.skip=150-184 && ok "told at the start"
equal "the same losses" "$(values spike loss_nats)" "$(values told loss_nats)"
equal "the same evaluations" "$(values spike loss_nats eval)" "$(values told loss_nats eval)"
equal "the same root" "$(root_of spike)" "$(root_of told)"
differ "another one than without a spike" "$(root_of spike)" "$(root_of clean)"

# Killed after the spike, and resumed on another grid.
TTT_FAIL="train.spike#37=err,train.step#51=kill"; export TTT_FAIL
# shellcheck disable=SC2086
on 1x1x3 killed $long
unset TTT_FAIL
# shellcheck disable=SC2086
went "continues elsewhere" 2x1x1 killed $long && equal "the same root" "$(root_of killed)" "$(root_of told)"

# Before there is a checkpoint; again and again.
TTT_FAIL="train.spike#25=err"; export TTT_FAIL
# shellcheck disable=SC2086
went "without a checkpoint" 1x1x2 early $long checkpoint.every_steps=0 && ok "without a checkpoint"
unset TTT_FAIL
expect_text "said" "a spike, and there is no checkpoint to go back to" "$WORK/early.err"
rules=
for i in 31 32 33 34; do rules="$rules,train.spike#$i=err"; done
TTT_FAIL=${rules#,}; export TTT_FAIL
# shellcheck disable=SC2086
on 1x1x2 again $long
equal "four in a row: exit code" "$?" 87
unset TTT_FAIL
expect_text "said" "a spike after 3 rewinds in 1000 steps; the newest checkpoint is of step 30" "$WORK/again.err"
equal "three of them" "$(grep -c 'are left out' "$WORK/again.err")" 3

name="no list of samples: exit 78" expect_exit 78 "$TTT" train "$WORK/run.yaml" --set data.skip=9-1
expect_text "what is expected" "data.skip: expected numbers of samples as 5120-6143,9000, found '9-1'" "$WORK/err"
finish
