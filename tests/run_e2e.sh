#!/bin/sh
# run_e2e.sh [TEST.sh ...] -- run end-to-end tests one after another (default: all
# of tests/e2e) and add up their "ok" and "FAILED" lines.  The last line is
# "N passed, N failed".  TIMEOUT: seconds a test may take (default 900).
here=$(dirname "$0")
[ $# -gt 0 ] || set -- "$here"/e2e/test_*.sh
passed=0; failed=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
for t in "$@"; do
    timeout "${TIMEOUT:-900}" sh "$t" >"$log" 2>"$log.err"; rc=$?
    p=$(grep -c '^ok ' "$log")
    f=$(grep -c '^FAILED ' "$log")
    if [ $rc != 0 ] && [ "$f" = 0 ]; then
        [ $rc = 124 ] && echo "FAILED ${t##*/}: timeout" || echo "FAILED ${t##*/}: exit $rc"
        f=1
    fi
    printf '  %-40s %3d passed, %d failed\n' "${t##*/}" "$p" "$f"
    [ "$f" = 0 ] || { grep '^FAILED ' "$log"; tail -n 40 "$log.err"; }
    passed=$((passed + p)); failed=$((failed + f))
    rm -f "$log.err"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
