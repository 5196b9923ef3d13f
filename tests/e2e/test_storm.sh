# SPDX-License-Identifier: Apache-2.0
# One fault after another, for so many seconds: processes killed or stopped, the newest checkpoint
# damaged, a full disk, signals, a killed launcher.  Nobody does anything but start again what was
# asked to stop, and runs end as if nothing had happened.
#
#   STORM=40   seconds (900 for the full proof)       SEED=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/launch.sh"
command -v "$MPIRUN" >/dev/null || { echo "# no $MPIRUN"; finish; }
SHIM=$BUILD/tests/fault/iofault.so
[ -f "$SHIM" ] || { failed "iofault.so" "not built (make $SHIM)"; finish; }
STORM=${STORM:-40}
LIMIT=$((STORM + 600))
make_data
make_config "$WORK/run.yaml"
sets="train.steps=1500 log.every_steps=500 checkpoint.every_steps=25 checkpoint.keep=3
    checkpoint.background=true train.inner_stats_every=0 watchdog.step_s=4 watchdog.data_s=4"

# shellcheck disable=SC2086
launch whole -n 2 $sets
equal "uninterrupted" "$?" 0
root=$(root_of whole)
values whole loss_nats >"$WORK/whole.curve"

# Real time of day in milliseconds.
now() { date +%s%3N; }

begin_run() {
    # shellcheck disable=SC2086
    launch "r$runs" -n 2 $sets &
    pid=$!
}

# A run ended: was it as the one without faults?  Seconds of its steps are what was not lost.
end_run() {
    [ "$(root_of "r$runs")" = "$root" ] && values "r$runs" loss_nats | cmp -s - "$WORK/whole.curve" ||
        { wrong=$((wrong + 1)); echo "# run $runs ended otherwise" >&2; tail -n 20 "$WORK/r$runs.err" >&2; }
    useful=$(values "r$runs" step_s | awk -v u="$useful" '{ u += $1 } END { print u }')
    cat "$WORK/r$runs/launch.jsonl" >>"$WORK/all.jsonl"
    runs=$((runs + 1))
}

# Wait for the launcher; what was asked to stop, or was killed, is started again.
again() {
    wait $pid; code=$?
    while [ -n "$(ranks_of "r$runs")" ]; do sleep 0.1; done
    case $code in
    0) end_run ;;
    85 | 137) ;;
    *) bad=$((bad + 1)); echo "# exit code $code" >&4; tail -n 20 "$WORK/r$runs.err" >&4 ;;
    esac
    begin_run
}

one_rank() { ranks_of "r$runs" | sed -n "$((1 + $1 % 2))p"; }

# Flip bytes in the middle of the newest checkpoint, if there is another one to go on from.
damage() {
    [ "$(find "$WORK/r$runs/ckpt" -name MANIFEST 2>/dev/null | wc -l)" -ge 2 ] || return
    newest=$(ls "$WORK/r$runs/ckpt" 2>/dev/null | tail -n 1)
    file=$WORK/r$runs/ckpt/$newest/w000.ttc
    [ -f "$WORK/r$runs/ckpt/$newest/MANIFEST" ] && [ -f "$file" ] &&
        printf '\252\125' | dd of="$file" bs=1 seek=$(($(wc -c <"$file") / 2)) conv=notrunc 2>/dev/null
}

fault() {
    case $1 in
    kill) victim=$(one_rank "$2"); [ -n "$victim" ] && kill -9 "$victim" ;;
    stop) victim=$(one_rank "$2"); [ -n "$victim" ] && kill -STOP "$victim" ;;
    damage) damage; victim=$(one_rank "$2"); [ -n "$victim" ] && kill -9 "$victim" ;;
    term) kill -TERM "$(launcher_of "r$runs")"; again ;;
    launcher) kill -9 "$(launcher_of "r$runs")"; again ;;
    full)
        kill -TERM "$(launcher_of "r$runs")"
        wait $pid; code=$?
        [ $code = 0 ] && end_run
        # Somebody frees space before the next try, else a run near its end could never be saved.
        LD_PRELOAD=$SHIM IOFAULT_ROOT=$WORK/r$runs/ckpt IOFAULT_ONCE=$WORK/full.$faults \
            IOFAULT="op=write n=$((1 + $2 % 40)) times=20 do=ENOSPC" begin_run
        ;;
    esac 2>/dev/null
    kill -0 $pid 2>/dev/null || again
}

exec 4>&2
: >"$WORK/all.jsonl"
# All kinds in rounds, each round in another order.
awk -v seed="${SEED:-1}" 'BEGIN { srand(seed); n = split("kill stop damage term launcher full", k)
    for (i = 0; i < 10000; i++) {
        left = n - i % n; j = 1 + int(left * rand())
        t = k[j]; k[j] = k[left]; k[left] = t
        printf "%.2f %s %d\n", 2.5 + 4 * rand(), t, 1000 * rand()
    } }' >"$WORK/faults"
runs=1; wrong=0; bad=0; faults=0; useful=0
start=$(now)
begin_run
while [ $(($(now) - start)) -lt $((1000 * STORM)) ] && read -r delay kind number <&3; do
    sleep "$delay"
    fault "$kind" "$number"
    faults=$((faults + 1))
    echo "$kind" >>"$WORK/kinds"
done 3<"$WORK/faults"
wait $pid; code=$?
[ $code = 85 ] && { begin_run; wait $pid; code=$?; }
took=$(($(now) - start))
equal "the last run ends" "$code" 0
end_run
equal "runs that ended otherwise" "$wrong" 0
equal "exit codes that a person would have to look at" "$bad" 0
[ "$faults" -ge $((STORM / 12)) ] && ok "faults" || failed "faults" "only $faults"
equal "no pages are left" "$(pages_left)" 0
echo "# $faults faults in $((took / 1000)) s: $(sort "$WORK/kinds" | uniq -c | awk '{ printf "%s%s %s", s, $1, $2; s = ", " }')"
echo "# $((runs - 1)) runs, $(grep -c '"kind":"start"' "$WORK/all.jsonl") starts, $(grep -c '"kind":"hang"' "$WORK/all.jsonl") hangs;" \
    "effective training time $(echo "$useful $took" | awk '{ printf "%.0f %%", 100000 * $1 / $2 }')"
finish
