# SPDX-License-Identifier: Apache-2.0
# A run that starts from a model is that model: its theta and epsilons come with its weights,
# whichever command asks; what is changed is asked for; what is not known is reported.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
OMP_NUM_THREADS=1
export OMP_NUM_THREADS
make_data
cat >"$WORK/run.yaml" <<END
model: {vocab: 258, layers: 2, width: 32, heads: 2, ffn_width: 64}
data: {train: $WORK/train, val: $WORK/val}
train: {steps: 4, context: 64, batch_tokens: 320, micro_batch: 2}
optim: {lr: 1.0e-2}
eval: {every_steps: 0, max_tokens: 0}
checkpoint: {every_steps: 2, every_minutes: 0, background: false}
END
cat >"$WORK/tuned.yaml" <<END
run: {dir: $WORK/tuned}
data: {train: $WORK/train, val: $WORK/val}
train: {steps: 2, context: 64, batch_tokens: 320, init_from: $WORK/model}
optim: {lr: 0, min_lr: 0, weight_decay: 0}
eval: {every_steps: 0, max_tokens: 0}
checkpoint: {every_steps: 1, every_minutes: 0, background: false}
END
nats() { sed -n 's/^  "nats_per_token": \([-0-9.e+]*\),*$/\1/p' "$WORK/out"; }
key() { sed -n "s/^ *$1: //p" "${2:-$WORK/out}"; }

# system LAYER [key=value ...]: from the run itself and from its export, what is not given is taken,
# and evaluates to the same number.
system() {
    layer=$1; shift
    trained "$layer trains" "$layer" model.layer="$layer" "$@"
    name="$layer: export" expect_exit 0 "$TTT" export "$WORK/$layer" "$WORK/$layer-hf"
    name="$layer: eval" expect_exit 0 "$TTT" eval "$WORK/$layer" "$WORK/val" --context 64 --json
    evaluated=$(nats)
    for model in "$layer" "$layer-hf"; do
        rm -rf "$WORK/tuned"
        name="$model is taken whole" expect_exit 0 "$TTT" train "$WORK/tuned.yaml" \
            --set train.init_from="$WORK/$model"
        expect_text "$model: reported" "^model of $WORK/$model: .*rms_eps 0.001"
        equal "$model: it is the same model" \
            "$(values tuned loss_nats eval | awk '{ printf "%.6f", $1 }')" \
            "$(echo "$evaluated" | awk '{ printf "%.6f", $1 }')"
        equal "$model: stored with the run" "$(key rms_eps "$WORK/tuned/config.yaml")" 0.001
    done
}
system attention model.rms_eps=1e-3 model.rope_theta=100
equal "theta, too" "$(key rope_theta "$WORK/tuned/config.yaml")" 100
system ttt_linear model.rms_eps=1e-3 model.rope_theta=100 model.inner_lr=0.5 model.mini_batch=8
equal "inner rate, too" "$(key inner_lr "$WORK/tuned/config.yaml")" 0.5
equal "mini-batch, too" "$(key mini_batch "$WORK/tuned/config.yaml")" 8
system mamba model.rms_eps=1e-3 model.ffn_width=0 model.state=4

# Every command sees the same.
mv "$WORK/attention-hf" "$WORK/model"
rm -rf "$WORK/tuned"
name="config show" expect_exit 0 "$TTT" config show "$WORK/tuned.yaml"
equal "shows the model's theta" "$(key rope_theta)" 100
equal "and width" "$(key width)" 32
name="plan" expect_exit 0 "$TTT" plan "$WORK/tuned.yaml" --grid 1x1x1
expect_text "says what it plans for" "^model of $WORK/model: .*rope_theta 100"
name="launch" expect_exit 0 timeout 60 "$TTT" launch "$WORK/tuned.yaml" --set launch.ranks=1
expect_text "says so" "^model of $WORK/model: .*rope_theta 100"
equal "and trains it" "$(key rope_theta "$WORK/tuned/config.yaml")" 100
other="--set run.dir=$WORK/other --set model.rope_theta=500000"
for command in "config check" train launch "plan --grid 1x1x1" "bench train"; do
    # shellcheck disable=SC2086
    name="$command: another theta" expect_exit 78 timeout 60 "$TTT" $command "$WORK/tuned.yaml" $other
    expect_text "$command: key and both values" \
        "model.rope_theta: expected 100, as the model $WORK/model has it, found 500000"
done
expect_text "and what to do" "train.init_change: \[model.rope_theta\]"
# shellcheck disable=SC2086
name="asked for" expect_exit 0 "$TTT" train "$WORK/tuned.yaml" $other \
    --set train.init_change=model.rope_theta
expect_text "it is changed" "^train.init_change: rope_theta 500000, the model's is 100"
equal "and stored" "$(key rope_theta "$WORK/other/config.yaml")" 500000

# What the newest checkpoint said is asked again of the one that is read.
TTT_FAIL="train.step#3=kill" train moved model.layer=attention model.rope_theta=100
FLAGS=--allow-config-change
name="a run changes its theta" expect_exit 0 train moved model.layer=attention model.rope_theta=200
FLAGS=
newest=$(ls -d "$WORK"/moved/ckpt/*4.a*)
printf x | dd of="$newest/w000.ttc" bs=1 seek=1000 conv=notrunc 2>/dev/null
name="an older checkpoint is another model" expect_exit 78 "$TTT" train "$WORK/tuned.yaml" \
    --set run.dir="$WORK/new" --set train.init_from="$WORK/moved"
expect_text "key and both values" "model.rope_theta is 200 in this run, 100 in $WORK/moved"
rm -rf "$WORK/new"

# Numbers that are none are found at every door, with tensor and place.
cp -r "$WORK/model" "$WORK/nan"
size=$(wc -c <"$WORK/nan/model.safetensors")
printf '\377\377\377\377' | dd of="$WORK/nan/model.safetensors" bs=1 seek=$((size - 4)) conv=notrunc \
    2>/dev/null
for command in "import %s $WORK/imported" "export %s $WORK/exported" "eval %s $WORK/val" \
    "generate %s --prompt a --tokenizer bytes" "ckpt spectrum %s" \
    "train $WORK/tuned.yaml --set run.dir=$WORK/new --set train.init_from=%s"; do
    # shellcheck disable=SC2059
    command=$(printf "$command" "$WORK/nan")
    # shellcheck disable=SC2086
    name="NaN: ${command%% *}" expect_exit 65 "$TTT" $command
    expect_text "NaN: ${command%% *}: tensor and place" "tensor 'model.norm.weight' holds NaN at \[31\]"
done
rm -rf "$WORK/new"

# A model that does not say what its tokenizer is, and one that has another.
mkdir "$WORK/bare"
cp "$WORK/model/config.json" "$WORK/model/model.safetensors" "$WORK/bare"
name="eval: tokenizer not known" expect_exit 0 "$TTT" eval "$WORK/bare" "$WORK/val" --context 64
expect_text "eval: reported" "warning: $WORK/bare does not say which tokenizer .*$WORK/val (tokenizer: bytes)"
name="init_from: tokenizer not known" expect_exit 0 "$TTT" train "$WORK/tuned.yaml" \
    --set run.dir="$WORK/new" --set train.init_from="$WORK/bare"
expect_text "init_from: reported" "warning: $WORK/bare does not say which tokenizer .*$WORK/train (tokenizer: bytes)"
rm -rf "$WORK/new"
name="eval: its run knows" expect_exit 0 "$TTT" eval "$WORK/attention" "$WORK/val" --context 64
equal "and there is no warning" "x$(grep warning "$WORK/err")" x
check "a tokenizer" "$TTT" prep "$WORK/train.jsonl" --out "$WORK/pieces" --train-tokenizer 300
cp "$WORK"/pieces*/tokenizer.model "$WORK/bare"
name="init_from: another tokenizer" expect_exit 78 "$TTT" train "$WORK/tuned.yaml" \
    --set run.dir="$WORK/new" --set train.init_from="$WORK/bare"
expect_text "init_from: is named" "tokenizer.model has 300 tokens, $WORK/bare knows 258"
rm -rf "$WORK/new"

# A run with a checkpoint continues as itself, whatever became of the model.
TTT_FAIL="train.step#2=kill" "$TTT" train "$WORK/tuned.yaml" --set run.dir="$WORK/again" \
    >"$WORK/out" 2>&1
TTT_FAIL="train.step#1=kill" "$TTT" train "$WORK/tuned.yaml" --set run.dir="$WORK/early" \
    >"$WORK/out" 2>&1
mv "$WORK/model" "$WORK/gone"
name="its model is gone" expect_exit 0 "$TTT" train "$WORK/tuned.yaml" --set run.dir="$WORK/again"
equal "the run is the same" "$(key rope_theta "$WORK/again/config.yaml")" 100
mkdir "$WORK/model"
echo nonsense >"$WORK/model/config.json"
name="status does not look at it" expect_exit 0 "$TTT" status "$WORK/early"
rm -r "$WORK/model"
name="a new one needs it" expect_exit 66 "$TTT" train "$WORK/tuned.yaml" --set run.dir="$WORK/new"
name="before the queue" expect_exit 66 "$TTT" launch "$WORK/tuned.yaml" --set run.dir="$WORK/new"
expect_text "is named" "error: train.init_from: there is no model at $WORK/model"
check "and nothing was started" test ! -e "$WORK/new/launch.jsonl"
name="a plan may be made before" expect_exit 0 "$TTT" config check "$WORK/tuned.yaml" \
    --set run.dir="$WORK/new"
expect_text "and says what it can't know" "warning: train.init_from: there is no model at"
finish
