# SPDX-License-Identifier: Apache-2.0
# launch.sh -- runs started by ttt launch.  After lib.sh and tiny.sh.

# launch DIR [WORD ...]: ttt launch with the run in $WORK/DIR, output in $WORK/DIR.out and .err; words
# with '=' are keys.  $FAIL: failpoints; $BEFORE: words in front of the program.
launch() {
    launch_dir=$1; shift
    for s in "$@" "run.dir=$WORK/$launch_dir"; do
        case $s in -*) ;; *=*) set -- "$@" --set ;; esac
        set -- "$@" "$s"
        [ "$s" = "run.dir=$WORK/$launch_dir" ] || shift
    done
    # shellcheck disable=SC2086
    TTT_FAIL=$FAIL timeout "${LIMIT:-120}" $BEFORE "$TTT" launch "$WORK/run.yaml" \
        --set launch.bind=false --set launch.kill_wait_s=1 "$@" \
        >"$WORK/$launch_dir.out" 2>"$WORK/$launch_dir.err" </dev/null
}

# ranks_of DIR: the processes that train there.
ranks_of() {
    for p in $(pgrep -f "ttt train .*run.dir=$WORK/$1( |\$)"); do
        case $(readlink "/proc/$p/exe") in
        "$(readlink -f "$TTT")" | "$WORK/$1"/program/*) ;;   # what launchers keep
        *) continue ;;
        esac
        [ "$(cat "/proc/$p/comm" 2>/dev/null)" = ttt ] && echo "$p"
    done
}

launcher_of() { pgrep -o -f "^$TTT launch .*run.dir=$WORK/$1( |\$)"; }

# await_step DIR N: until step N is done there, or nobody trains any more.
await_step() {
    for _ in $(seq 1200); do
        n=$(tail -n 1 "$WORK/$1/metrics.jsonl" 2>/dev/null | sed -n 's/.*"step":\([0-9]*\).*/\1/p')
        [ "${n:-0}" -ge "$2" ] && return
        sleep 0.05
    done
}

# notes DIR KIND KEY: values in launch.jsonl.
notes() { sed -n "s/^{\"kind\":\"$2\".*\"$3\":\"\{0,1\}\([^,}\"]*\).*/\1/p" "$WORK/$1/launch.jsonl"; }

# pages_left: how many pages of processes are left of all starts of this test.
pages_left() {
    sed -n 's/.*"launch":"\([0-9a-f]\{1,\}\)".*/\1/p' "$WORK"/*/fence/* | sort -u | while read -r token; do
        find /dev/shm -name "ttt-$token-*"
    done | wc -l
}
