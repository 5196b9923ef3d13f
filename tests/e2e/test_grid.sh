# SPDX-License-Identifier: Apache-2.0
# Training on grids of processes: the same bits on every grid, resumed on any, killed at any moment.
#
#   KILLS=10   how often a random rank is killed (60 for the full proof)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
KILLS=${KILLS:-10}
make_data
make_grid_config "$WORK/run.yaml"

went "1x1x1" 1x1x1 base && ok "1x1x1"
root=$(root_of base)
numbers base >"$WORK/base.numbers"
equal "20 steps and 3 evaluations" "$(grep -c loss_nats "$WORK/base.numbers")" 23

# --- the same bits ---------------------------------------------------------------
same() {
    same_grid=$1; same_dir=$2; shift 2
    same_name="$same_grid${*:+ $*}"
    went "$same_name" "$same_grid" "$same_dir" "$@" || return
    equal "$same_name: same root" "$(root_of "$same_dir")" "$root"
    if numbers "$same_dir" | cmp -s - "$WORK/base.numbers"; then
        ok "$same_name: loss, norm, rate, inner losses and evaluations are the same text"
    else failed "$same_name: numbers" "$(numbers "$same_dir" | diff - "$WORK/base.numbers" | head -n 4)"; fi
}
for grid in 2x1x1 1x2x1 1x1x2 1x1x4 2x2x2 3x1x1 1x2x3 2x1x3 1x4x2; do same $grid g$grid; done
same 1x1x1 t1 run.threads=2
same 2x2x2 w3 run.threads=2 checkpoint.writers=3
same 1x2x3 m1 train.micro_batch=1 train.remat=block
same 1x1x2 h2 train.sequence_mode=heads
same 1x2x3 h3 train.sequence_mode=heads train.remat=block run.threads=2
same 2x1x4 h4 train.sequence_mode=heads
same 1x1x4 fg checkpoint.background=false checkpoint.writers=1
same 1x2x2 e1 checkpoint.every_steps=1
TTT_FAIL="train.no_room@1=err"; export TTT_FAIL  # for a copy of the state, on one machine of several
same 1x2x2 p1 checkpoint.every_steps=1
same 2x1x2 p2 checkpoint.every_steps=1 checkpoint.writers=1
unset TTT_FAIL
for d in p1 p2; do expect_text "$d: in place" "no room for a copy of the state" "$WORK/$d.err"; done
equal "every one of these saves" "$(values e1 step save | tr '\n' ' ')" "$(seq 20 | tr '\n' ' ')"
equal "8 ranks write 8 files" "$(find "$WORK"/g2x2x2/ckpt/*20.a0001 -name 'w*.ttc' | wc -l)" 8
equal "or 3" "$(find "$WORK"/w3/ckpt/*20.a0001 -name 'w*.ttc' | wc -l)" 3
# With the checker of MPI use (tests/mpicheck) before it: training, saving, evaluating, resuming.
BEFORE="env LD_PRELOAD=$MPICHECK"
same 2x2x2 c8 checkpoint.writers=3
same 1x2x3 c6 train.sequence_mode=heads checkpoint.background=false
TTT_FAIL="train.step#11=err"; export TTT_FAIL
on 3x1x1 c3 && failed "an error in step 11" "exit 0"
unset TTT_FAIL
same 1x1x2 c3
BEFORE=
[ "$(cat "$WORK"/c?.err | grep -c mpicheck)" = 0 ] && ok "MPI is used as it should be" ||
    failed "mpicheck" "$(grep mpicheck "$WORK"/c?.err | head)"
went "another seed" 1x2x2 seed run.seed=4 && differ "another seed, another root" "$(root_of seed)" "$root"
name="ttt ckpt verify reads them" expect_exit 0 "$TTT" ckpt verify "$WORK/g1x4x2"

# --- fast ------------------------------------------------------------------------
went "fast, 1x1x1" 1x1x1 f1 train.reduction=fast train.steps=1
one=$(values f1 loss_nats)
for grid in 2x1x1 1x2x1 1x1x4 2x2x2; do
    went "fast, $grid" $grid f$grid train.reduction=fast train.steps=1 || continue
    if echo "$(values f$grid loss_nats) $one" | awk '{ d = $1 / $2 - 1; exit !(NF == 2 && d * d < 1e-12) }'
    then ok "fast, $grid: first loss within 1e-6"
    else failed "fast, $grid" "first loss $(values f$grid loss_nats), on 1x1x1 $one"; fi
done

# --- resumed on other grids --------------------------------------------------------
step=0
for grid in 1x1x1 2x2x2 1x1x3 4x1x1; do
    TTT_FAIL="train.step#5=kill"; export TTT_FAIL
    on $grid chain checkpoint.background=false
    unset TTT_FAIL
    [ $step = 0 ] || expect_text "$grid continues from step $step" \
        "resumed from .*: step $step root" "$WORK/chain.err"
    step=$((step + 4))
done
same 1x2x2 chain train.sequence_mode=heads
expect_text "1x2x2 continues from step 16" "resumed from .*: step 16 root" "$WORK/chain.err"

went "init_from, 1x1x1" 1x1x1 i1 train.init_from="$WORK/base" train.steps=2
went "init_from, 1x2x2" 1x2x2 i4 train.init_from="$WORK/base" train.steps=2 &&
    equal "init_from: same root" "$(root_of i4)" "$(root_of i1)"

# --- damage, and a signal -----------------------------------------------------------
# A flipped bit in the second file: found by the rank that reads it, and all take the one before.
cp -r "$WORK/g2x2x2" "$WORK/hurt"
file=$(ls "$WORK"/hurt/ckpt/*20.a0001/w001.ttc)
printf '\377\376' | dd of="$file" bs=1 seek=$(($(wc -c <"$file") / 3)) conv=notrunc 2>/dev/null
same 1x1x3 hurt
expect_text "a damaged tile is named" "w001.ttc: byte .*: tile" "$WORK/hurt.err"
expect_text "and the one before is taken" "resumed from .*: step 16 root" "$WORK/hurt.err"
equal "and the damaged one is in quarantine" "$(ls "$WORK/hurt/quarantine")" "step-000000000020.a0001"

# A signal to one rank is everybody's.
TTT_FAIL="train.step#8=sleep:700" on 1x1x2 signal &
pid=$!
while ! grep -q '"kind":"step","step":7' "$WORK/signal/metrics.jsonl" 2>/dev/null; do sleep 0.05; done
kill -TERM "$(ranks_of signal | tail -n 1)"
wait $pid
equal "a signal to the last rank: exit code" "$?" 85
expect_text "committed" "committed step 8 root" "$WORK/signal.out"
same 2x1x1 signal

# --- kill -9 of a random rank, on two grids by turns --------------------------------------
long="train.steps=300 checkpoint.every_steps=7 eval.every_steps=0 log.every_steps=50"
# shellcheck disable=SC2086
went "uninterrupted" 1x1x1 whole $long && ok "uninterrupted"
root=$(root_of whole)
numbers whole >"$WORK/base.numbers"
awk -v n="$KILLS" 'BEGIN { srand(7); for (i = 0; i < 4 * n; i++) printf "%.2f %d\n", 0.8 * rand(), 1 + int(2 * rand()) }' >"$WORK/delays"
kills=0; runs=1; wrong=0; starts=0; in_save=0
while [ "$kills" -lt "$KILLS" ] && read -r delay which; do
    starts=$((starts + 1))
    if [ $((starts % 2)) = 0 ]; then grid=1x1x2; else grid=2x1x1; fi
    : >"$WORK/r$runs.err"
    # shellcheck disable=SC2086
    on $grid r$runs $long &
    pid=$!
    # Two of three while it trains, the others on the way there.
    while [ $((starts % 3)) != 0 ] && kill -0 $pid 2>/dev/null &&
        ! grep -q 'parameters,' "$WORK/r$runs.err" 2>/dev/null; do sleep 0.05; done
    sleep "$delay"
    victim=$(ranks_of r$runs | sed -n "${which}p")
    [ -n "$victim" ] && kill -9 "$victim" 2>/dev/null
    wait $pid; code=$?
    grep -q 'left by a crash' "$WORK/r$runs.err" && in_save=$((in_save + 1))
    if [ $code != 0 ]; then kills=$((kills + 1)); continue; fi
    [ "$(root_of r$runs)" = "$root" ] && numbers r$runs | cmp -s - "$WORK/base.numbers" || wrong=$((wrong + 1))
    runs=$((runs + 1))
done <"$WORK/delays"
equal "kills of a rank" "$kills" "$KILLS"
# shellcheck disable=SC2086
same 1x1x2 r$runs $long
equal "runs that ended otherwise" "$wrong" 0
echo "# $kills kills in $runs runs, $in_save of them in a save"
finish
