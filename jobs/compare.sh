#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compare.sh -- the paper's comparison in small: its four systems with 5.9 million parameters each,
# trained on the same million tokens of the King James Bible in contexts of 2,048, and measured on
# four books that they have not seen.  A table, and build/compare/result.json.
#
#   STEPS=500       updates of 2,048 tokens
#   LATENCY=32768   longest context that is timed
#   EVAL=0          tokens of the held-out books that are read; 0: all
#   OUT=build/compare
set -eu
cd "$(dirname "$0")/.."
ttt=${TTT:-build/ttt}
out=${OUT:-build/compare}
systems="ttt-linear ttt-mlp transformer mamba"
begin=$(date +%s)

say() { printf '\n== %s [%d s]\n' "$1" $(($(date +%s) - begin)); }

# The numbers of a key in JSON with a key a line.
numbers() { sed -n "s/^ *\"$1\": \([-0-9.e+]*\),*\$/\1/p" "$2"; }

# Median training speed.  The first and last steps also load and save.
speed() {
    sed -n 's/^{"kind":"step".*"tok_per_s":\([^,}]*\).*/\1/p' "$out/$1/metrics.jsonl" | sort -g |
        awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

rm -rf "$out"
say "data"
sh jobs/kjv.sh "$out"

for s in $systems; do
    say "$s"
    "$ttt" train "config/compare/$s.yaml" --set train.steps="${STEPS:-500}" \
        --set run.dir="$out/$s" --set data.train="$out/train"
    "$ttt" eval "$out/$s" "$out/val" --json --max-tokens "${EVAL:-0}" >"$out/$s.eval"
    "$ttt" eval "$out/$s" "$out/val" --context 8192 --by-position --json \
        --max-tokens "${EVAL:-0}" >"$out/$s.position"
    numbers bits_per_byte "$out/$s.eval" | sed 's/^/   bits per byte on the held-out books: /'
done

say "latency, and then the results"
set --
for s in $systems; do set -- "$@" "config/compare/$s.yaml"; done
"$ttt" bench latency "$@" --to "${LATENCY:-32768}" --json >"$out/latency.json"

{
    printf '{"systems": [\n'
    comma=
    for s in $systems; do
        printf '%s{"name": "%s", "train_tokens_per_s": %s,\n"eval": ' "$comma" "$s" "$(speed "$s")"
        cat "$out/$s.eval"
        printf ',\n"eval_8192": '
        cat "$out/$s.position"
        printf '}\n'
        comma=', '
    done
    printf '],\n"latency": '
    cat "$out/latency.json"
    printf '}\n'
} >"$out/result.json"

# row NAME FORMAT COMMAND: a line of the table, COMMAND's number for each system; "-": it has none.
row() {
    printf '%-30s' "$1"
    for s in $systems; do
        number=$($3 "$s")
        if [ -n "$number" ]; then printf " $2" "$number"; else printf ' %12s' -; fi
    done
    printf '\n'
}
name() { echo "$1"; }
bits() { numbers bits_per_byte "$out/$1.eval"; }
at_position() { numbers perplexity "$out/$1.position" | sed -n "${bucket}p"; }
prefill() { sed "s/.*\"name\":\"$1\"//" "$out/latency.json" | one prefill_s_per_token; }
decode() { sed "s/.*\"name\":\"$1\"//" "$out/latency.json" | one decode_s_per_token; }
# The number of this context in the first list KEY of the input, in ms.
one() {
    awk -v key="\"$1\":[" -v n="$bucket" '{
        split(substr($0, index($0, key) + length(key)), v, /[],]/)
        print 1000 * v[n]
    }'
}

row "" %12s name
row "bits per byte" %12.4f bits
[ "$(numbers unk_tokens "$out/mamba.eval")" = 0 ] ||
    echo "bits per byte are left out: some tokens of the held-out books are <unk> and hide text"
row "training, tokens/s" %12.0f speed
bucket=1
numbers first "$out/ttt-linear.position" >"$out/first"
numbers last "$out/ttt-linear.position" | paste "$out/first" - | while read -r first last; do
    # Of fewer positions there are too few tokens.
    [ "$first" -ge 32 ] && row "perplexity at $first - $last" %12.2f at_position
    bucket=$((bucket + 1))
done
for what in prefill decode; do
    bucket=1
    for context in $(sed 's/.*"context":\[\([0-9,]*\)\].*/\1/; s/,/ /g' "$out/latency.json"); do
        row "$what at $context, ms/token" %12.3f $what
        bucket=$((bucket + 1))
    done
done
for what in prefill decode; do
    from=$(sed "s/.*\"ttt_linear_faster_${what}_from\":\([^,}]*\).*/\1/" "$out/latency.json")
    case $from in
        null) where="at no length up to ${LATENCY:-32768}" ;;
        0.0) where="at every length" ;;
        *) where="from ${from%.*} tokens on" ;;
    esac
    echo "$what: TTT-Linear is faster than the Transformer $where"
done
say "done; all numbers are in $out/result.json"
