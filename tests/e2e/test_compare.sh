# SPDX-License-Identifier: Apache-2.0
# jobs/compare.sh on few tokens: a number in every place of its table and its JSON.
. "$(dirname "$0")/lib.sh"
command -v bible >/dev/null || { echo "# no bible"; finish; }
OMP_WAIT_POLICY=passive; export OMP_WAIT_POLICY

TTT=$TTT OUT=$WORK/c STEPS=2 LATENCY=2048 EVAL=8192 timeout 600 sh "$ROOT/jobs/compare.sh" \
    >"$WORK/out" 2>"$WORK/err" && ok "it runs" || failed "it runs" "$(tail -n 5 "$WORK/err")"
sed -n '/^ *ttt-linear/,/^$/p' "$WORK/out" >"$WORK/table"
expect_text "four systems" "ttt-linear *ttt-mlp *transformer *mamba" "$WORK/table"
for row in "bits per byte" "training, tokens/s" "perplexity at 1024 - 2047" \
           "perplexity at 4096 - 8192" "prefill at 1024, ms/token" "decode at 2048, ms/token"; do
    expect_text "row: $row" "^$row\( *[0-9][0-9.]*\)\{4\}$" "$WORK/table"
done
expect_text "who is faster, where" "^decode: TTT-Linear is faster than the Transformer" "$WORK/table"
for key in train_tokens_per_s bits_per_byte; do
    equal "JSON: $key of each" "$(grep -c "\"$key\": [0-9]" "$WORK/c/result.json")" \
        "$([ $key = bits_per_byte ] && echo 8 || echo 4)"
done
equal "JSON: one object" "$(tr -cd '{' <"$WORK/c/result.json" | wc -c)" \
    "$(tr -cd '}' <"$WORK/c/result.json" | wc -c)"
finish
