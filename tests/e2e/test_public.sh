# SPDX-License-Identifier: Apache-2.0
# Models as public ones are: heads of a width of their own, biases on q, k and v, a scaled rotation,
# a sliding window.  The same bits on every grid, resumed on another, read, and out as folders.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
make_grid_config "$WORK/run.yaml"
sed -i 's/^model: {/model: {layer: attention, kv_heads: 2, head_dim: 12, qkv_bias: true, sliding_window: 80, /
        s/ffn_width: 64}/ffn_width: 64,\n  rope_scaling: {type: llama3, factor: 4, original_context: 40}}/
        s/heads: 2, ffn/heads: 4, ffn/; s/steps: 20/steps: 6/' "$WORK/run.yaml"

# --- the same bits ---------------------------------------------------------------
went "1x1x1" 1x1x1 base && ok "1x1x1"
root=$(root_of base)
same() {
    same_name="$1${3:+ $3}"
    went "$same_name" "$@" && equal "$same_name: same root" "$(root_of "$2")" "$root"
}
same 1x2x2 wave
same 1x1x3 heads train.sequence_mode=heads train.remat=block run.threads=2
TTT_FAIL="train.step#5=err"; export TTT_FAIL
on 2x1x1 stop && failed "an error in step 5" "exit 0"
unset TTT_FAIL
same 1x1x2 stop
expect_text "it continues from step 4" "resumed from .*: step 4 root" "$WORK/stop.err"
went "bf16" 1x1x1 half train.precision=bf16 train.steps=2 &&
    went "bf16 with heads" 1x2x2 half4 train.precision=bf16 train.steps=2 \
        train.sequence_mode=heads && equal "bf16: the same root" "$(root_of half)" "$(root_of half4)"
went "SOAP" 1x1x1 soap optim.kind=soap train.steps=2 &&
    went "SOAP on layers" 1x2x1 soap2 optim.kind=soap train.steps=2 &&
    equal "SOAP: the same root" "$(root_of soap)" "$(root_of soap2)"

# Each of them is a part of the model.
check "the biases are trained" "$TTT" ckpt show "$WORK/base"
expect_text "and stored" "self_attn.k_proj.bias" "$WORK/out"
for other in model.qkv_bias=false model.rope_scaling.factor=2 model.head_dim=8; do
    name="resumed with $other" expect_exit 78 "$TTT" train "$WORK/run.yaml" \
        --set run.dir="$WORK/base" --set "$other"
    expect_text "which it names" "config: ${other%=*} is "
done

# --- reading and writing -----------------------------------------------------------
numbers() { grep -v '"\(seconds\|peak_bytes\)"' "$WORK/out" >"$WORK/$1"; }
check "eval" "$TTT" eval "$WORK/base" "$WORK/val" --json
numbers alone
check "eval on 1x1x2" timeout 120 $RANKS 2 "$TTT" eval "$WORK/base" \
    "$WORK/val" --json --grid 1x1x2
numbers grid
check "gives the same numbers" cmp "$WORK/alone" "$WORK/grid"
for slice in 1024 1; do
    check "text, the prompt in slices of $slice" "$TTT" generate "$WORK/base" --prompt "the dog" \
        --tokens 70 --temperature 0 --ignore-eos --slice $slice
    cp "$WORK/out" "$WORK/text$slice"
done
check "is the same" cmp "$WORK/text1024" "$WORK/text1"
check "export" "$TTT" export "$WORK/base" "$WORK/hf"
for key in '"model_type": "qwen2"' '"head_dim": 12' '"use_sliding_window": true' \
    '"sliding_window": 80' '"max_window_layers": 0' '"rope_type": "llama3"'; do
    expect_text "$key" "$key" "$WORK/hf/config.json"
done
check "import" "$TTT" import "$WORK/hf" "$WORK/back"
check "export again" "$TTT" export "$WORK/back" "$WORK/hf2"
check "the same weights" cmp "$WORK/hf/model.safetensors" "$WORK/hf2/model.safetensors"
check "the same configuration" cmp "$WORK/hf/config.json" "$WORK/hf2/config.json"
check "evaluated as a folder" "$TTT" eval "$WORK/hf" "$WORK/val" --json --context 80
equal "with the same loss" "$(grep '"nats_per_token"' "$WORK/out" | head -n 1)" \
    "$(grep '"nats_per_token"' "$WORK/alone" | head -n 1)"
cat >"$WORK/fine.yaml" <<END
run: {dir: $WORK/fine}
data: {train: $WORK/train}
train: {steps: 1, context: 80, batch_tokens: 80, init_from: $WORK/hf}
END
check "a run that starts from the folder" "$TTT" train "$WORK/fine.yaml" --set optim.lr=1e-12 \
    --set optim.min_lr=0
check "is a model as it is" "$TTT" config show "$WORK/fine.yaml"
for key in "head_dim: 12" "qkv_bias: true" "sliding_window: 80" "type: llama3" "factor: 4" \
    "original_context: 40"; do
    expect_text "with $key" "^ *$key\$" "$WORK/out"
done
check "the plan of a grid" "$TTT" plan "$WORK/run.yaml" --grid 1x2x2

# --- longer than the window ----------------------------------------------------------
long() {
    long_name=$1; shift
    name="$long_name" expect_exit 78 "$@"
    expect_text "$long_name: names the window" "sliding_window"
}
long "training" "$TTT" config check "$WORK/run.yaml" --set train.context=81 --set train.batch_tokens=81
long "a run from a folder" "$TTT" config check "$WORK/fine.yaml" --set train.context=81 \
    --set train.batch_tokens=81
long "eval" "$TTT" eval "$WORK/base" "$WORK/val" --context 81
long "eval on a grid" timeout 120 $RANKS 2 "$TTT" eval "$WORK/base" \
    "$WORK/val" --context 81
long "generate" "$TTT" generate "$WORK/base" --prompt "the dog" --tokens 74
long "probe" "$TTT" probe "$WORK/base" --out "$WORK/probe.safetensors" \
    --tokens "$ROOT/tests/golden/qwen2/inputs.safetensors"
long "probe on a grid" timeout 120 $RANKS 2 "$TTT" probe "$WORK/base" \
    --out "$WORK/probe.safetensors" --tokens "$ROOT/tests/golden/qwen2/inputs.safetensors"
long "bench train" "$TTT" bench train "$WORK/run.yaml" --tokens 96
long "bench latency" "$TTT" bench latency "$WORK/run.yaml" --from 64 --to 128
long "bench decode" "$TTT" bench decode "$WORK/run.yaml" --repeat 9
awk 'BEGIN { for (i = 0; i < 40; i++) print "the dog" }' >"$WORK/text"
long "spectrum of a text" "$TTT" ckpt spectrum "$WORK/base" --text "$WORK/text"
name="a model without window in its layers" expect_exit 0 "$TTT" config check "$WORK/run.yaml" \
    --set train.context=96 --set train.batch_tokens=96 --set model.full_layers=4

# --- public folders --------------------------------------------------------------------
public() {
    check "$1: import" "$TTT" import "$ROOT/tests/golden/$1" "$WORK/$1.ckpt"
    check "$1: export" "$TTT" export "$WORK/$1.ckpt" "$WORK/$1"
    check "$1: the same weights" cmp "$WORK/$1/model.safetensors" \
        "$ROOT/tests/golden/$1/model.safetensors"
    sed 's/1e-05/1e-5/' "$ROOT/tests/golden/$1/config.json" | tr -d ' \n' >"$WORK/theirs"
    tr -d ' \n' <"$WORK/$1/config.json" >"$WORK/ours"
    check "$1: the same configuration" cmp "$WORK/theirs" "$WORK/ours"
}
for kind in llama_head_dim llama3_scaling llama_linear_scaling mistral_full qwen2; do public $kind; done
cp -r "$ROOT/tests/golden/mistral_full" "$WORK/odd"
sed -i 's/"rope_theta"/"value_scale": 2, &/' "$WORK/odd/config.json"
check "a key that nobody knows" "$TTT" import "$WORK/odd" "$WORK/odd.ckpt"
expect_text "is named" "have no effect: value_scale"
cp -r "$ROOT/tests/golden/mistral_full" "$WORK/yarn"
sed -i 's/"rope_theta"/"rope_scaling": {"rope_type": "yarn", "factor": 4.0}, &/' "$WORK/yarn/config.json"
name="yarn" expect_exit 65 "$TTT" import "$WORK/yarn" "$WORK/yarn.ckpt"
expect_text "is named" 'rope_scaling.rope_type is "yarn"'
finish
