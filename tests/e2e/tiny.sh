# SPDX-License-Identifier: Apache-2.0
# tiny.sh -- a model whose steps take milliseconds, and text for it.  After lib.sh.
OMP_WAIT_POLICY=passive  # tests share their cores
export OMP_WAIT_POLICY

# make_text LINES SEED: sentences of a few words, one document a line.
make_text() {
    awk -v lines="$1" -v seed="$2" 'BEGIN {
        srand(seed)
        n = split("the a dog cat sees runs to house and of tree under light water", w, " ")
        for (i = 0; i < lines; i++) {
            s = w[1 + int(rand() * n)]
            for (j = 4 + int(rand() * 30); j > 0; j--) s = s " " w[1 + int(rand() * n)]
            print "{\"text\": \"" s "\"}"
        }
    }'
}

# make_data: the data sets $WORK/train and $WORK/val, tokens are bytes.
make_data() {
    make_text 400 3 >"$WORK/train.jsonl"
    make_text 40 4 >"$WORK/val.jsonl"
    "$TTT" prep --tokenizer bytes --out "$WORK/train" "$WORK/train.jsonl" >"$WORK/out" 2>&1 &&
        "$TTT" prep --tokenizer bytes --out "$WORK/val" "$WORK/val.jsonl" >>"$WORK/out" 2>&1 ||
        { failed "prep" "data could not be made"; cat "$WORK/out" >&2; exit 1; }
}

# make_config FILE: 5 sequences of 64 tokens a step.
make_config() {
    cat >"$1" <<END
run: {dir: $WORK/run, seed: 3, threads: 1}
model: {vocab: 258, layers: 2, width: 32, heads: 2, ffn_width: 64}
data: {train: $WORK/train}
train: {steps: 12, context: 64, batch_tokens: 320, micro_batch: 2}
checkpoint: {every_steps: 4, every_minutes: 0, background: false}
END
}

# train DIR [key=value ...]: a run in $WORK/DIR; its output in $WORK/DIR.out and .err.
train() {
    train_dir=$1; shift
    set -- "$@" "run.dir=$WORK/$train_dir"
    train_sets=
    for s in "$@"; do train_sets="$train_sets --set $s"; done
    # shellcheck disable=SC2086
    "$TTT" train "$WORK/run.yaml" $train_sets $FLAGS >"$WORK/$train_dir.out" 2>"$WORK/$train_dir.err"
}

# The root of the last checkpoint that a run committed, else of the one it found.
root_of() {
    sed -n 's/^\(committed step\|.*finished: step\) [0-9]* root \([0-9a-f]*\).*/\2/p' \
        "$WORK/$1.err" "$WORK/$1.out" | tail -n 1
}

# values DIR KEY [KIND]: the texts of a number in the lines of one kind, in order.
values() {
    sed -n "s/^{\"kind\":\"${3:-step}\".*\"$2\":\([^,}]*\).*/\1/p" "$WORK/$1/metrics.jsonl"
}

# trained NAME DIR [key=value ...]: a check that a run ends well.
trained() {
    trained_name=$1; shift
    train "$@"
    code=$?
    [ $code = 0 ] && return 0
    failed "$trained_name" "exit $code"; tail -n 20 "$WORK/$1.err" >&2
    return 1
}
