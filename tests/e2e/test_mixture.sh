# SPDX-License-Identifier: Apache-2.0
# Models whose blocks differ, through the whole program: three blocks of TTT-Linear and one of
# attention, and Mamba with attention. The same bits on every grid, also after a kill; evaluated,
# continued, probed; a list of one layer is the word; no public format has a mixture.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
cat >"$WORK/run.yaml" <<EOF
run: {dir: $WORK/run, seed: 3}
model: {layer: [ttt_linear, ttt_linear, ttt_linear, attention], vocab: 258, layers: 4, width: 32,
        heads: 4, ffn_width: 48}
data: {train: $WORK/train, val: $WORK/val}
train: {steps: 8, context: 80, batch_tokens: 400, micro_batch: 2, slice_tokens: 16, inner_stats_every: 4}
optim: {lr: 1e-2}
eval: {every_steps: 4, max_tokens: 480}
checkpoint: {every_steps: 4, every_minutes: 0}
EOF
MIXED="model.layer=[mamba,attention] model.kv_heads=2"

# same NAME DIR REFERENCE: two runs have the same root and the same numbers.
same() {
    equal "$1: same root" "$(root_of "$2")" "$(root_of "$3")"
    numbers "$3" >"$WORK/$3.numbers"
    numbers "$2" | cmp -s - "$WORK/$3.numbers" && ok "$1: same numbers" ||
        failed "$1: numbers" "$(numbers "$2" | diff - "$WORK/$3.numbers" | head -n 4)"
}

# learns DIR: the loss falls.
learns() {
    numbers "$1" | awk '/"kind":"step"/ { sub(/.*"loss_nats":/, ""); sub(/,.*/, ""); if (!n++) first = $0
        last = $0 } END { exit !(n == 8 && last < first - 0.5) }' && ok "$1: it learns" ||
        failed "$1: it learns" "$(numbers "$1")"
}

# --- configurations ------------------------------------------------------------------
name="ttt config show" expect_exit 0 "$TTT" config show "$WORK/run.yaml"
expect_text "the list as it was given" "layer: \[ttt_linear, ttt_linear, ttt_linear, attention\]" "$WORK/out"
expect_text "epsilon of a mixture" "rms_eps: 1e-06" "$WORK/out"
name="what repeats itself is written once" expect_exit 0 "$TTT" config show "$WORK/run.yaml" \
    --set 'model.layer=[mamba, attention, mamba, attention]'
expect_text "by its shortest list" "layer: \[mamba, attention\]" "$WORK/out"
name="an unknown layer" expect_exit 78 "$TTT" config show "$WORK/run.yaml" --set 'model.layer=[mamba, atention]'
expect_text "its entry is named" "found 'atention' in entry 2 of the list (did you mean attention?)"
name="an empty list" expect_exit 78 "$TTT" config show "$WORK/run.yaml" --set 'model.layer=[]'
expect_text "is reported" "model.layer: expected a layer at least, found an empty list"
name="more layers than blocks" expect_exit 78 "$TTT" config show "$WORK/run.yaml" --set model.layers=3
expect_text "are reported" "model.layer: expected at most one layer for each of the 3 blocks (model.layers), found 4"
name="keys of the union" expect_exit 0 "$TTT" config show "$WORK/run.yaml" --set model.qkv_bias=true \
    --set model.head_dim=16 --set model.kv_heads=1 --set model.mini_batch=8
name="a key of no layer" expect_exit 78 "$TTT" config show "$WORK/run.yaml" \
    --set 'model.layer=[ttt_linear, mamba]' --set model.qkv_bias=true
name="ttt plan" expect_exit 0 "$TTT" plan "$WORK/run.yaml" --ranks 4

# --- grids -------------------------------------------------------------------------
went "three of TTT-Linear, one of attention" 1x1x1 base && learns base
for grid in 2x1x1 1x2x3 1x1x4 2x2x2; do
    went $grid $grid g$grid && same $grid g$grid base
done
went "heads mode" 1x1x4 heads train.sequence_mode=heads && same "heads on 1x1x4" heads base
went "heads mode, recomputed" 1x2x2 again train.sequence_mode=heads train.remat=block &&
    same "heads on 1x2x2" again base
# shellcheck disable=SC2086
went "Mamba and attention" 1x1x1 mixed $MIXED && learns mixed
for grid in 2x1x1 1x2x3 1x1x4 2x2x2; do
    # shellcheck disable=SC2086
    went "mixed $grid" $grid m$grid $MIXED && same "mixed $grid" m$grid mixed
done
# shellcheck disable=SC2086
went "mixed, recomputed" 1x1x2 mremat $MIXED train.remat=block && same "mixed, recomputed" mremat mixed
# shellcheck disable=SC2086
went "mixed, heads mode" 1x1x4 mheads $MIXED train.sequence_mode=heads && same "mixed, heads mode" mheads mixed
# shellcheck disable=SC2086
went "bf16 on a grid" 2x1x2 bf16 $MIXED train.precision=bf16 &&
    went "bf16" 1x1x1 bf16one $MIXED train.precision=bf16 && same "bf16" bf16 bf16one

# --- a list of one is the word -----------------------------------------------------------
went "the word" 1x1x1 word model.layer=ttt_linear
went "a list of one" 1x1x1 one "model.layer=[ttt_linear]" && same "a list of one" one word
differ "another model than the mixture" "$(root_of word)" "$(root_of base)"
"$TTT" ckpt show "$WORK/word" --json >"$WORK/show" 2>/dev/null
expect_text "stored as the word" '"layer": "ttt_linear"' "$WORK/show"
"$TTT" ckpt show "$WORK/mixed" --json | tr -d ' \n' >"$WORK/show"
expect_text "a mixture is stored as a list" '"layer":\["mamba","attention"\]' "$WORK/show"

# --- kill and resume -----------------------------------------------------------------------
TTT_FAIL="train.step#6=kill"; export TTT_FAIL
on 1x1x2 chain
unset TTT_FAIL
went "killed, and resumed on another grid" 2x1x1 chain train.remat=block &&
    equal "killed in step 6: same root" "$(root_of chain)" "$(root_of base)"
on 1x1x1 chain "model.layer=[ttt_linear,attention]"
equal "another list does not resume" "$?" 78
expect_text "and is named" "model.layer is \[ttt_linear, attention\], was \[ttt_linear, ttt_linear" "$WORK/chain.err"

# --- uses ----------------------------------------------------------------------------------
grep '"inner_after"' "$WORK/base/metrics.jsonl" | head -n 1 >"$WORK/inner"
expect_text "inner losses: null for attention" '"inner_after":\[[0-9.e-]*,[0-9.e-]*,[0-9.e-]*,null\]' "$WORK/inner"
name="ttt eval" expect_exit 0 "$TTT" eval "$WORK/base" "$WORK/val" --json --inner
tr -d ' \n' <"$WORK/out" >"$WORK/eval"
expect_text "inner losses of an evaluation" '"inner_loss":\[{[^]]*},null\]' "$WORK/eval"
name="ttt eval --inner without any" expect_exit 64 "$TTT" eval "$WORK/mixed" "$WORK/val" --inner
name="ttt generate" expect_exit 0 "$TTT" generate "$WORK/mixed" --prompt "the dog" --tokens 40 --temperature 0
IN=$ROOT/tests/golden/mamba/inputs.safetensors
name="ttt probe" expect_exit 0 "$TTT" probe "$WORK/mixed" --tokens "$IN" --out "$WORK/alone" --states --hidden
name="ttt probe on a grid" expect_exit 0 timeout 100 $RANKS 4 "$TTT" probe "$WORK/mixed" \
    --tokens "$IN" --out "$WORK/grid" --states --hidden --grid 1x2x2
check "the same numbers" cmp "$WORK/alone" "$WORK/grid"
name="ttt spectrum" expect_exit 0 "$TTT" ckpt spectrum "$WORK/base"
name="init_from" expect_exit 0 "$TTT" config show "$WORK/run.yaml" --set "train.init_from=$WORK/base"
name="init_from another mixture" expect_exit 78 "$TTT" config show "$WORK/run.yaml" --set "train.init_from=$WORK/mixed"
expect_text "is refused" "model.layer: expected \[mamba, attention\], as the model"
name="ttt export" expect_exit 78 "$TTT" export "$WORK/base" "$WORK/hf"
expect_text "no public format" "no public format has a model whose blocks differ"
[ ! -e "$WORK/hf" ] && ok "nothing is written" || failed "nothing is written" "$(ls -A "$WORK/hf")"
finish
