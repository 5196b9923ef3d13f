# SPDX-License-Identifier: Apache-2.0
# fp32 training with every instruction set that the processor has, plain C among them: the same bits.
# Sizes are odd, so that all kernels meet their edges.  (bf16 products, and SOAP's decompositions by
# OpenBLAS, depend on the set: gemm_bf16.h, lapack.h.)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
. "$(dirname "$0")/../isa.sh"
make_data
cat >"$WORK/run.yaml" <<EOF
run: {dir: $WORK/run, seed: 3}
model: {vocab: 258, layers: 2, width: 72, heads: 3}
data: {train: $WORK/train, val: $WORK/val}
train: {steps: 6, context: 83, batch_tokens: 415, micro_batch: 2, slice_tokens: 32}
optim: {lr: 1e-2}
eval: {every_steps: 3, max_tokens: 480}
checkpoint: {every_steps: 3, every_minutes: 0}
EOF

# alike LAYER [key=value ...]: all sets train it to one root, with the same numbers on the way.
sets=$(isa_lower)
alike() {
    layer=$1; shift
    trained "$layer" "$layer" model.layer="$layer" "$@" || return
    numbers "$layer" >"$WORK/$layer.numbers"
    differ "$layer: it trains" "$(values "$layer" loss_nats | head -n 1)" \
        "$(values "$layer" loss_nats | tail -n 1)"
    for set in $sets; do
        export TTT_ISA="$set"
        trained "$layer, $set" "$layer-$set" model.layer="$layer" "$@"
        unset TTT_ISA
        equal "$layer, $set: same root" "$(root_of "$layer-$set")" "$(root_of "$layer")"
        numbers "$layer-$set" | cmp -s - "$WORK/$layer.numbers" && ok "$layer, $set: same numbers" ||
            failed "$layer, $set: numbers" "$(numbers "$layer-$set" | diff - "$WORK/$layer.numbers" | head -n 4)"
    done
}
alike ttt_linear model.ffn_width=104
alike ttt_mlp model.ffn_width=104
alike attention model.ffn_width=104
alike mamba
finish
