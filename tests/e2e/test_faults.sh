# SPDX-License-Identifier: Apache-2.0
# File operations that fail or are the last thing a process does, full disks,
# damaged checkpoints: older checkpoints stay whole, training continues, and the
# end is the same.
#
#   FULL=1   fail and kill at every single operation; else of the long rows of
#            equal ones (tile after tile is read or written) only the first, the
#            last and every 97th: 15 minutes against 3
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
SHIM=$BUILD/tests/fault/iofault.so
[ -f "$SHIM" ] || { failed "iofault.so" "not built (make $SHIM)"; finish; }
make_data
make_config "$WORK/run.yaml"

trained "clean" clean && ok "clean"
root=$(root_of clean)
trained "another seed" seed run.seed=4 && differ "another seed, another root" "$(root_of seed)" "$root"
# Two checkpoints, of steps 4 and 8, and four steps to go.
TTT_FAIL="train.step#10=kill" train start
equal "a run cut off after step 9" "$(ls "$WORK/start/ckpt" | tr '\n' ' ')" \
    "step-000000000004.a0001 step-000000000008.a0001 "

# from_start DIR RULE: the rest of that run, with a fault in its checkpoints.
from_start() {
    rm -rf "${WORK:?}/$1" "$WORK/ops"
    cp -r "$WORK/start" "$WORK/$1"
    (
        LD_PRELOAD=$SHIM; IOFAULT_ROOT=$WORK/$1/ckpt; IOFAULT=$2; IOFAULT_LOG=$WORK/ops
        export LD_PRELOAD IOFAULT_ROOT IOFAULT IOFAULT_LOG
        train "$1"
    )
}

from_start count ""
ops=$(wc -l <"$WORK/ops")
grep -q 'rename' "$WORK/ops" && [ "$ops" -gt 20 ] && ok "the library sees $ops operations" ||
    failed "the library" "sees $ops operations"

awk -v full="${FULL:-0}" '
    { op[NR] = $2 }
    END { for (i = 1; i <= NR; i++)
              if (full || op[i] != op[i - 1] || op[i] != op[i + 1] || i % 97 == 0) print i }
' "$WORK/ops" >"$WORK/points"
cp "$WORK/ops" "$WORK/all_ops"
points=$(wc -l <"$WORK/points")

# Each operation fails once.  In the save: it is given up, tried again, and the run ends as ever.
# While the start reads checkpoints: the run ends with an error and nothing is lost.
bad=0; given_up=0; survived=0
while read -r n; do
    case $((n % 4)) in 0) do=ENOSPC ;; 1) do=EIO ;; 2) do=EINTR ;; *) do=EDQUOT ;; esac
    from_start fail "op=any n=$n do=$do"
    code=$?
    if grep -q "was given up" "$WORK/fail.err"; then given_up=$((given_up + 1)); fi
    if [ $code = 0 ] && [ "$(root_of fail)" = "$root" ]; then survived=$((survived + 1)); else
        train fail
        if [ $? != 0 ] || [ "$(root_of fail)" != "$root" ]; then
            bad=$((bad + 1)); echo "# $do at operation $(sed -n "${n}p" "$WORK/all_ops")" >&2
            tail -n 3 "$WORK/fail.err" >&2
        fi
    fi
done <"$WORK/points"
equal "each of $points operations fails once: lost runs" "$bad" 0
[ $given_up -gt 5 ] && ok "saves were given up, and said so" || failed "saves given up" "$given_up"
echo "# $survived of $points runs needed no restart, $given_up gave a save up"

# Each operation is the last thing the process does, before it and in the middle of it.
bad=0; kills=0
for do in kill tear; do
    while read -r n; do
        from_start die "op=any n=$n do=$do"
        [ $? = 137 ] && kills=$((kills + 1))
        train die
        if [ $? != 0 ] || [ "$(root_of die)" != "$root" ]; then
            bad=$((bad + 1)); echo "# $do at operation $(sed -n "${n}p" "$WORK/all_ops")" >&2
            tail -n 3 "$WORK/die.err" >&2
        fi
    done <"$WORK/points"
done
equal "killed at each of $points operations: lost runs" "$bad" 0
equal "all of them were killed" "$kills" $((2 * points))

# Short writes and reads, all the time.
from_start short "op=any n=1 times=0 do=short"
equal "one byte a call: exit code" "$?" 0
equal "one byte a call: same root" "$(root_of short)" "$root"

# A disk that is full for one save, then not.
rm -rf "$WORK/full"
(
    LD_PRELOAD=$SHIM; IOFAULT_ROOT=$WORK/full/ckpt; IOFAULT_LOG=$WORK/ops2
    IOFAULT="op=write n=$(($(grep -c ' write ' "$WORK/all_ops") + 1)) do=ENOSPC"
    export LD_PRELOAD IOFAULT_ROOT IOFAULT IOFAULT_LOG
    train full
)
equal "full disk in the second save: exit code" "$?" 0
expect_text "the save is given up, and said" "the save of step 8 was given up; training continues" "$WORK/full.err"
expect_text "with the reason" "No space left on device" "$WORK/full.err"
expect_text "and in metrics.jsonl" '"kind":"save","step":8,"error":true' "$WORK/full/metrics.jsonl"
equal "the saves around it are there" "$(ls "$WORK/full/ckpt" | cut -c1-17 | tr '\n' ' ')" "step-000000000004 step-000000000012 "
equal "same root" "$(root_of full)" "$root"

# A disk that stays full.
from_start stays "op=write n=1 times=0 do=ENOSPC"
equal "the disk stays full: exit code" "$?" 74
expect_text "said" "step 12 could not be saved; the newest checkpoint is of step 8" "$WORK/stays.err"
equal "older checkpoints are untouched" "$(ls "$WORK/stays/ckpt" | tr '\n' ' ')" "$(ls "$WORK/start/ckpt" | tr '\n' ' ')"
trained "space again" stays && equal "space again: same root" "$(root_of stays)" "$root"

# A real file system that is too small, where one may be mounted.
mkdir "$WORK/small"
if mount -t tmpfs -o size=1300k none "$WORK/small" 2>/dev/null; then
    "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/small/run" --set checkpoint.every_steps=2 \
        --set checkpoint.keep=10 >"$WORK/small.out" 2>"$WORK/small.err"
    equal "a file system of 1300 KiB: exit code" "$?" 74
    expect_text "saves are given up one after another" "the save of step 10 was given up" "$WORK/small.err"
    rm -rf "$WORK/small/run/ckpt/step-000000000002.a0001"
    "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/small/run" --set checkpoint.every_steps=2 \
        --set checkpoint.keep=1 >"$WORK/small.out" 2>"$WORK/small.err"
    equal "space again on 1300 KiB: exit code" "$?" 0
    equal "space again on 1300 KiB: same root" "$(root_of small)" "$root"
    umount "$WORK/small"
fi

# metrics.jsonl on a full disk: lines are lost, the run is not.
(
    LD_PRELOAD=$SHIM; IOFAULT_ROOT=$WORK/deaf/metrics; IOFAULT="op=write n=3 times=4 do=ENOSPC"
    export LD_PRELOAD IOFAULT_ROOT IOFAULT
    train deaf
)
equal "no room for metrics: exit code" "$?" 0
equal "no room for metrics: same root" "$(root_of deaf)" "$root"
expect_text "no room for metrics: reported" "writable again, 4 lines were lost" "$WORK/deaf.err"

# Damaged checkpoints.
flip() {  # one bit in the middle of a file
    size=$(wc -c <"$1"); at=$((size / 2))
    byte=$(od -An -tu1 -j $at -N1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\$(printf '%03o' $((byte ^ 16)))" | dd of="$1" bs=1 seek=$at conv=notrunc 2>/dev/null
}
for file in w000.ttc MANIFEST; do
    rm -rf "$WORK/hurt"; cp -r "$WORK/start" "$WORK/hurt"
    flip "$WORK/hurt/ckpt/step-000000000008.a0001/$file"
    trained "a flipped bit in $file" hurt || continue
    equal "$file: same root" "$(root_of hurt)" "$root"
    expect_text "$file: named" "step-000000000008.a0001" "$WORK/hurt.err"
    expect_text "$file: from the one before" "resumed from .*step-000000000004" "$WORK/hurt.err"
    equal "$file: in quarantine" "$(ls "$WORK/hurt/quarantine")" "step-000000000008.a0001"
    equal "$file: each step once" "$(values hurt step | tr '\n' ' ')" "1 2 3 4 5 6 7 8 9 10 11 12 "
done
rm -rf "$WORK/hurt"; cp -r "$WORK/start" "$WORK/hurt"
flip "$WORK/hurt/ckpt/step-000000000008.a0001/w000.ttc"
flip "$WORK/hurt/ckpt/step-000000000004.a0001/w000.ttc"
train hurt
equal "all damaged: exit code" "$?" 65
expect_text "all damaged: the first is named" "step-000000000004.a0001" "$WORK/hurt.err"
expect_text "all damaged: the second is named" "step-000000000008.a0001" "$WORK/hurt.err"
train hurt
equal "and again, since nothing valid is there" "$?" 65
finish
