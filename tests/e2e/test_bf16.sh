# SPDX-License-Identifier: Apache-2.0
# train.precision bf16: the same bits on every grid, near fp32, part of what a run is.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
make_grid_config "$WORK/run.yaml"
HALF="train.precision=bf16 train.steps=6"

# shellcheck disable=SC2086
went "1x1x1" 1x1x1 base $HALF && ok "1x1x1"
root=$(root_of base)
# shellcheck disable=SC2086
same() {
    same_grid=$1; same_dir=$2; shift 2
    went "$same_grid${*:+ $*}" "$same_grid" "$same_dir" $HALF "$@" || return
    equal "$same_grid${*:+ $*}: same root" "$(root_of "$same_dir")" "$root"
}
for grid in 2x1x1 1x1x2 1x2x1; do same $grid g$grid; done
same 1x1x1 t2 run.threads=2 train.micro_batch=1
same 1x1x2 h2 train.sequence_mode=heads train.remat=block
TTT_FAIL="train.step#6=kill"; export TTT_FAIL
# shellcheck disable=SC2086
on 1x1x1 killed $HALF checkpoint.background=false
unset TTT_FAIL
same 2x1x1 killed
expect_text "resumed" 'resumed from .*: step 4 ' "$WORK/killed.err"
expect_text "and the loss of its probe is that of the checkpoint" 'bit for bit' "$WORK/killed.err"

# --- attention, whose scores are products, too ----------------------------------------
ATTENTION="$HALF model.layer=attention"
# shellcheck disable=SC2086
went "attention" 1x1x1 attention $ATTENTION && ok "attention"
# shellcheck disable=SC2086
same_attention() {
    went "attention on $1" "$1" "$2" $ATTENTION $3
    equal "attention on $1${3:+, $3}: same root" "$(root_of "$2")" "$(root_of attention)"
}
same_attention 1x1x2 attention_s
same_attention 1x1x2 attention_h train.sequence_mode=heads
same_attention 2x1x1 attention_d run.threads=2
differ "attention has another root" "$(root_of attention)" "$root"

# --- near fp32, and another run ------------------------------------------------------
went "fp32" 1x1x1 fp32 train.steps=6
differ "fp32 has another root" "$(root_of fp32)" "$root"
if echo "$(values fp32 loss_nats | tail -n 1) $(values base loss_nats | tail -n 1)" |
    awk '{ d = $2 / $1 - 1; exit !(NF == 2 && d * d < 1e-4) }'; then ok "losses are near"; else
    failed "losses are near" "$(values fp32 loss_nats | tail -n 1), $(values base loss_nats | tail -n 1)"; fi

# Where the processor has no instructions for it, or may not use them, it says so, once.
slower() { grep -c 'no bf16 instructions: fp32 is faster' "$WORK/$1.err"; }
TTT_ISA=avx2; export TTT_ISA
went "bf16 without instructions" 2x1x1 slow train.steps=1 train.precision=bf16
went "fp32 without them" 1x1x1 slow32 train.steps=1
unset TTT_ISA
equal "bf16 without instructions: one warning" "$(slower slow)" 1
equal "fp32: no warning" "$(slower slow32)" 0

on 1x1x1 base train.precision=fp32 train.steps=6
equal "another precision is refused" $? 78
expect_text "and named" "train.precision is fp32, was bf16" "$WORK/base.err"

# --- inner loops have bf16 operands, too -----------------------------------------------
for layer in ttt_linear ttt_mlp; do
    set -- model.layer=$layer train.steps=30
    went "$layer" 1x1x1 $layer "$@"
    went "$layer, bf16" 1x1x1 half_$layer "$@" train.precision=bf16
    went "$layer, bf16, 1x2x2" 1x2x2 grid_$layer "$@" train.precision=bf16 run.threads=2
    equal "$layer: the same root on 1x2x2" "$(root_of grid_$layer)" "$(root_of half_$layer)"
    if echo "$(values $layer loss_nats | tail -n 1) $(values half_$layer loss_nats | tail -n 1)" |
        awk '{ d = $2 / $1 - 1; exit !(NF == 2 && d != 0 && d * d < 1e-4) }'; then
        ok "$layer: losses within 1 %"; else
        failed "$layer: losses within 1 %" "$(values half_$layer loss_nats | tail -n 1)"; fi
done

# --- moments of half the size ----------------------------------------------------------
went "moments" 1x1x1 moments train.steps=6 optim.state=bf16 && ok "moments in bf16"
differ "they have another root" "$(root_of moments)" "$(root_of fp32)"
went "moments, 2x1x2" 2x1x2 moments2 train.steps=6 optim.state=bf16 run.threads=2 checkpoint.writers=1
equal "moments: the same root on 2x1x2" "$(root_of moments2)" "$(root_of moments)"
TTT_FAIL="train.step#5=kill"; export TTT_FAIL
on 1x1x1 moments3 train.steps=6 optim.state=bf16 checkpoint.background=false
unset TTT_FAIL
went "moments, resumed on 1x2x1" 1x2x1 moments3 train.steps=6 optim.state=bf16
equal "moments: the same root after a kill" "$(root_of moments3)" "$(root_of moments)"
name="ttt ckpt show" expect_exit 0 "$TTT" ckpt show "$WORK/moments"
name="eval of such a run" expect_exit 0 "$TTT" eval "$WORK/moments" "$WORK/val"
on 1x1x1 moments train.steps=6
equal "other moments are refused" $? 78

# --- the processor's way, and without it ---------------------------------------------
for limit in TTT_ISA=plain TTT_ISA=avx2 TTT_ISA=avx512 LIBXSMM_TARGET=hsw; do
    isa=${limit#*=}
    export "${limit?}"
    # shellcheck disable=SC2086
    went "$limit" 1x1x1 "isa_$isa" $HALF train.steps=2
    unset "${limit%%=*}"
    if echo "$(values "isa_$isa" loss_nats | head -n 1) $(values base loss_nats | head -n 1)" |
        awk '{ d = $2 / $1 - 1; exit !(NF == 2 && d * d < 1e-10) }'; then ok "$isa: same first loss"
    else failed "$isa: same first loss" "$(values "isa_$isa" loss_nats | head -n 1)"; fi
done
TTT_ISA=mmx; export TTT_ISA
name="TTT_ISA=mmx" expect_exit 64 "$TTT" eval "$WORK/base" "$WORK/val"
unset TTT_ISA

# --- using it -------------------------------------------------------------------------
nats() { sed -n 's/.*"nats_per_token": *\([0-9.]*\).*/\1/p' "$WORK/out" | head -n 1; }
name="eval" expect_exit 0 "$TTT" eval "$WORK/base" "$WORK/val" --precision bf16 --json
half=$(nats)
name="eval fp32" expect_exit 0 "$TTT" eval "$WORK/base" "$WORK/val" --json
full=$(nats)
differ "bf16 is not fp32" "$half" "$full"
if echo "$half $full" | awk '{ d = $1 / $2 - 1; exit !(NF == 2 && d * d < 1e-5) }'; then
    ok "but near"; else failed "but near" "$half $full"; fi
name="generate" expect_exit 0 "$TTT" generate "$WORK/base" --prompt "the cat" --tokens 20 --precision bf16
name="no such precision" expect_exit 64 "$TTT" generate "$WORK/base" --precision fp16 --tokens 1
finish
