# A process that hangs is named, the job ended and started again; one that is slow is left alone.
#
#   STEAL=10   seconds of the run whose processors are stolen (600 for the full proof), by
#   HOGS=12    other processes
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/launch.sh"
command -v mpirun >/dev/null || { echo "# no mpirun"; finish; }
STEAL=${STEAL:-10}
make_data
make_config "$WORK/run.yaml"
sets="train.steps=24 log.every_steps=8"

# shellcheck disable=SC2086
launch whole -n 3 $sets
equal "uninterrupted" "$?" 0
root=$(root_of whole)
equal "no hang was seen in it" "$(notes whole hang rank | wc -l)" 0

# hang NAME WHO PATTERN SECONDS FAILPOINTS: what is said, and that the run ends as if nothing had happened.
hang() {
    hang_name=$1; hang_who=$2; hang_pattern=$3
    # shellcheck disable=SC2086
    FAIL=$5 launch "$hang_name" -n 3 $sets watchdog.step_s="$4" watchdog.data_s="$4"
    equal "$hang_name: exit code" "$?" 0
    expect_text "$hang_name: named" "rank $hang_who (process [0-9]* on .*) hangs: $hang_pattern" \
        "$WORK/$hang_name.err"
    equal "$hang_name: once" "$(notes "$hang_name" hang rank)" "$hang_who"
    expect_text "$hang_name: started again" "starting again" "$WORK/$hang_name.err"
    equal "$hang_name: same root" "$(root_of "$hang_name")" "$root"
}
mkfifo "$WORK/fifo"
# A restart begins at step 16, and the 18th step of it is beyond the end.
hang stop 1 "step 17, phase data.*state T.*it is stopped" 10 "train.step@1#18=stop"
hang blocked 2 "step 17, phase data, in read of $WORK/fifo.*the others wait for it" \
    4 "train.step@2#18=read:$WORK/fifo"
hang spin 0 "step 17, .*in no call that waits, state R.*the others wait for it" \
    4 "train.step@0#18=spin"

# A hang that comes again and again ends with its own exit code.
FAIL="train.step@1#1=stop" launch again -n 2 watchdog.setup_s=2 watchdog.step_s=2 watchdog.data_s=2
equal "again and again: exit code" "$?" 86
equal "again and again: four times" "$(notes again hang rank | wc -l)" 4

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
