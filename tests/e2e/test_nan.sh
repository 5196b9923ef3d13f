# SPDX-License-Identifier: Apache-2.0
# A step that meets NaN changes nothing, is counted and named; too many end the run.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
make_data
make_config "$WORK/run.yaml"
tensor=model.layers.1.mlp.up_proj.weight

trained "clean" clean && ok "clean"
root=$(root_of clean)
equal "a clean run skips nothing" "$(grep -c '"kind":"skip"' "$WORK/clean/metrics.jsonl")" 0

# once NAME PLACE PATTERN: NaN in step 5 only.
once() {
    (TTT_FAIL="$2#5=err"; export TTT_FAIL; train "$1" checkpoint.every_steps=1 checkpoint.keep=20)
    equal "$1: the run ends well" "$?" 0
    expect_text "$1: named" "step 5 skipped, nothing was changed: not finite: $3, first on rank 0; samples [0-9 ]*; 1 in a row, 1 in this run" "$WORK/$1.err"
    expect_text "$1: in metrics.jsonl" '"kind":"skip","step":5,"what":"'"$3"'","rank":0,"samples":\[[0-9,]*\].*"in_a_row":1,"skipped":1' "$WORK/$1/metrics.jsonl"
    equal "$1: all other steps" "$(values "$1" step | tr '\n' ' ')" "1 2 3 4 6 7 8 9 10 11 12 "
    equal "$1: no NaN in any other line" "$(grep -v '"kind":"skip"\|"kind":"start"' "$WORK/$1/metrics.jsonl" | grep -c null)" 0
    differ "$1: not the clean run's end" "$(root_of "$1")" "$root"
    a=$(echo "$WORK/$1"/ckpt/step-000000000004.*); b=$(echo "$WORK/$1"/ckpt/step-000000000005.*)
    "$TTT" ckpt diff "$a" "$b" >"$WORK/diff" 2>&1
    expect_text "$1: the counters moved on" "step" "$WORK/diff"
    if grep -q 'model\.\|adam' "$WORK/diff"; then failed "$1: weights and moments untouched" "$(cat "$WORK/diff")"
    else ok "$1: weights and moments untouched"; fi
}
once gradient nan-grad:$tensor "gradient of $tensor"
# A fault of the moment: computed again, and no trace of it is left.
(TTT_FAIL="nan-once:$tensor#5=err"; export TTT_FAIL; train moment)
equal "a fault of the moment: exit code" "$?" 0
expect_text "a fault of the moment: reported" "step 5 was not finite at first, and is when computed again: gradient of $tensor, first on rank 0" "$WORK/moment.err"
expect_text "a fault of the moment: in metrics.jsonl" '"kind":"again","step":5' "$WORK/moment/metrics.jsonl"
equal "a fault of the moment: same root" "$(root_of moment)" "$root"
equal "a fault of the moment: same losses" "$(values moment loss_nats)" "$(values clean loss_nats)"
once activation nan-weight:$tensor "output of model.layers.1"
"$TTT" ckpt diff "$(echo "$WORK"/activation/ckpt/step-000000000005.*)" "$(echo "$WORK"/activation/ckpt/step-000000000006.*)" >"$WORK/diff" 2>&1
grep -q "$tensor" "$WORK/diff" && ok "a good step does change them" || failed "a good step" "$(cat "$WORK/diff")"

# Persistent: 3 in a row end the run; the checkpoint before them is intact.
(TTT_FAIL="nan-grad:$tensor#6=err,nan-grad:$tensor#7=err,nan-grad:$tensor#8=err"; export TTT_FAIL; train many train.max_bad_steps=3)
equal "3 in a row: exit code" "$?" 87
expect_text "3 in a row: reported" "3 steps in a row were not finite; the newest checkpoint is of step 4" "$WORK/many.err"
trained "started again without the cause" many train.max_bad_steps=3 &&
    equal "ends like the clean run" "$(root_of many)" "$root"
(TTT_FAIL="nan-grad:$tensor#6=err,nan-grad:$tensor#8=err,nan-grad:$tensor#10=err"; export TTT_FAIL; train apart train.max_bad_steps=2)
equal "3, but not in a row: exit code" "$?" 0
expect_text "3, but not in a row: said at the end" "done at step 12 after .*, 3 steps skipped" "$WORK/apart.err"


# Few, but the last ones: the run does not end as one that learned, and computes them again.
(TTT_FAIL="nan-grad:$tensor#11=err,nan-grad:$tensor#12=err"; export TTT_FAIL; train last)
equal "the last 2 steps: exit code" "$?" 87
expect_text "the last 2 steps: reported" "the last 2 of 12 steps were not finite and changed nothing; the newest checkpoint is of step 8" "$WORK/last.err"
expect_text "the last 2 steps: in metrics.jsonl" '"kind":"end","step":12,"status":"diverged","skipped":2' "$WORK/last/metrics.jsonl"
trained "the last 2 steps: started again" last &&
    equal "the last 2 steps: ends like the clean run" "$(root_of last)" "$root"
(TTT_FAIL="nan-grad:$tensor#11=err,nan-grad:$tensor#12=err,ckpt.begin#2=sleep:300"; export TTT_FAIL
 train behind checkpoint.background=true)
expect_text "the last 2 steps, a save behind them: reported" "the newest checkpoint is of step 8" "$WORK/behind.err"
(TTT_FAIL="nan-grad:$tensor#*=err"; export TTT_FAIL; train never train.steps=3)
equal "no step that learned: exit code" "$?" 87
expect_text "no step that learned: reported" "the last 3 of 3 steps .*; there is no checkpoint" "$WORK/never.err"

# No fault but a rate beyond reason: the weights explode, and nothing is hidden.
train blown optim.lr=1000 optim.warmup_steps=0 optim.clip_norm=0 train.max_bad_steps=2
equal "exploding: exit code" "$?" 87
expect_text "exploding: reported" "2 steps in a row were not finite" "$WORK/blown.err"
finish
