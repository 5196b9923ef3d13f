# SPDX-License-Identifier: Apache-2.0
# Models without parts of the TTT layer: trained on two grids and resumed, the same bits; read from
# a checkpoint as what they are.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
command -v "$MPIRUN" >/dev/null || { echo "# no $MPIRUN"; finish; }
OMP_NUM_THREADS=1
export OMP_NUM_THREADS
make_data
make_config "$WORK/run.yaml"

attention="model.inner_norm=false model.inner_residual=false model.inner_bias=false
    model.inner_mean=false model.learn_init=false model.learn_gate=false
    model.learn_token_idx=false model.backbone=transformer model.inner_lr=16"

# same NAME key=value ...: one process and 1x1x2 give one root, which it prints.
same() {
    same_name=$1; shift
    set -- train.slice_tokens=32 run.grid=1x1x1 "$@"
    trained "$same_name" "$same_name" "$@"
    sets="--set run.dir=$WORK/$same_name-2 --set run.grid=1x1x2"
    shift 2
    for s in train.slice_tokens=32 "$@"; do sets="$sets --set $s"; done
    # shellcheck disable=SC2086
    timeout 120 $RANKS 2 "$TTT" train "$WORK/run.yaml" $sets \
        >"$WORK/$same_name-2.out" 2>"$WORK/$same_name-2.err" </dev/null
    equal "$same_name: 1x1x1 and 1x1x2" "$(root_of "$same_name")" "$(root_of "$same_name-2")"
}

# shellcheck disable=SC2086
same attention $attention model.mini_batch=32
# shellcheck disable=SC2086
same heads $attention model.mini_batch=32 train.sequence_mode=heads
equal "heads mode is the same model" "$(root_of heads)" "$(root_of attention)"
same online model.mini_batch=1 model.learn_token_idx=false
same mlp model.layer=ttt_mlp model.inner_norm=false model.inner_bias=false model.inner_lr=0.05
same whole
differ "a part left out is another model" "$(root_of whole)" "$(root_of online)"

# shellcheck disable=SC2086
trained batch batch $attention model.mini_batch=64 && ok "a mini-batch as long as the context"
# shellcheck disable=SC2086
trained resumed batch $attention model.mini_batch=64 train.steps=12
expect_text "resumes as itself" "finished\|step 12" "$WORK/batch.err"

name="eval reads it" expect_exit 0 "$TTT" eval "$WORK/batch" "$WORK/val" --max-tokens 256
expect_text "is evaluated" "nats/token" "$WORK/out"
name="export refuses it" expect_exit 78 "$TTT" export "$WORK/batch" "$WORK/hf"
expect_text "has no Hugging Face form" "model.learn_"
name="config check refuses an MLP of zeros" expect_exit 78 "$TTT" config check "$WORK/run.yaml" --set model.layer=ttt_mlp \
    --set model.learn_init=false
expect_text "an inner MLP cannot start from zero" "would stay zero"
finish
