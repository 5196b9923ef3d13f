# SPDX-License-Identifier: Apache-2.0
# The rest of a run compared with its limits: text to shards, shards to training, checkpoints, messages.
# Four minutes on two cores.
#
#   sh tests/bench/rest.sh TTT [RUN.yaml]     TEXT="FILE ..." for ttt prep (default: the demo's books
#                                             if it was run, else made-up words), DIR=where files go
. "$(dirname "$0")/lib.sh"
RUN=${2:-$ROOT/config/ttt-linear-125m.yaml}

# row WHAT NUMBER BESIDE SHARE ASKED
row() { look "| $1 | $2 | $3 | $4 | $5 |"; }

[ -n "$TEXT" ] || [ ! -d "$ROOT/build/demo/text" ] || TEXT=$ROOT/build/demo/text/train
# shellcheck disable=SC2086
prep=$(bench prep $TEXT ${DIR:+--dir "$DIR"}) || bad=1
store=$(bench store "$RUN" ${DIR:+--dir "$DIR"}) || bad=1
comm=$(ranks 2 comm --threads 1) || bad=1
reading=$(named read "$store"); save=$(named save "$store"); load=$(named load "$store")
during=$(named training "$store")

echo "$(cpu), $(basename "$RUN" .yaml), $(threads) threads"
echo
echo "| | measured | limit of the same run | share | asked |"
echo "|---|---|---|---|---|"
row "\`ttt prep -j $(number threads "$prep")\`" "$(value %.0f tok_per_s "$prep") tokens/s" \
    "$(number threads "$prep") x $(value %.0f library_tok_per_s "$prep") of SentencePiece" \
    "$(value %.1f share_of_library "$prep" 100) %" "85 %"
row "reading shards" "$(value %.1f tok_per_s "$reading" 1/1e6) M tokens/s" \
    "training $(value %.0f train_tok_per_s "$reading") tokens/s" \
    "$(value %.0f times_of_training "$reading") times" "20 times"
for line in "$save" "$load"; do
    name=$(echo "$line" | sed -n 's/.*"name": "\([a-z]*\)".*/\1/p')
    row "$name of $(value %.2f state_bytes "$line" 1/1e9) GB" \
        "$(value %.2f gbytes_per_s "$line") GB/s" \
        "plain files $(value %.2f plain_gbytes_per_s "$line"), copying $(
            value %.2f copy_gbytes_per_s "$line") GB/s" \
        "$(value %.0f share_of_plain "$line" 100) % of plain files" ""
done
row "a save stops training" "$(value %.2f blocked_s "$during") s" \
    "a copy $(value %.2f copy_s "$during") s + a step $(value %.2f step_s "$during") s" \
    "$(value %.0f share_of_copy_and_step "$during" 100) %" "100 %"
row "$(value %.0f steps_during "$during") steps during the save" \
    "$(value %.2f step_during_s "$during") s" "$(value %.2f step_s "$during") s" \
    "$(calc %+.1f "100 * ($(number slowed "$during") - 1)") %" "+10 %"
for name in "two ranks" reduce-scatter all-gather all-to-all "sums, exact" weights; do
    line=$(named "$name" "$comm")
    us=$(number latency_us "$line")
    row "$name, 2 ranks" "$(value %.2f gbytes_per_s "$line") GB/s${us:+, $us us}" \
        "copying $(value %.2f copy_gbytes_per_s "$line") GB/s" \
        "$(value %.0f share_of_copy "$line" 100) %" ""
done
exit $bad
