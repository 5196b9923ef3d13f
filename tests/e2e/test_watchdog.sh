# SPDX-License-Identifier: Apache-2.0
# A process that hangs is named, the job ended and started again; one that is slow is left alone.
#
#   STEAL=10   seconds of the run whose processors are stolen (600 for the full proof), by
#   HOGS=12    other processes
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/launch.sh"
command -v "$MPIRUN" >/dev/null || { echo "# no $MPIRUN"; finish; }
STEAL=${STEAL:-10}
make_data
make_config "$WORK/run.yaml"
ulimit -c 0
sets="train.steps=24 log.every_steps=8"

# shellcheck disable=SC2086
launch whole -n 3 $sets
equal "uninterrupted" "$?" 0
root=$(root_of whole)
equal "no hang was seen in it" "$(notes whole hang rank | wc -l)" 0

# hang NAME WHO PATTERN SECONDS FAILPOINTS [key=value SIGNAL]: what is reported, and that the run ends as if nothing had happened.
hang() {
    hang_name=$1; hang_who=$2; hang_pattern=$3
    # shellcheck disable=SC2086
    FAIL=$5 launch "$hang_name" -n 3 $sets watchdog.step_s="$4" watchdog.data_s="$4" ${6:-watchdog.core=false}
    equal "$hang_name: exit code" "$?" 0
    expect_text "$hang_name: named" "rank $hang_who (process [0-9]* on .*) hangs: $hang_pattern" \
        "$WORK/$hang_name.err"
    equal "$hang_name: once" "$(notes "$hang_name" hang rank)" "$hang_who"
    expect_text "$hang_name: killed" "exited on signal ${7:-9} " "$WORK/$hang_name.err"
    expect_text "$hang_name: started again" "restarting in" "$WORK/$hang_name.err"
    equal "$hang_name: same root" "$(root_of "$hang_name")" "$root"
}
mkfifo "$WORK/fifo"
# A restart begins at step 16, and the 18th step of it is beyond the end.
hang stop 1 "step 17, phase data.*state T.*it is stopped" 10 "train.step@1#18=stop"
hang blocked 2 "step 17, phase data, in read of $WORK/fifo.*the other processes wait for it" \
    4 "train.step@2#18=read:$WORK/fifo" watchdog.core=true 6
hang spin 0 "step 17, .*in no call that waits, state R.*the other processes wait for it" \
    4 "train.step@0#18=spin"

# A hang that comes again and again ends with its own exit code.
FAIL="train.step@1#1=stop" launch again -n 2 watchdog.setup_s=2 watchdog.step_s=2 watchdog.data_s=2
equal "again and again: exit code" "$?" 86
equal "again and again: four times" "$(notes again hang rank | wc -l)" 4

# --- pages that lie --------------------------------------------------------------------
# bytes N NUMBER: the number in N bytes, the lowest first.
bytes() {
    left=$2
    for _ in $(seq "$1"); do
        # shellcheck disable=SC2059
        printf "\\$(printf %o $((left % 256)))"
        left=$((left / 256))
    done
}
pid_in() { od -An -td4 -j8 -N4 "$1" | tr -d ' '; }
born_of() { cut -d ' ' -f 22 "/proc/$1/stat"; }

# plant RANK PID [USER]: a page of that rank in which process PID hangs while it saves: the page of
# rank 0, and it never changes (src/base/beacon.h has the places of the numbers).
plant() {
    rm -f "$WORK/planted.page"
    cp "$page-0" "$WORK/planted.page"
    bytes 4 "$2" | dd of="$WORK/planted.page" bs=1 seek=8 conv=notrunc 2>/dev/null
    bytes 4 "$1" | dd of="$WORK/planted.page" bs=1 seek=12 conv=notrunc 2>/dev/null
    bytes 8 "$(born_of "$2")" | dd of="$WORK/planted.page" bs=1 seek=16 conv=notrunc 2>/dev/null
    bytes 4 3 | dd of="$WORK/planted.page" bs=1 seek=112 conv=notrunc 2>/dev/null
    [ -z "$3" ] || chown "$3" "$WORK/planted.page"
    cp -p "$WORK/planted.page" "$page-new" && mv "$page-new" "$page-$1"
}
launch planted -n 3 train.steps=1000000 log.every_steps=100000 checkpoint.every_steps=0 watchdog.save_s=2 &
pid=$!
await_step planted 10
page=/dev/shm/ttt-$(sed -n 's/.*"launch":"\([0-9a-f]*\)".*/\1/p' "$WORK/planted/fence/000001")
sleep 600 &
victim=$!
mine=$(pid_in "$page-0"); second=$(pid_in "$page-1")
token=$(tr '\0' '\n' <"/proc/$mine/environ" | sed -n 's/^TTT_LAUNCH=//p')
equal "the token: a secret" "$(echo "$token" | grep -c '^[0-9a-f]\{32\}$')" 1
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' >"$WORK/lines"
equal "the token: on no command line" "$(grep -c "$token" "$WORK/lines")" 0
equal "the token: in no file" "$(grep -rl "$token" "$WORK/planted" | wc -l)" 0
equal "the token: in no name" "$(find /dev/shm -name "*$token*" | wc -l)" 0
plant 1 "$victim"             # a process that has nothing to do with the job
plant 7 "$mine"               # a rank that the job does not have
if [ "$(id -u)" = 0 ]; then plant 2 "$mine" nobody; else echo "# not root: no page of another user"; fi
sleep 4
check "a page of another process: it lives" kill -0 "$victim"
equal "pages that lie: nobody is accused" "$(notes planted hang rank | wc -l)" 0
equal "pages that lie: one start" "$(notes planted start restarts)" 0
plant 1 "$second"             # the same page, of the process that it belongs to
for _ in $(seq 200); do
    [ "$(notes planted hang rank)" ] && break
    sleep 0.1
done
equal "a page that tells the truth is believed" "$(notes planted hang rank)" 1
"$TTT" stop "$WORK/planted" --wait 2>/dev/null
wait $pid
equal "planted: exit code" "$?" 85
check "planted: the other process lives" kill "$victim"

# --- /dev/shm is full ------------------------------------------------------------------------
# Pages need one more than there is room for, in a /dev/shm of our own.  (MPICH needs it for itself.)
if [ "$MPI" = openmpi ] && [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
    cat >"$WORK/full.sh" <<'END'
mount -t tmpfs -o size=64k none /dev/shm || exit 9
head -c 61440 /dev/zero >/dev/shm/other
exec "$@"
END
    timeout 100 unshare -m sh "$WORK/full.sh" "$TTT" launch "$WORK/run.yaml" -n 3 \
        --set launch.bind=false --set run.dir="$WORK/full" --set train.steps=24 \
        --set "launch.mpirun_args=--mca btl self,tcp" >"$WORK/full.out" 2>"$WORK/full.err"
    equal "a full /dev/shm: exit code" "$?" 0
    equal "a full /dev/shm: one start" "$(notes full start restarts)" 0
    equal "a full /dev/shm: same root" "$(root_of full)" "$root"
    equal "a full /dev/shm: said once" "$(grep -c 'No space left on device' "$WORK/full.err")" 1
    expect_text "a full /dev/shm: what follows" \
        "warning: rank [0-2]: /dev/shm/ttt-.*: No space left on device: training continues without a watchdog" "$WORK/full.err"
else
    echo "# no file system can be mounted here: /dev/shm is not filled"
fi

# Processors stolen by others: slow, but no hang.
hogs=
for i in $(seq "${HOGS:-12}"); do
    timeout $((STEAL + 60)) sh -c 'while :; do :; done' &
    hogs="$hogs $!"
done
LIMIT=$((STEAL + 100)) launch stolen -n 2 train.steps=1000000 log.every_steps=1000 checkpoint.every_steps=0 \
    checkpoint.every_minutes=0.1 &
pid=$!
sleep "$STEAL"
"$TTT" stop "$WORK/stolen" --wait 2>/dev/null
wait $pid
equal "stolen processors: exit code" "$?" 85
# shellcheck disable=SC2086
kill $hogs
equal "stolen processors: no alarm" "$(notes stolen hang rank | wc -l)" 0
equal "stolen processors: one start" "$(notes stolen start restarts)" 0
equal "no pages are left" "$(pages_left)" 0
finish
