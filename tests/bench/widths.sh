# SPDX-License-Identifier: Apache-2.0
# What a layer of TTT-Linear (RUN.yaml, or LAYER=ttt_mlp) reaches of the arithmetic peak and of dense
# products, forward and backward, by width and mini-batch.  A layer's share does not depend on how many there are, so
# models have two to four.  Eight minutes on two cores.
#
#   sh tests/bench/widths.sh TTT [RUN.yaml]     WIDTHS="256 768" BATCHES="16 32" PRECISIONS=fp32
. "$(dirname "$0")/lib.sh"
RUN=${2:-$ROOT/config/ttt-linear-125m.yaml}
LAYER=${LAYER:-ttt_linear}
BATCHES=${BATCHES:-8 16 32 64}

# share WIDTH BATCH PRECISION: of the peak and, in brackets, of products, in percent
share() {
    ffn=$((($1 * 8 / 3 + 63) / 64 * 64)); layers=$(($1 > 1024 ? 2 : 4))
    line=$(named layer "$(bench layer "$RUN" --repeat 3 --set model.layer="$LAYER" \
        --set model.width="$1" --set model.heads=$(($1 / 64)) --set model.ffn_width=$ffn \
        --set model.layers=$layers --set model.vocab=1024 --set model.mini_batch="$2" \
        --set train.precision="$3")")
    echo "$(value %.1f share_of_peak "$line" 100) ($(value %.1f share_of_gemm "$line" 100))"
}

echo "$(cpu), $LAYER, $(threads) threads, a layer's share of the peak (of dense products) in %: ${PRECISIONS:-fp32 / bf16}"
echo
printf '| width |'; for b in $BATCHES; do printf ' b = %s |' "$b"; done; echo
printf '|---|'; for b in $BATCHES; do printf -- '---|'; done; echo
for w in ${WIDTHS:-256 768 1024 2048}; do
    row="| $w |"
    for b in $BATCHES; do
        cell=
        for p in ${PRECISIONS:-fp32 bf16}; do cell="$cell${cell:+ / }$(share "$w" "$b" "$p")"; done
        row="$row $cell |"
    done
    look "$row"
done
exit $bad
