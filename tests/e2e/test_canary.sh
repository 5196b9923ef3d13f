# SPDX-License-Identifier: Apache-2.0
# Before a resumed run does its first step it computes a loss that the checkpoint says: the same
# bits on the same machine and any grid, said where a library computes otherwise, refused beyond.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
make_grid_config "$WORK/run.yaml"
BEFORE="env TTT_FAIL=train.step#10=kill"
on 1x1x1 start
BEFORE=
expect_text "a run cut off" "committed step 8 root" "$WORK/start.out"
went "uninterrupted" 1x1x1 whole && ok "uninterrupted"

# resumed NAME GRID [key=value ...]: its rest, in $WORK/NAME.
resumed() {
    rm -rf "${WORK:?}/$1"; cp -r "$WORK/start" "$WORK/$1"
    resumed_dir=$1; resumed_grid=$2; shift 2
    on "$resumed_grid" "$resumed_dir" "$@"
}
for grid in 1x1x1 2x1x1 1x2x2 1x1x4 3x1x1; do
    resumed g$grid $grid run.threads=2
    equal "$grid: exit code" "$?" 0
    expect_text "$grid: the same bits" "reference loss [0-9.]*: bit for bit" "$WORK/g$grid.err"
    equal "$grid: same root" "$(root_of g$grid)" "$(root_of whole)"
done

# Small products without the library round in another way.
TTT_ISA=plain; export TTT_ISA
resumed other 1x1x2
code=$?
unset TTT_ISA
equal "other products: exit code" "$code" 0
if grep -q "bit for bit" "$WORK/other.err"; then echo "# this machine knows one way to multiply only"
else expect_text "other products: reported" "warning: .* reference loss .*, a relative difference of [0-9.]*e-" "$WORK/other.err"; fi

# Products that do not keep what equal bits rest on, on one rank: no run begins, but one that
# promises none.
one_rank 1 TTT_FAIL=proof.small=err 1x1x2 unproved
equal "unproved products: exit code" "$?" 78
expect_text "unproved products: named" "error: rank 1: ttt [0-9].* with .* would depend on the grid" \
    "$WORK/unproved.err"
check "unproved products: no run was begun" test ! -e "$WORK/unproved"
one_rank 1 TTT_FAIL=proof.small=err 1x1x2 unproved train.reduction=fast
equal "unproved, without equal bits: exit code" "$?" 0
expect_text "unproved, without equal bits: warned" "warning: rank 1: ttt .* may differ in the last bits" \
    "$WORK/unproved.err"

# A machine that computes something else.
one_rank 0 TTT_FAIL=canary.resume=err 1x1x1 start
equal "something else: exit code" "$?" 78
expect_text "other numbers: reported" "computes other numbers .* a relative difference of 1.0e-03, more than 1e-05; to resume all the same, use --allow-numerics-change" "$WORK/start.err"
equal "something else: no step was done" "$(values start step | tail -n 1)" 9
FLAGS=--allow-numerics-change
one_rank 0 TTT_FAIL=canary.resume=err 1x1x2 start
equal "allowed: exit code" "$?" 0
FLAGS=
expect_text "allowed: reported" "warning: .* a relative difference of 1.0e-03" "$WORK/start.err"
equal "allowed: same root" "$(root_of start)" "$(root_of whole)"
finish
