#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_e2e.sh [TEST.sh ...] -- run end-to-end tests one after another (default: all
# of tests/e2e, and grids once more with AVX2 where the processor has a better set, isa.sh) and
# add up their "ok" and "FAILED" lines.  The last line is
# "N passed, N failed".  TIMEOUT: seconds a test may take (default 900).
here=$(dirname "$0")
. "$here/isa.sh"
lower=
if [ $# = 0 ]; then
    set -- "$here"/e2e/test_*.sh
    lower=$(isa_lower)
fi
passed=0; failed=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

# run TEST.sh [WORD ...]: words in front of the shell.
run() {
    t=$1; begin=$(date +%s); shift
    "$@" timeout "${TIMEOUT:-900}" sh "$t" >"$log" 2>"$log.err"; rc=$?
    p=$(grep -c '^ok ' "$log")
    f=$(grep -c '^FAILED ' "$log")
    if [ $rc != 0 ] && [ "$f" = 0 ]; then
        [ $rc = 124 ] && echo "FAILED ${t##*/}: timeout" || echo "FAILED ${t##*/}: exit $rc"
        f=1
    fi
    printf '  %-40s %3d passed, %d failed  %4d s\n' "${t##*/}${2:+ ($2)}" "$p" "$f" \
        $(($(date +%s) - begin))
    [ "$f" = 0 ] || { grep '^FAILED ' "$log"; tail -n 40 "$log.err"; }
    passed=$((passed + p)); failed=$((failed + f))
    rm -f "$log.err"
}

for t in "$@"; do run "$t"; done
# Every set gives the same bits (test_isa.sh), so grids are tried with one more.
for set in $lower; do
    [ "$set" != avx2 ] || run "$here/e2e/test_grid.sh" isa_with "$set"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
