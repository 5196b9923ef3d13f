# SPDX-License-Identifier: Apache-2.0
# Training on cores that other programs use too: two busy loops, or a second training run.  Its share
# of the quiet speed, next to the fair share: cores / (threads + busy threads of others).  And one
# thread against all, quiet.  Each number is the median of ROUNDS measurements, made in turn.
#
#   sh tests/bench/noise.sh TTT [RUN.yaml]     ROUNDS=3 TOKENS=2048 NEIGHBOURS=2
#
# By default two layers of 125m and few pieces, whose threads wait as often in a layer
# as those of the whole model; three minutes on two cores.  Where the kernel shares out time by session first
# (/proc/sys/kernel/sched_autogroup_enabled), neighbours of other sessions leave less than this
# script's own, which count thread by thread.
. "$(dirname "$0")/lib.sh"
RUN=${2:-}
ROUNDS=${ROUNDS:-3}
N=${NEIGHBOURS:-2}
CORES=$(nproc)
T=$(threads)
FEW="--set model.layers=2 --set model.vocab=4096"
[ -z "$RUN" ] || FEW=

# train THREADS STEPS -- one measurement
train() { bench train $RUN $FEW --tokens "${TOKENS:-2048}" --steps "$2" --threads "$1"; }
rate() { number tok_per_s "$(train "$1" 3)"; }

loops() { for i in $(seq "$N"); do (while :; do :; done) & others="$others $!"; done; }
second() { train "$T" 1000000 >/dev/null 2>&1 & others=$!; sleep 5; }

# A job's processes end with it.
quiet() {
    for p in $others; do pkill -P "$p"; kill "$p"; wait "$p"; done 2>/dev/null
    others=
}
trap quiet EXIT
trap 'exit 130' INT TERM

median() { echo "$1" | tr ' ' '\n' | grep . | sort -g | sed -n "$(((ROUNDS + 1) / 2))p"; }

one= all= busy= run=
for r in $(seq "$ROUNDS"); do
    one="$one $(rate 1)"
    all="$all $(rate "$T")"
    loops;  busy="$busy $(rate "$T")"; quiet
    second; run="$run $(rate "$T")"; quiet
done
one=$(median "$one") all=$(median "$all") busy=$(median "$busy") run=$(median "$run")

# row NAME RATE THREADS-OF-OTHERS
row() {
    fair=$(calc %.0f "100 * ($CORES < $T + $3 ? $CORES / ($T + $3) : 1)")
    look "| $1 | $(calc %.1f "$2") | $(calc %.1f "100 * $2 / $all") % | $fair % |"
}

echo "$(cpu), $CORES cores, $T threads"
echo
look "$T threads are $(calc %.2f "$all / $one") times as fast as one (asked of two: 1.92)."
echo
echo "| next to | tokens/s | of the quiet speed (asked: 40 %) | fair share |"
echo "|---|---|---|---|"
row nothing "$all" 0
row "$N busy loops" "$busy" "$N"
row "a second run" "$run" "$T"
exit $bad
