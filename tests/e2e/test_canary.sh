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
    expect_text "$grid: the same bits" "probe loss [0-9.]*: bit for bit" "$WORK/g$grid.err"
    equal "$grid: same root" "$(root_of g$grid)" "$(root_of whole)"
done

# Libraries that take another path round in other ways.
DNNL_MAX_CPU_ISA=SSE41; OPENBLAS_CORETYPE=Prescott; export DNNL_MAX_CPU_ISA OPENBLAS_CORETYPE
resumed other 1x1x2
code=$?
unset DNNL_MAX_CPU_ISA OPENBLAS_CORETYPE
equal "other products: exit code" "$code" 0
if grep -q "bit for bit" "$WORK/other.err"; then echo "# this machine knows one way to multiply only"
else expect_text "other products: said" "warning: .* probe loss .*, a relative difference of [0-9.]*e-" "$WORK/other.err"; fi

# A machine that computes something else.
one_rank 0 TTT_FAIL=canary.resume=err 1x1x1 start
equal "something else: exit code" "$?" 78
expect_text "something else: said" "computes something else .* a relative difference of 1.0e-03, more than 1e-05; --allow-numerics-change" "$WORK/start.err"
equal "something else: no step was done" "$(values start step | tail -n 1)" 9
FLAGS=--allow-numerics-change
one_rank 0 TTT_FAIL=canary.resume=err 1x1x2 start
equal "allowed: exit code" "$?" 0
FLAGS=
expect_text "allowed: said" "warning: .* a relative difference of 1.0e-03" "$WORK/start.err"
equal "allowed: same root" "$(root_of start)" "$(root_of whole)"
finish
