# SPDX-License-Identifier: Apache-2.0
# A bit that flips in weights or moments of one rank is found before it is trained on, and named;
# the run ends without saving it, and started again ends as if nothing had been.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
make_grid_config "$WORK/run.yaml"
went "clean" 2x1x2 clean train.guard_every=1 && ok "clean"
root=$(root_of clean)
went "without a guard" 1x1x1 without train.guard_every=0 &&
    equal "a guard changes nothing" "$(root_of without)" "$root"

# found NAME RANK TENSOR GRID STEP EVERY
found() {
    one_rank "$2" "TTT_FAIL=flip:$3#$5=err" "$4" "$1" train.guard_every="$6"
    equal "$1: exit code" "$?" 74
    equal "$1: only this is reported" "$(grep -c 'error: .*rank .* on \|error: .*faulty' "$WORK/$1.err")" 1
    expect_text "$1: named" "faulty memory on $(hostname): in step $5 $3 changed by itself" "$WORK/$1.err"
    [ "$2" = 0 ] || expect_text "$1: the rank, too" "error: rank $2: faulty" "$WORK/$1.err"
    expect_text "$1: what a restart has" "not saved; the newest checkpoint is of step" "$WORK/$1.err"
    went "$1: again" "$4" "$1" && equal "$1: same root" "$(root_of "$1")" "$root"
}
found first 0 model.layers.0.mlp.up_proj.weight 1x1x1 6 1
found others 3 model.embed_tokens.weight 2x1x2 9 1
found stage 1 model.layers.3.mlp.down_proj.weight 1x2x1 11 5
# A tensor of moments has one owner: exactly one of the ranks finds it.
for rank in 0 1 2; do
    one_rank $rank "TTT_FAIL=flip:adam.m/model.norm.weight#6=err" 1x1x3 moment$rank train.guard_every=1
    code=$?
    [ $code = 74 ] && echo x >>"$WORK/owners"
    [ $code = 74 ] || equal "rank $rank does not own it: same root" "$(root_of moment$rank)" "$root"
    [ $code != 74 ] || expect_text "its owner: named" "in step 6 adam.m/model.norm.weight changed" "$WORK/moment$rank.err"
done
equal "moments have one owner" "$(wc -l <"$WORK/owners" | tr -d ' ')" 1

# What came to one replica otherwise than to the others.
one_rank 1 "TTT_FAIL=flip-gathered:model.layers.2.mlp.up_proj.weight#10=err" 3x1x1 odd
equal "another weight on one of three replicas: exit code" "$?" 74
expect_text "named" "error: rank 1: on .*, after step 10: other weights than the other replicas have" "$WORK/odd.err"
expect_text "what a restart has" "not saved; the newest checkpoint is of step 8" "$WORK/odd.err"
went "again" 1x1x1 odd && equal "same root" "$(root_of odd)" "$root"

# Between two looks nothing is noticed: that is what the interval means.
one_rank 1 "TTT_FAIL=flip:model.layers.1.mlp.up_proj.weight#7=err" 1x1x2 between train.guard_every=5
equal "between two looks: exit code" "$?" 0
finish
