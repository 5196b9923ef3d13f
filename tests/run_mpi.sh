#!/bin/sh
# run_mpi.sh PROGRAM... -- run cmocka programs under mpirun on NP ranks each and add up.
# The last line is "N passed, N failed", counted over single tests and rank counts.
passed=0; failed=0
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
export OMPI_MCA_mpi_yield_when_idle=1
for t in "$@"; do
    for n in ${NP:-1 2 3 4 6 8}; do
        out=$(timeout 300 "${MPIRUN:-mpirun}" --oversubscribe -n "$n" "$t" </dev/null 2>&1); rc=$?
        p=$(printf '%s\n' "$out" | grep -c '^\[       OK \]')
        f=$(printf '%s\n' "$out" | grep -c '^\[  FAILED  \] [A-Za-z_]*$')
        if [ $rc != 0 ] && [ "$f" = 0 ]; then f=1; fi
        printf '  %-32s on %d ranks %3d passed, %d failed\n' "${t##*/}" "$n" "$p" "$f"
        [ $rc = 0 ] || printf '%s\n' "$out" | tail -n 60
        passed=$((passed + p)); failed=$((failed + f))
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
