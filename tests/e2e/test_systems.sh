# SPDX-License-Identifier: Apache-2.0
# The four systems side by side: what each does with contexts far beyond its training, and
# fine-tuning on longer ones.
#
#   LONG=32768   tokens of the longest window
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
LONG=${LONG:-32768}
OMP_NUM_THREADS=1
export OMP_NUM_THREADS
make_data
make_text 900 7 >"$WORK/long.jsonl"
check "a long text" "$TTT" prep --tokenizer bytes --out "$WORK/long" "$WORK/long.jsonl"
cat >"$WORK/run.yaml" <<END
model: {vocab: 258, layers: 2, width: 32, heads: 2, ffn_width: 64}
data: {train: $WORK/train}
train: {steps: 6, context: 64, batch_tokens: 320, micro_batch: 2}
optim: {lr: 1.0e-2}
checkpoint: {every_steps: 0, every_minutes: 0, background: false}
END

# json KEY: a number of $WORK/out.
json() { sed -n "s/^  \"$1\": \([-0-9.e+]*\),*\$/\1/p" "$WORK/out"; }
less() { if awk "BEGIN { exit !($2 < $3) }"; then ok "$1"; else failed "$1" "$2 is not less than $3"; fi; }

# system LAYER [key=value ...]
system() {
    layer=$1; shift
    trained "$layer trains" "$layer" model.layer="$layer" "$@"
    name="$layer: windows of 2,048" expect_exit 0 "$TTT" eval "$WORK/$layer" "$WORK/long" \
        --context 2048 --max-tokens 4096 --json
    short=$(json peak_bytes)
    name="$layer: a window of $LONG" expect_exit 0 "$TTT" eval "$WORK/$layer" "$WORK/long" \
        --context "$LONG" --max-tokens "$LONG" --by-position --score-bos --json
    long=$(json peak_bytes)
    equal "$layer: every token of it" "$(json tokens)" "$LONG"
    expect_text "$layer: to the last position" "\"last\": $LONG" "$WORK/out"
    if [ "$layer" = attention ]; then less "its keys and values grow" "$((2 * short))" "$long"
    else less "$layer: memory does not grow" "$long" "$((short + short / 20))"; fi
    trained "$layer is fine-tuned" "$layer-tuned" model.layer="$layer" "$@" train.context=128 \
        train.batch_tokens=256 train.init_from="$WORK/$layer" model.rope_theta=500000 \
        train.init_change=model.rope_theta \
        optim.lr=1e-4
    first=$(values "$layer-tuned" loss_nats | head -n 1)
    less "$layer: and starts where it ended" "$first" "$(values "$layer" loss_nats | head -n 1)"
}

system ttt_linear
system ttt_mlp model.inner_lr=0.1 optim.inner_start=0.1
system attention
system mamba model.ffn_width=0
finish
