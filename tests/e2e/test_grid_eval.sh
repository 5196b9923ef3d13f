# SPDX-License-Identifier: Apache-2.0
# ttt eval and ttt probe under mpirun: one answer, that of one process.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"

M=$ROOT/tests/golden/ttt_linear_m
IN=$M/inputs.safetensors
mpi() { n=$1; shift; timeout 120 $RANKS "$n" "$@" </dev/null; }
same() { cmp -s "$WORK/$1" "$WORK/$2"; }
lines() { wc -l <"$WORK/$1" | tr -d ' '; }

# --- probe: the same file, written once
"$TTT" probe "$M" --tokens "$IN" --out "$WORK/one" --states --hidden --inner >/dev/null 2>&1
for g in 1x1x2 1x1x3 1x2x1 2x1x1; do
    n=$(echo $g | awk -Fx '{ print $1 * $2 * $3 }')
    check "probe on $g" mpi $n "$TTT" probe "$M" --tokens "$IN" --out "$WORK/$g" --states \
        --hidden --inner --grid $g
    equal "$g says it once" "$(lines out)" 1
    check "$g is one process" same one $g
done
check "without --grid" mpi 3 "$TTT" probe "$M" --tokens "$IN" --out "$WORK/auto" --states \
    --hidden --inner
check "three ranks are one process" same one auto
"$TTT" probe "$M" --tokens "$IN" --out "$WORK/one" --grads >/dev/null 2>&1
check "gradients" mpi 2 "$TTT" probe "$M" --tokens "$IN" --out "$WORK/g" --grads --grid 1x2x1
equal "as many bytes" "$(wc -c <"$WORK/g")" "$(wc -c <"$WORK/one")"
if [ -x "$TTT_F64" ]; then
    check "in double" mpi 3 "$TTT_F64" probe "$M" --tokens "$IN" --out "$WORK/d" --grid 1x1x3
    expect_text "the authors' loss to ten digits" "loss 5.908593474" "$WORK/out"
fi

# --- eval: the same numbers
make_data
make_config "$WORK/run.yaml"
trained "a model" run || finish
numbers() { grep -v '"\(seconds\|peak_bytes\)"' "$WORK/out" >"$WORK/$1"; }
"$TTT" eval "$WORK/run" "$WORK/val" --json --inner --context 100 >"$WORK/out" 2>/dev/null
numbers alone
for g in 2x1x1 1x2x1 1x1x2 1x2x2 3x1x1; do
    n=$(echo $g | awk -Fx '{ print $1 * $2 * $3 }')
    check "eval on $g" mpi $n "$TTT" eval "$WORK/run" "$WORK/val" --json --inner --context 100 \
        --grid $g
    numbers $g
    check "$g gives the numbers of one process" same alone $g
done
check "eval without --grid" mpi 2 "$TTT" eval "$WORK/run" "$WORK/val" --json --inner --context 100
numbers auto
check "gives them too" same alone auto
"$TTT" eval "$WORK/run" "$WORK/val" --json --inner --context 101 >"$WORK/out" 2>/dev/null
numbers other
name="another context gives others" expect_exit 1 same alone other
check "one rank of mpirun" mpi 1 "$TTT" eval "$WORK/run" "$WORK/val" --by-position
equal "prints once" "$(grep -c perplexity "$WORK/out")" 2
check "--grid 1x1x1 without mpirun" \
    "$TTT" eval "$WORK/run" "$WORK/val" --json --inner --context 100 --grid 1x1x1
numbers single
check "is one process" same alone single

# --- what does not fit is reported once
name="a grid of other ranks" expect_exit 78 mpi 2 "$TTT" eval "$WORK/run" "$WORK/val" --grid 3x1x1
equal "is reported once" "$(grep -c 'ttt: error' "$WORK/err")" 1
name="more stages than layers" \
    expect_exit 78 mpi 3 "$TTT" eval "$WORK/run" "$WORK/val" --grid 1x3x1
name="no grid" expect_exit 78 mpi 2 "$TTT" probe "$M" --tokens "$IN" --out "$WORK/x" --grid 2,1,1
name="no mpirun" expect_exit 78 "$TTT" eval "$WORK/run" "$WORK/val" --grid 1x1x2
expect_text "is guessed" "mpirun or srun"
name="a sequence too short for the grid" expect_exit 78 mpi 7 "$TTT" probe "$M" --tokens "$IN" \
    --out "$WORK/x" --grid 1x1x7
name="no such model" expect_exit 66 mpi 2 "$TTT" eval "$WORK/nothing" "$WORK/val"
equal "is reported once, too" "$(grep -c 'ttt: error' "$WORK/err")" 1
name="nowhere to write" expect_exit 66 mpi 2 "$TTT" probe "$M" --tokens "$IN" --out "$WORK/no/x"
name="a wrong option" expect_exit 64 mpi 2 "$TTT" eval "$WORK/run" --contxt 5
cp -r "$WORK/val" "$WORK/bad"
{ head -c 150 "$WORK/val/shard-000000.tts"; printf '\001'
  tail -c +152 "$WORK/val/shard-000000.tts"; } >"$WORK/bad/shard-000000.tts"
name="damaged data" expect_exit 65 mpi 2 "$TTT" eval "$WORK/run" "$WORK/bad"
equal "is reported once again" "$(grep -c 'ttt: error' "$WORK/err")" 1
finish
