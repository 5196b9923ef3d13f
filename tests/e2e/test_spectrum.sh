# SPDX-License-Identifier: Apache-2.0
# ttt ckpt spectrum: the same on any number of processes; known values; bad input.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
make_grid_config "$WORK/run.yaml"
# The first update has rate 0: weights are the initial ones.
went "a model" 1x1x1 m train.steps=1 model.init=orthogonal optim.warmup_steps=1 eval.every_steps=0 &&
    ok "a model"
printf '\357\273\277the cat sees a dog under the tree and runs to the house' >"$WORK/text"
spectrum() { "$TTT" ckpt spectrum "$WORK/m" "$@"; }
across() {
    across_n=$1; shift
    timeout 120 $RANKS "$across_n" "$TTT" ckpt spectrum "$WORK/m" "$@" </dev/null
}

name="table" expect_exit 0 spectrum
awk '/q_proj/ { n++; bad += $2 != "32x32" || $3 / $4 > 1.0001 || $5 < 31.99 || $6 < 31.99 }
     END { exit !(n == 4 && !bad) }' "$WORK/out" && ok "orthogonal matrices have full rank" ||
    failed "orthogonal" "$(grep q_proj "$WORK/out")"
equal "W0 head by head" "$(grep -c 'W1  *[01]  *16x16' "$WORK/out")" 8
name="with a text" expect_exit 0 spectrum --text "$WORK/text" --tensor W1
equal "and the fast weights" "$(grep -c 'W1 after 56 tokens' "$WORK/out")" 8
spectrum --text "$WORK/text" --json >"$WORK/one"
across 3 --text "$WORK/text" --json >"$WORK/three"
cmp -s "$WORK/one" "$WORK/three" && ok "three processes: the same text" || failed "3" "other output"
across 3 --text "$WORK/text" --spread 64 >"$WORK/spread"
spectrum --text "$WORK/text" >"$WORK/table"
paste "$WORK/table" "$WORK/spread" | awk 'NR > 1 { n++; h = NF / 2
    for (i = 0; i < 4; i++) { a = $(h - i); b = $(NF - i); if (i != 2 && (a - b) ^ 2 > 1e-6 * a * a) bad++ } }
    END { exit !(n > 20 && !bad) }' && ok "decomposed together: within 1e-3" ||
    failed "spread" "$(diff "$WORK/table" "$WORK/spread" | head -n 4)"

name="no such matrix" expect_exit 64 spectrum --tensor nothing
name="no such text" expect_exit 66 spectrum --text "$WORK/none"
name="no such model" expect_exit 66 "$TTT" ckpt spectrum "$WORK/none"
name="no model at all" expect_exit 64 "$TTT" ckpt spectrum
name="a bad number" expect_exit 64 spectrum --slice 0
finish
