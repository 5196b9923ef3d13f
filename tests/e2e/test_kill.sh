# SPDX-License-Identifier: Apache-2.0
# Killed with SIGKILL at random moments, in saves too, and started again each
# time, a run ends as if nothing had happened.
#
#   KILLS=60   how often
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
KILLS=${KILLS:-60}
make_data
make_config "$WORK/run.yaml"
sets="train.steps=600 checkpoint.every_steps=7 checkpoint.keep=2 checkpoint.background=true log.every_steps=50"

# shellcheck disable=SC2086
trained "uninterrupted" whole $sets && ok "uninterrupted"
root=$(root_of whole)
values whole loss_nats >"$WORK/whole.curve"

# shellcheck disable=SC2086
trained "another seed" seed $sets run.seed=4 && differ "another seed, another root" "$(root_of seed)" "$root"

# A run ends when it is done; then another one begins, until there were enough kills.
wrong=0
compare() {
    [ "$(root_of "$1")" = "$root" ] && values "$1" loss_nats | cmp -s - "$WORK/whole.curve" && return
    wrong=$((wrong + 1)); echo "# run $1 after $2 kills ended otherwise" >&2
}

awk -v n="$KILLS" 'BEGIN { srand(5); for (i = 0; i < 2 * n; i++) printf "%.3f\n", 0.2 + 0.6 * rand() }' >"$WORK/delays"
kills=0; runs=1; here=0; in_save=0; lost=0; committed=0
while [ "$kills" -lt "$KILLS" ] && read -r delay; do
    # Every second run has no room for a copy of its state.
    # shellcheck disable=SC2086
    (
        [ $((runs % 2)) = 0 ] && { TTT_FAIL="train.no_room=err"; export TTT_FAIL; }
        train r$runs $sets
    ) &
    pid=$!
    sleep "$delay"
    child=$(ps -o pid= --ppid $pid | tr -d ' ')
    [ -n "$child" ] && kill -9 "$child" 2>/dev/null
    wait $pid; code=$?
    # What was called committed before is what we go on from, or newer.
    from=$(sed -n 's/^resumed from .*: step \([0-9]*\) root.*/\1/p' "$WORK/r$runs.err")
    if [ -s "$WORK/r$runs.err" ] && grep -q 'parameters,' "$WORK/r$runs.err" &&
        [ "${from:-0}" -lt "$committed" ]; then lost=$((lost + 1)); fi
    last=$(sed -n 's/^committed step \([0-9]*\) root.*/\1/p' "$WORK/r$runs.out" | tail -n 1)
    [ -n "$last" ] && committed=$last
    if [ $code = 0 ]; then
        compare r$runs $here
        runs=$((runs + 1)); here=0; committed=0
        continue
    fi
    kills=$((kills + 1)); here=$((here + 1))
    grep -q 'left by a crash' "$WORK/r$runs.err" && in_save=$((in_save + 1))
done <"$WORK/delays"
# shellcheck disable=SC2086
trained "the last run continues to its end" r$runs $sets && ok "the last run continues to its end"
compare r$runs $here
equal "kills" "$kills" "$KILLS"
equal "all runs end with the same root and the same losses, each once" "$wrong" 0
equal "nothing half written is left" "$(find "$WORK"/r[0-9]*/ -name '*.tmp' | wc -l)" 0
equal "only two checkpoints are left" "$(find "$WORK/r$runs/ckpt" -mindepth 1 -maxdepth 1 | wc -l)" 2
equal "nothing that was called committed was lost" "$lost" 0
echo "# $kills kills in $runs runs, $in_save of them in a save"
finish
