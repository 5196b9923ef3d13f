# SPDX-License-Identifier: Apache-2.0
# Files of version 0.1 stay readable: token shards, a checkpoint and a run's folder, an exported model
# (tests/golden/formats-0.1, which tells how they were made).  Losses may differ in the last digits
# where a later version computes in another order; what is stored may not.
. "$(dirname "$0")/lib.sh"
cp -R "$ROOT/tests/golden/formats-0.1" "$WORK/old" && cd "$WORK/old" || exit 1
chmod -R u+w .
export OMP_NUM_THREADS=1
was() { sed -n "s/^$1: //p" EXPECTED; }

# near NAME A B: two losses agree to 1e-4.
near() {
    awk -v a="$2" -v b="$3" 'BEGIN { d = a - b; exit !(a + 0 > 0 && b + 0 > 0 && d * d < 1e-8) }' &&
        ok "$1" || failed "$1" "'$2' is not near '$3'"
}
loss_of() { sed -n 's/.*"nats_per_token": \([0-9.]*\).*/\1/p' "$WORK/out" | head -n 1; }

check "shards are valid" "$TTT" data verify data
"$TTT" data cat data --ids >"$WORK/ids"
equal "the same tokens" "$(cksum <"$WORK/ids")" "$(was tokens)"
"$TTT" data cat data --text >"$WORK/text"
equal "the same text" "$(cksum <"$WORK/text")" "$(was text)"

check "the checkpoint is valid" "$TTT" ckpt verify run
expect_text "its root" " 4 .* $(was root) *valid" "$WORK/out"
check "the model is evaluated" "$TTT" eval run data --json
near "its loss" "$(loss_of)" "$(was loss)"
check "the exported model is evaluated" "$TTT" eval hf data --json
near "its loss is the same" "$(loss_of)" "$(was exported_loss)"
check "the exported model is imported" "$TTT" import hf back
check "and exported again" "$TTT" export back again
cmp -s hf/model.safetensors again/model.safetensors && ok "with the same weights" ||
    failed "with the same weights" "they differ"

check "the run's state is shown" "$TTT" status run --json
expect_text "where it ended" '"step": *4' "$WORK/out"
check "the run is resumed" "$TTT" train run.yaml --allow-numerics-change
cat "$WORK/out" >>"$WORK/err"
expect_text "with the state that was saved" "resumed from .*: step 4 root $(was root)"
near "the next step" "$(sed -n 's/^{"kind":"step".*"step":6,.*"loss_nats":\([0-9.]*\).*/\1/p' run/metrics.jsonl | tail -n 1)" \
    "$(was step_6)"
finish
