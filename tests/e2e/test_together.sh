# SPDX-License-Identifier: Apache-2.0
# One rank of several meets what the others do not: another job, a damaged block, a full disk, NaN.
# All ranks end, or handle it, in the same step, and it is reported once.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
SHIM=$BUILD/tests/fault/iofault.so
[ -f "$SHIM" ] || { failed "iofault.so" "not built (make $SHIM)"; finish; }
make_data
make_grid_config "$WORK/run.yaml"
went "clean" 1x1x1 clean && ok "clean"
root=$(root_of clean)

# once NAME PATTERN FILE: exactly one line of an error, and it matches.
once() {
    equal "$1: one error" "$(grep -c 'error:' "$WORK/$3.err")" 1
    expect_text "$1: reported" "$2" "$WORK/$3.err"
}

# --- another job on one rank --------------------------------------------------------
# others NAME DIR ARGUMENT ...: the second of two ranks has these arguments, too.
others() {
    dir=$2; name=$1; shift 2
    expect_exit 78 timeout 300 $RANKS \
        1 "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/$dir" : \
        -n 1 "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/$dir" "$@"
    cp "$WORK/err" "$WORK/$dir.err"
    [ -e "$WORK/$dir" ] && failed "$dir: no work was done" "there is $WORK/$dir" ||
        ok "$dir: no work was done"
}
others "another rate" o_lr --set optim.lr=1e-4
once "another rate" "the configuration is not the same on all ranks: '  lr: 0.003' on rank 0, '  lr: 0.0001' on rank 1" o_lr
others "another number of layers" o_layers --set model.layers=3
once "another number of layers" "'  layers: 4' on rank 0, '  layers: 3' on rank 1" o_layers
others "a mistake on one rank" o_wrong --set optim.lr=fast
once "a mistake on one rank" "rank 1: .*optim.lr" o_wrong
others "other data" o_data --set data.train="$WORK/val"
once "other data" "the training data is not the same on all ranks" o_data
others "other data for evaluation" o_val --set data.val=
once "other data for evaluation" "the data for evaluation is not the same .* 'none' on rank 1" o_val
others "a timeline" o_trace --trace "$WORK/trace.json"
once "a timeline" "'no --trace' on rank 0, '--trace' on rank 1" o_trace
cp -r "$WORK/train" "$WORK/elsewhere"
check "the same data elsewhere, other threads" timeout 300 $RANKS \
    1 "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/places" : \
    -n 1 "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/places" --set run.threads=2 \
        --set data.train="$WORK/elsewhere"

# --- an error in a step ----------------------------------------------------------------
for grid in 2x1x1 1x2x2 1x1x3; do
    one_rank 1 "TTT_FAIL=train.step#7=err" $grid "err$grid"
    equal "$grid: an error in step 7 of one rank: exit code" "$?" 74
    once "$grid" "error: rank 1: failpoint train.step" "err$grid"
    expect_text "$grid: six steps are saved" "committed step 6 root" "$WORK/err$grid.out"
    went "$grid: continues" $grid "err$grid" && equal "$grid: same root" "$(root_of "err$grid")" "$root"
done

# --- a damaged block -------------------------------------------------------------------
# Every block of a copy is damaged; which one comes first depends on the order of samples.
# hurt FROM TO
hurt() {
    cp -r "$1" "$2"
    for f in "$2"/*.tts; do
        size=$(wc -c <"$f")
        for at in $((size / 4)) $((size / 2)) $((size * 3 / 4)); do
            printf 'damage' | dd of="$f" bs=1 seek=$at conv=notrunc 2>/dev/null
        done
    done
}
hurt "$WORK/train" "$WORK/train_hurt"
hurt "$WORK/val" "$WORK/val_hurt"
# with_data NAME DATA DIR: three ranks, the last one reads the copy.
with_data() {
    timeout 300 $RANKS \
        2 "$TTT" train "$WORK/run.yaml" --set run.grid=1x1x3 --set run.dir="$WORK/$3" : \
        -n 1 "$TTT" train "$WORK/run.yaml" --set run.grid=1x1x3 --set run.dir="$WORK/$3" \
            --set "$1=$2" >"$WORK/$3.out" 2>"$WORK/$3.err" </dev/null
}
with_data data.train "$WORK/train_hurt" block
equal "a damaged block on one rank: exit code" "$?" 65
once "a damaged block" "error: rank 2: .*train_hurt" block
went "with the whole data" 1x1x3 block && equal "the same root" "$(root_of block)" "$root"
with_data data.val "$WORK/val_hurt" block_val
equal "a damaged block in an evaluation: exit code" "$?" 0
expect_text "it is reported" "error: rank 2: .*val_hurt" "$WORK/block_val.err"
equal "every evaluation is given up" "$(grep -c 'evaluation of step [0-9]* was given up' "$WORK/block_val.err")" 3
equal "the same root" "$(root_of block_val)" "$root"

# --- a full disk -------------------------------------------------------------------------
one_rank 2 "TTT_FAIL=ckpt.tile#100=err" 1x1x3 third
equal "a rank that can't write once: exit code" "$?" 0
expect_text "the rank is named" "error: rank 2: failpoint ckpt.tile" "$WORK/third.err"
equal "and only once" "$(grep -c 'failpoint ckpt.tile' "$WORK/third.err")" 1
equal "one save is given up" "$(grep -c 'was given up; training continues' "$WORK/third.err")" 1
equal "same root" "$(root_of third)" "$root"
equal "the last two checkpoints are there" "$(ls "$WORK/third/ckpt" | cut -c1-17 | tr '\n' ' ')" \
    "step-000000000016 step-000000000020 "

# On a group's second rank, which reads back, and on one that writes; for good.
for rank in 1 2; do
    one_rank $rank "LD_PRELOAD=$SHIM;IOFAULT_ROOT=$WORK/full$rank/ckpt;IOFAULT=op=any n=40 times=0 do=ENOSPC" \
        2x1x2 full$rank checkpoint.writers=2
    equal "rank $rank: no more files: exit code" "$?" 74
    expect_text "rank $rank: named" "error: rank $rank: .*No space left on device" "$WORK/full$rank.err"
    expect_text "rank $rank: the end is reported" "error: step 20 could not be saved" "$WORK/full$rank.err"
    went "rank $rank: space again" 2x1x2 full$rank checkpoint.writers=2 &&
        equal "rank $rank: same root" "$(root_of full$rank)" "$root"
done

# --- entries of folders that are seen late, as on NFS -----------------------------------------
# Rank 2 writes the second file of two, into the folder that rank 0 made, and reads back the first;
# a resumed rank opens what the first one found.
for do in ENOENT ESTALE; do
    for n in 1 3 4; do  # the folder, MANIFEST, the file of the others
        late=late$do$n
        fault="LD_PRELOAD=$SHIM;IOFAULT_ROOT=$WORK/$late/ckpt;IOFAULT=op=open times=4 do=$do n"
        one_rank 2 "$fault=$n" 2x1x2 $late checkpoint.writers=2
        equal "$do, opening $n: exit code" "$?" 0
        equal "$do, opening $n: nothing is given up" "$(grep -c 'given up\|error' "$WORK/$late.err")" 0
        equal "$do, opening $n: same root" "$(root_of $late)" "$root"
        one_rank 1 "$fault=1" 1x1x2 $late
        expect_text "$do: another grid opens it" "is finished: step 20 root $root" "$WORK/$late.err"
    done
done

# --- NaN -----------------------------------------------------------------------------------
tensor=model.layers.1.mlp.up_proj.weight
one_rank 0 "TTT_FAIL=nan-grad:$tensor#5=err" 1x1x3 nan_grad
equal "NaN in the gradient of one rank: exit code" "$?" 0
expect_text "named" "step 5 skipped, .*not finite: gradient of $tensor, first on rank 0; .* 1 in a row, 1 in this run" "$WORK/nan_grad.err"
one_rank 2 "TTT_FAIL=nan-once:$tensor#5=err" 1x1x3 moment
equal "NaN of a moment on one rank: exit code" "$?" 0
expect_text "named" "step 5 was not finite at first, and is when .* gradient of $tensor, first on rank 2" "$WORK/moment.err"
equal "no trace is left" "$(root_of moment)" "$root"
one_rank 1 "TTT_FAIL=nan-weight:$tensor#5=err" 2x1x2 nan_weight
equal "NaN in a weight of one rank: exit code" "$?" 0
expect_text "named" "step 5 skipped, .*not finite: output of model.layers.1" "$WORK/nan_weight.err"
equal "the same end, whoever met it" "$(root_of nan_grad)" "$(root_of nan_weight)"
one_rank 1 "TTT_FAIL=nan-weight:model.layers.3.mlp.up_proj.weight#*=err" 1x2x1 nan_always train.max_bad_steps=3
equal "NaN in every step of one rank: exit code" "$?" 87
expect_text "said" "3 steps in a row were not finite; there is no checkpoint" "$WORK/nan_always.err"
went "without it" 1x2x1 nan_always && equal "the same root" "$(root_of nan_always)" "$root"
finish
