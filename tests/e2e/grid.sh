# SPDX-License-Identifier: Apache-2.0
# grid.sh -- training on several processes.  After lib.sh and tiny.sh.
command -v "$MPIRUN" >/dev/null || { echo "# no $MPIRUN"; finish; }
OMP_NUM_THREADS=1
export OMP_NUM_THREADS

# make_grid_config FILE: 5 sequences of 5 units of 16 tokens, 4 layers: nothing divides by 2 or 3
# but the layers.
make_grid_config() {
    cat >"$1" <<END
run: {dir: $WORK/run, seed: 3}
model: {vocab: 258, layers: 4, width: 32, heads: 2, ffn_width: 64}
data: {train: $WORK/train, val: $WORK/val}
train: {steps: 20, context: 80, batch_tokens: 400, micro_batch: 2, slice_tokens: 16}
eval: {every_steps: 8, max_tokens: 480}
checkpoint: {every_steps: 4, every_minutes: 0}
END
}

# on GRID DIR [key=value ...]: train on a grid; the output as train() has it.  $BEFORE: words in
# front of the program.
on() {
    grid=$1; dir=$2; shift 2
    sets="--set run.grid=$grid --set run.dir=$WORK/$dir"
    for s in "$@"; do sets="$sets --set $s"; done
    # shellcheck disable=SC2086
    timeout 600 $RANKS "$(echo "$grid" | awk -Fx '{ print $1 * $2 * $3 }')" \
        $BEFORE "$TTT" train "$WORK/run.yaml" $sets $FLAGS >"$WORK/$dir.out" 2>"$WORK/$dir.err" \
        </dev/null
}

# one_rank RANK "NAME=VALUE;..." GRID DIR [key=value ...]: the same, and one rank has a few more
# variables in its environment.
one_rank() {
    cat >"$WORK/one_rank.sh" <<'END'
[ "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" = "$ONE_RANK" ] || exec "$@"
IFS=';'
exec env $ONE_ENV "$@"
END
    ONE_RANK=$1; ONE_ENV=$2; shift 2
    export ONE_RANK ONE_ENV
    BEFORE="sh $WORK/one_rank.sh"
    on "$@"
    one_code=$?
    BEFORE=
    return $one_code
}

# ranks_of DIR: the processes of that run.
ranks_of() {
    for p in $(pgrep -f "run.dir=$WORK/$1( |\$)"); do
        [ "$(readlink "/proc/$p/exe")" = "$(readlink -f "$TTT")" ] && echo "$p"
    done
}

# went NAME GRID DIR [key=value ...]: a check that it ends well.
went() {
    went_name=$1; shift
    on "$@"
    code=$?
    [ $code = 0 ] && return 0
    failed "$went_name" "exit $code"; tail -n 20 "$WORK/$2.err" >&2
    return 1
}

# All numbers of a run but times.
numbers() {
    grep '"kind":"\(step\|eval\)"' "$WORK/$1/metrics.jsonl" |
        sed 's/,"\(step_s\|tok_per_s\|mfu\|eval_s\)":[^,}]*//g'
}
