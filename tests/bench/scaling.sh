# SPDX-License-Identifier: Apache-2.0
# One against two: threads of a process, and replicas of one thread each (D), tokens/s of training
# steps, and their share of the arithmetic peak.  125m, or RUN.yaml.  Five minutes on two cores.
#
#   sh tests/bench/scaling.sh TTT [RUN.yaml]     PRECISIONS="fp32 bf16" STEPS=3
. "$(dirname "$0")/lib.sh"
RUN=${2:-$ROOT/config/ttt-linear-125m.yaml}
STEPS=${STEPS:-3}

# row NAME ONE TWO
row() {
    one=$(number tok_per_s "$2"); two=$(number tok_per_s "$3")
    row="| $1 | $(calc %.1f "$one") | $(value %.1f share_of_peak "$2" 100) % | $(calc %.1f "$two")"
    look "$row | $(value %.1f share_of_peak "$3" 100) % | $(calc %.2f "$two / $one") |"
}

threads_of() {
    bench train "$RUN" --tokens 2048 --steps "$STEPS" --threads "$1" --set train.precision="$2"
}

# Four sequences of 1,024 tokens.
replicas() {
    ranks "$1" grid "$RUN" --grid "$1"x1x1 --threads 1 --steps "$STEPS" --set train.context=1024 \
        --set train.batch_tokens=4096 --set train.micro_batch=1 --set train.precision="$2"
}

echo "$(cpu), $(basename "$RUN" .yaml)"
echo
echo "| | one, tokens/s | share of peak | two, tokens/s | share of peak | ratio (asked: 1.85) |"
echo "|---|---|---|---|---|---|"
for p in ${PRECISIONS:-fp32 bf16}; do
    row "threads, $p" "$(threads_of 1 $p)" "$(threads_of 2 $p)"
    row "replicas (D), $p" "$(replicas 1 $p)" "$(replicas 2 $p)"
done
exit $bad
