# SPDX-License-Identifier: Apache-2.0
# The Transformer as a user meets it: the same bits on every grid, a checkpoint resumed on another,
# evaluation and generation with its cache of keys and values, Hugging Face folders.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
make_grid_config "$WORK/run.yaml"
sed -i 's/^model: {/model: {layer: attention, kv_heads: 2, /; s/heads: 2, ffn/heads: 4, ffn/
        s/steps: 20/steps: 8/' "$WORK/run.yaml"

# --- the same bits ---------------------------------------------------------------
went "1x1x1" 1x1x1 base && ok "1x1x1"
root=$(root_of base)
numbers base >"$WORK/base.numbers"
equal "8 steps and an evaluation" "$(grep -c loss_nats "$WORK/base.numbers")" 9
name="without inner losses" expect_exit 1 grep -q inner_w0 "$WORK/base.numbers"
same() {
    same_grid=$1; same_dir=$2; shift 2
    same_name="$same_grid${*:+ $*}"
    went "$same_name" "$same_grid" "$same_dir" "$@" || return
    equal "$same_name: same root" "$(root_of "$same_dir")" "$root"
    check "$same_name: the same numbers" sh -c \
        "$(printf 'cmp "%s" -' "$WORK/base.numbers") <<END
$(numbers "$same_dir")
END"
}
for grid in 1x1x2 2x2x1 1x2x2 1x1x5; do same $grid g$grid; done
same 1x1x2 h2 train.sequence_mode=heads
same 1x2x2 h22 train.sequence_mode=heads train.remat=block run.threads=2
same 1x1x3 h3 train.sequence_mode=heads
same 1x1x2 m1 train.micro_batch=1 train.remat=block
TTT_FAIL="train.step#6=err"; export TTT_FAIL
on 1x1x2 stop && failed "an error in step 6" "exit 0"
unset TTT_FAIL
same 2x1x2 stop
went "bf16" 1x1x1 half train.precision=bf16 train.steps=3 &&
    went "bf16 with heads" 1x2x2 half4 train.precision=bf16 train.steps=3 \
        train.sequence_mode=heads && equal "bf16: the same root" "$(root_of half)" "$(root_of half4)"
went "every head its own keys" 1x1x2 own model.kv_heads=auto train.sequence_mode=heads &&
    differ "is another model" "$(root_of own)" "$root"

# --- reading and writing -----------------------------------------------------------
numbers() { grep -v '"\(seconds\|peak_bytes\)"' "$WORK/out" >"$WORK/$1"; }
check "eval" "$TTT" eval "$WORK/base" "$WORK/val" --json --context 100
numbers alone
check "eval on 1x1x2" timeout 120 $RANKS 2 "$TTT" eval "$WORK/base" \
    "$WORK/val" --json --context 100 --grid 1x1x2
numbers grid
check "gives the same numbers" cmp "$WORK/alone" "$WORK/grid"
name="there is no inner loss" expect_exit 64 "$TTT" eval "$WORK/base" "$WORK/val" --inner
check "text" "$TTT" generate "$WORK/base" --prompt "the dog" --tokens 200 --temperature 0 --ignore-eos
cp "$WORK/out" "$WORK/text"
check "the same text, the prompt token by token" "$TTT" generate "$WORK/base" --prompt "the dog" \
    --tokens 200 --temperature 0 --ignore-eos --slice 1
cp "$WORK/out" "$WORK/text1"
check "is the same" cmp "$WORK/text" "$WORK/text1"
check "and long" test "$(wc -c <"$WORK/text")" -ge 200
check "export" "$TTT" export "$WORK/base" "$WORK/hf"
expect_text "with grouped keys" '"num_key_value_heads": 2' "$WORK/hf/config.json"
check "import" "$TTT" import "$WORK/hf" "$WORK/back"
check "export again" "$TTT" export "$WORK/back" "$WORK/hf2"
check "the same weights" cmp "$WORK/hf/model.safetensors" "$WORK/hf2/model.safetensors"
check "the same configuration" cmp "$WORK/hf/config.json" "$WORK/hf2/config.json"

# --- what does not fit ---------------------------------------------------------------
name="heads in three groups" expect_exit 78 "$TTT" config check "$WORK/run.yaml" \
    --set model.kv_heads=3
name="a gate" expect_exit 78 "$TTT" config check "$WORK/run.yaml" --set model.gate=true
name="TTT with groups" expect_exit 78 "$TTT" config check "$WORK/run.yaml" \
    --set model.layer=ttt_linear
check "the plan of a grid" "$TTT" plan "$WORK/run.yaml" --grid 1x2x2
finish
