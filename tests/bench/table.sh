# SPDX-License-Identifier: Apache-2.0
# The paper's systems compared with the limits of this machine, measured in the same run: for training and
# prefill the arithmetic peak and dense products, reading memory for decoding.  Five minutes on two cores.
#
#   sh tests/bench/table.sh TTT [RUN.yaml ...]     default: the four of 125m; PRECISIONS="fp32 bf16"
. "$(dirname "$0")/lib.sh"
shift
[ $# -gt 0 ] || set -- "$ROOT/config/ttt-linear-125m.yaml" "$ROOT/config/ttt-mlp-125m.yaml" \
                       "$ROOT/config/transformer-125m.yaml" "$ROOT/config/mamba-125m.yaml"

# row NAME RUN.yaml PRECISION TOKENS
row() {
    t=$(bench train "$2" --tokens "$4" --set train.precision="$3")
    p=$(bench prefill "$2" --set train.precision="$3")
    d=$(bench decode "$2" --set train.precision="$3")
    row="| $1 | $(value %.1f tok_per_s "$t") | $(shares "$t")"
    row="$row | $(value %.1f forward_tok_per_s "$t") | $(value %.2f peak_bytes "$t" 2^-30) GiB"
    row="$row ($(value %.2f planned_bytes "$t" 2^-30)) | $(value %.1f tok_per_s "$p")"
    row="$row | $(shares "$p") | $(value %.1f tok_per_s "$d")"
    look "$row | $(value %.1f share_of_read "$d" 100) % |"
}

echo "$(cpu), $(threads) threads"
echo
echo "| | training, tokens/s | share of peak, of products | forward, tokens/s | memory (planned) |" \
     "prefill, tokens/s | share of peak, of products | decoding, tokens/s | share of reading |"
echo "|---|---|---|---|---|---|---|---|---|"
for tokens in ${TOKENS:-2048}; do
    for run in "$@"; do
        for p in ${PRECISIONS:-fp32 bf16}; do
            row "$(basename "$run" .yaml), $p, $tokens tokens" "$run" "$p" "$tokens"
        done
    done
done
exit $bad
