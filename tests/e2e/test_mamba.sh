# SPDX-License-Identifier: Apache-2.0
# A Mamba model through the whole program: the same bits on every grid, resumed, evaluated,
# continued, out to a Hugging Face folder and back.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
cat >"$WORK/run.yaml" <<EOF
run: {dir: $WORK/run, seed: 3}
model: {layer: mamba, vocab: 258, layers: 4, width: 32}
data: {train: $WORK/train, val: $WORK/val}
train: {steps: 8, context: 83, batch_tokens: 415, micro_batch: 2, slice_tokens: 17}
optim: {lr: 1e-2}
eval: {every_steps: 4, max_tokens: 480}
checkpoint: {every_steps: 4, every_minutes: 0}
EOF

name="ttt config show" expect_exit 0 "$TTT" config show "$WORK/run.yaml"
expect_text "sizes that follow from others" "dt_rank: 2" "$WORK/out"
expect_text "no feed-forward" "ffn_width: 0" "$WORK/out"
expect_text "Mamba's epsilon" "rms_eps: 1e-05" "$WORK/out"
name="a feed-forward is refused" expect_exit 78 "$TTT" config show "$WORK/run.yaml" \
    --set model.ffn_width=64
expect_text "and what to write" "expected 0 for layer mamba" "$WORK/err"
name="heads mode is refused" expect_exit 78 "$TTT" config show "$WORK/run.yaml" \
    --set train.sequence_mode=heads

# --- grids -------------------------------------------------------------------------
went "1x1x1" 1x1x1 base && ok "1x1x1"
root=$(root_of base)
numbers base >"$WORK/base.numbers"
awk '/"kind":"step"/ { sub(/.*"loss_nats":/, ""); sub(/,.*/, ""); if (!n++) first = $0; last = $0 }
     END { exit !(n == 8 && last < first - 0.5) }' "$WORK/base.numbers" &&
    ok "it learns" || failed "it learns" "$(cat "$WORK/base.numbers")"
for grid in 1x1x2 2x2x1 1x2x2 1x1x5; do
    went $grid $grid g$grid || continue
    equal "$grid: same root" "$(root_of g$grid)" "$root"
    numbers g$grid | cmp -s - "$WORK/base.numbers" && ok "$grid: same numbers" ||
        failed "$grid: numbers" "$(numbers g$grid | diff - "$WORK/base.numbers" | head -n 4)"
done
# Scan mode sums a state in another order: the same to rounding.
for set in train.remat=none train.remat=block; do
    dir=scan_$set
    went "scan on 1x1x3, $set" 1x1x3 $dir train.sequence_mode=scan $set || continue
    for run in base $dir; do
        sed -n 's/.*"kind":"step".*"loss_nats":\([^,]*\),.*/\1/p' "$WORK/$run/metrics.jsonl" >"$WORK/$run.loss"
    done
    paste -d ' ' "$WORK/base.loss" "$WORK/$dir.loss" |
        awk '{ d = $2 / $1 - 1; if (d < 0) d = -d; if (d > 1e-4 || NF != 2) bad = 1; n++ }
             END { exit bad || n != 8 }' && ok "scan, $set: losses of 8 steps within 1e-4" ||
        failed "scan, $set" "$(paste -d ' ' "$WORK/base.loss" "$WORK/$dir.loss")"
    name="scan, $set: it sends what is planned" expect_exit 0 timeout 120 $RANKS 3 "$TTT" bench grid "$WORK/run.yaml" \
        --grid 1x1x3 --steps 1 --set train.sequence_mode=scan --set $set
done
name="scan mode is Mamba's" expect_exit 78 "$TTT" config show "$WORK/run.yaml" \
    --set model.layer=ttt_linear --set model.heads=2 --set train.slice_tokens=16 \
    --set train.sequence_mode=scan

TTT_FAIL="train.step#6=kill"; export TTT_FAIL
on 1x1x2 chain
unset TTT_FAIL
went "killed, and on with another grid" 2x1x1 chain train.remat=block run.threads=2 &&
    equal "killed in step 6: same root" "$(root_of chain)" "$root"

# --- uses --------------------------------------------------------------------------
name="ttt eval" expect_exit 0 "$TTT" eval "$WORK/base" "$WORK/val" --json
cp "$WORK/out" "$WORK/eval"
name="ttt eval --inner is refused" expect_exit 64 "$TTT" eval "$WORK/base" "$WORK/val" --inner
name="ttt generate" expect_exit 0 "$TTT" generate "$WORK/base" --prompt "the dog" --tokens 40 \
    --temperature 0
name="ttt export" expect_exit 0 "$TTT" export "$WORK/base" "$WORK/hf"
expect_text "config.json of the public class" '"model_type": "mamba"' "$WORK/hf/config.json"
name="ttt import" expect_exit 0 "$TTT" import "$WORK/hf" "$WORK/back"
name="ttt eval of what came back" expect_exit 0 "$TTT" eval "$WORK/back" "$WORK/val" --json --context 83
loss_in() { grep -m 1 "\"nats_per_token\"" "$1"; }
equal "the same loss" "$(loss_in "$WORK/out")" "$(loss_in "$WORK/eval")"
finish
