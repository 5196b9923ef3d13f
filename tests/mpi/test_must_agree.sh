#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_must_agree.sh -- what must agree between ranks and does not is found and named: at the
# start of a job in every build, at each call in builds that compare arguments (make CHECK=1).
# Lines: "ok NAME", "FAILED NAME: why".
build=${BUILD:-build}
. tests/mpi.sh
bad=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

# expect WHAT CODE PATTERN -- the job ends with this exit code and one line that matches.
expect() {
    timeout 120 $RANKS 3 "$build/tests/mpi/disagree" "$1" \
        </dev/null >"$out" 2>&1
    code=$?
    if [ $code = "$2" ] && grep -q -e "$3" "$out"; then echo "ok $1"; else
        echo "FAILED $1: exit $code, no line matches '$3' in:"
        cat "$out"
        bad=1
    fi
}

expect job 78 "error: seed is not the same on all ranks: 'seed: 1' on rank 0, 'seed: 2' on rank 1"
[ "$(grep -c 'is not the same' "$out")" = 1 ] && echo "ok said once" ||
    { echo "FAILED said once"; bad=1; }
case "$build" in
*/check*)
    expect grid 70 'grid, layers (P) must agree on all 3 ranks'
    expect sequences 70 'sequences of a step must agree on all 3 ranks: .* 5 to 6'
    expect buckets 70 'order of buckets must agree on all 3 ranks'
    ;;
esac
exit $bad
