# SPDX-License-Identifier: Apache-2.0
# One long sequence on several processes: memory per process grows with the tokens that it has, not
# with the sequence.
#
#   LONG=65536   tokens of the longer sequence (262144 for the full proof)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
LONG=${LONG:-65536}

make_text $((LONG / 40)) 3 >"$WORK/train.jsonl"
check "data" "$TTT" prep --tokenizer bytes --out "$WORK/train" "$WORK/train.jsonl"
cat >"$WORK/run.yaml" <<END
run: {dir: $WORK/run, seed: 3}
model: {vocab: 258, layers: 4, width: 128, heads: 4, ffn_width: 256}
data: {train: $WORK/train}
train: {steps: 1, slice_tokens: 1024, micro_batch: 1, remat: block}
optim: {warmup_steps: 0}
checkpoint: {every_steps: 1, every_minutes: 0}
END

# on S CONTEXT: one step on one sequence; sets $peak, MB of the process that had the most.
on() {
    dir=s$1-$2
    $RANKS "$1" "$TTT" train "$WORK/run.yaml" --set run.grid=1x1x"$1" \
        --set run.dir="$WORK/$dir" --set train.context="$2" --set train.batch_tokens="$2" \
        >"$WORK/$dir.out" 2>"$WORK/$dir.err" </dev/null
    code=$?
    if [ $code = 0 ]; then ok "$2 tokens on $1"; else
        failed "$2 tokens on $1" "exit $code"; tail -n 20 "$WORK/$dir.err" >&2
    fi
    peak=$(($(values "$dir" peak_bytes end) / 1000000))
}

# less NAME A B: A < B
less() { if [ "$2" -lt "$3" ]; then ok "$1"; else failed "$1" "$2 is not less than $3"; fi; }

on 1 $((LONG / 2)); one_half=$peak
on 1 "$LONG";       one_all=$peak
on 2 $((LONG / 2)); two_half=$peak
on 2 "$LONG";       two_all=$peak
on 4 "$LONG";       four_all=$peak
grown=$((one_all - one_half))  # what LONG / 2 tokens cost
echo "# MB: $LONG tokens on 1, 2, 4: $one_all, $two_all, $four_all; half of them on 1, 2:" \
     "$one_half, $two_half"

less "memory that can be told from noise" 50 $grown
less "twice the tokens on twice the processes, no more" "$two_all" $((one_half + grown / 4))
less "and no less" $((one_half - grown / 4)) "$two_all"
less "half of the tokens each, half of the growth" "$two_half" $((one_half - grown / 4))
less "a quarter each, a quarter" "$four_all" $((two_all - grown / 4))
less "twice on two is half of twice on one" $((two_all - two_half)) $((grown * 3 / 4))
less "and grows" $((grown / 4)) $((two_all - two_half))

for half in "$LONG" $((LONG / 2)); do
    equal "the same state of $half tokens" "$(root_of s1-$half)" "$(root_of s2-$half)"
    equal "the same loss" "$(values s1-$half loss_nats)" "$(values s2-$half loss_nats)"
done
equal "on four, too" "$(root_of s1-"$LONG")" "$(root_of s4-"$LONG")"
differ "another length, another state" "$(root_of s1-"$LONG")" "$(root_of s1-$((LONG / 2)))"
finish
