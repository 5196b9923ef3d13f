# SPDX-License-Identifier: Apache-2.0
# Training with SOAP: the same bits on every grid with whole matrices, resumed on any; spread ones
# are the same on the same grid; what can't be is reported.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
make_grid_config "$WORK/run.yaml"
SOAP="optim.kind=soap optim.max_dim=64 optim.precondition_every=3 train.steps=8 checkpoint.every_steps=4 eval.every_steps=0"

went "1x1x1" 1x1x1 base $SOAP && ok "1x1x1"
root=$(root_of base)
for grid in 2x1x1 1x2x1 1x1x2 3x1x1 2x2x2; do
    went "$grid" $grid g$grid $SOAP || continue
    equal "$grid: same root" "$(root_of g$grid)" "$root"
done
went "2 threads" 1x1x1 t2 $SOAP run.threads=2 && equal "2 threads: same root" "$(root_of t2)" "$root"
went "AdamW" 1x1x1 adam $SOAP optim.kind=adamw && differ "AdamW, another root" "$(root_of adam)" "$root"
went "other refreshes" 1x1x1 e4 $SOAP optim.precondition_every=4 &&
    differ "other refreshes, another root" "$(root_of e4)" "$root"

for grid in 1x1x1 2x2x1; do
    went "orthogonal, $grid" $grid o$grid $SOAP model.init=orthogonal train.steps=2
done
equal "orthogonal weights: same root" "$(root_of o1x1x1)" "$(root_of o2x2x1)"

# --- resuming: from the middle of 3 refreshes, on another grid ----------------------
TTT_FAIL="train.step#6=err"; export TTT_FAIL
on 2x1x1 cut $SOAP && failed "an error in step 6" "exit 0"
unset TTT_FAIL
went "resumed" 1x2x1 cut $SOAP && equal "resumed on 1x2x1: same root" "$(root_of cut)" "$root"
name="its tensors are whole" expect_exit 0 "$TTT" ckpt verify "$WORK/cut"
"$TTT" ckpt show "$WORK/cut" --all >"$WORK/tensors"
expect_text "left factor" 'soap\.left/.*q_proj' "$WORK/tensors"
expect_text "right basis" 'soap\.right_basis/model.embed_tokens' "$WORK/tensors"
on 1x1x1 cut $SOAP optim.kind=adamw && failed "resumed as AdamW" "exit 0"
expect_text "AdamW does not resume it" 'optim.kind' "$WORK/cut.err"

# --- a decomposition that fails: said, and training continues ---------------------------
for n in 1 2; do
    TTT_FAIL="soap.decompose#$n=err"; export TTT_FAIL
    went "decomposition $n fails" 2x1x1 fail$n $SOAP && differ "another state" "$(root_of fail$n)" "$root"
    expect_text "and it is reported" 'eigenbases of SOAP stay as they were' "$WORK/fail$n.err"
done
unset TTT_FAIL

# --- spread over processes -----------------------------------------------------------
for dir in s1 s2; do went "spread, $dir" 2x1x1 $dir $SOAP optim.whole_dim=16; done
equal "spread: same grid, same root" "$(root_of s1)" "$(root_of s2)"
TTT_FAIL="train.step#6=err"; export TTT_FAIL
on 2x1x1 s3 $SOAP optim.whole_dim=16 && failed "an error in step 6" "exit 0"
unset TTT_FAIL
went "spread, resumed" 2x1x1 s3 $SOAP optim.whole_dim=16 &&
    equal "spread, resumed: same root" "$(root_of s3)" "$(root_of s1)"
went "spread, 1x1x1" 1x1x1 s4 $SOAP optim.whole_dim=16 && ok "spread over one process"
finish
