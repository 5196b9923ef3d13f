# Rates of models beside the limits of this machine: one table.
#
#   sh tests/bench/table.sh TTT [RUN.yaml]
TTT=$1; RUN=${2:-config/ttt-linear-125m.yaml}

# number NAME LINE
number() { echo "$2" | sed -n "s/.*\"$1\": \([-0-9.e+]*\).*/\1/p"; }

# row NAME KEY-OF-SHARE LINE
row() {
    [ -n "$3" ] || { echo "| $1 | failed | |"; bad=1; return; }
    echo "$1:$(number tok_per_s "$3"):$(number "$2" "$3")" |
        awk -F: '{ printf "| %s | %.1f | %.1f %% |\n", $1, $2, 100 * $3 }'
}

bad=0
echo "| | tokens/s | share of the limit |"
echo "|---|---|---|"
for layer in ttt_linear ttt_mlp; do
    for p in fp32 bf16; do
        set -- --json --set model.layer=$layer --set train.precision=$p
        row "training, $layer, $p" share_of_gemm "$("$TTT" bench train "$RUN" "$@")"
        row "prefill, $layer, $p" share_of_gemm "$("$TTT" bench prefill "$RUN" "$@")"
        row "decoding, $layer, $p" share_of_read "$("$TTT" bench decode "$RUN" "$@")"
    done
done
exit $bad
