#!/bin/sh
# run_unit.sh PROGRAM... -- run cmocka programs one after another and add up.
# The last line is "N passed, N failed", counted over single tests.
passed=0; failed=0
for t in "$@"; do
    out=$(timeout 900 "$t" 2>&1); rc=$?
    p=$(printf '%s\n' "$out" | grep -c '^\[       OK \]')
    f=$(printf '%s\n' "$out" | grep -c '^\[  FAILED  \] [A-Za-z_]*$')
    if [ $rc != 0 ] && [ "$f" = 0 ]; then f=1; fi
    printf '  %-40s %3d passed, %d failed\n' "${t##*/}" "$p" "$f"
    [ $rc = 0 ] || printf '%s\n' "$out" | tail -n 60
    passed=$((passed + p)); failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
