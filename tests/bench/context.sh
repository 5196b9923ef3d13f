# SPDX-License-Identifier: Apache-2.0
# Time of a token in training against the length of the context: two layers of RUN.yaml with a small
# vocabulary, so that 32k fit; forward and backward, without the update, which is one for any
# length.  Three minutes on two cores.
#
#   sh tests/bench/context.sh TTT [RUN.yaml]     CONTEXTS="2048 4096" PRECISION=bf16
. "$(dirname "$0")/lib.sh"
RUN=${2:-$ROOT/config/ttt-linear-125m.yaml}

echo "$(cpu), $(basename "$RUN" .yaml), two layers, vocabulary 4,096, $(threads) threads, ${PRECISION:-fp32}"
echo
echo "| context | us a token | relative to the first | share of peak, of products |"
echo "|---|---|---|---|"
first=
for n in ${CONTEXTS:-2048 4096 8192 16384 32768}; do
    line=$(bench train "$RUN" --tokens "$n" --set model.layers=2 --set model.vocab=4096 \
           --set train.precision="${PRECISION:-fp32}")
    us=$(calc %.2f "1e6 * $(number pass_s "$line") / $n")
    first=${first:-$us}
    look "| $n | $us | $(calc %.3f "$us / $first") | $(shares "$line") |"
done
exit $bad
