# SPDX-License-Identifier: Apache-2.0
# replay.sh PROGRAM ... -- every committed input of each target, and every one that ever was a finding
# (found/), through the parser once more.  The last line is "N passed, N failed", counted over inputs.
cd "$(dirname "$0")" || exit 1
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
passed=0; failed=0
for program in "$@"; do
    t=${program##*/fuzz_}
    dirs=; for d in corpus/$t found/$t; do [ -d $d ] && dirs="$dirs $d"; done
    # shellcheck disable=SC2086
    timeout 300 "$program" $dirs >"$log" 2>&1
    rc=$?
    n=$(sed -n 's/^\([0-9]*\) inputs$/\1/p' "$log")
    if [ $rc = 0 ] && [ "${n:-0}" -gt 0 ]; then
        printf '  %-40s %3d passed, 0 failed\n' "fuzz_$t" "$n"
        passed=$((passed + n))
    else
        printf '  %-40s   0 passed, 1 failed\n' "fuzz_$t"
        tail -n 5 "$log"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
