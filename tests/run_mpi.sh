#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_mpi.sh PROGRAM|SCRIPT.sh ... -- run cmocka programs under mpirun on NP ranks each, and
# scripts that print "ok NAME" and "FAILED NAME: why" once, and add up.  Programs run with the
# checker of MPI use preloaded (tests/mpicheck/mpicheck.h; MPICHECK=no: without).
# Programs that compute run once more on 2 and 3 ranks with every lower instruction set (isa.sh).
# The last line is "N passed, N failed", counted over single tests and rank counts.
. "$(dirname "$0")/isa.sh"
. "$(dirname "$0")/mpi.sh"
passed=0; failed=0
export BUILD="${BUILD:-build}"
export OMP_NUM_THREADS=1
# Sanitizers: the checker may be the first library; Open MPI has leaks, ours are counted by mem.h.
export ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0:detect_leaks=0"
checker=
[ "$MPICHECK" = no ] || checker="env LD_PRELOAD=$PWD/$BUILD/tests/mpicheck.so"

# count NAME PASSED-PATTERN FAILED-PATTERN -- of $out, which ended with $rc.
count() {
    p=$(printf '%s\n' "$out" | grep -c "$2")
    f=$(printf '%s\n' "$out" | grep -c "$3")
    if [ $rc != 0 ] && [ "$f" = 0 ]; then f=1; fi
    printf '  %-44s %3d passed, %d failed\n' "$1" "$p" "$f"
    [ $rc = 0 ] || printf '%s\n' "$out" | tail -n 60
    passed=$((passed + p)); failed=$((failed + f))
}

# on RANKS PROGRAM [WORD ...]: words in front of mpirun.
on() {
    n=$1; t=$2; shift 2
    # $RANKS and $checker are several words.
    out=$("$@" timeout 300 $RANKS "$n" $checker "$t" \
          </dev/null 2>&1); rc=$?
    count "$(printf '%-32s on %d ranks' "${t##*/}${2:+ ($2)}" "$n")" '^\[       OK \]' \
          '^\[  FAILED  \] [A-Za-z_]*$'
}

for t in "$@"; do
    if [ "${t%.sh}" != "$t" ]; then
        out=$(timeout 600 sh "$t" 2>&1); rc=$?
        count "${t##*/}" '^ok ' '^FAILED '
        continue
    fi
    for n in ${NP:-1 2 3 4 6 8}; do on "$n" "$t"; done
done
for set in $(isa_lower); do
    for t in "$@"; do
        case ${t##*/} in
            test_golden_grid|test_grid_eval|test_grid_soap|test_step_exec)
                for n in 2 3; do on "$n" "$t" isa_with "$set"; done ;;
        esac
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
