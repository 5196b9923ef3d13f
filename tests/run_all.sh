#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_all.sh -- every test: sources, unit tests in float and in double, tests on
# several processes, end-to-end tests.  MAKE is the make program.  The last line, also left in
# build/test-total.txt, is "N passed, N failed".
passed=0; failed=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

# part NAME COMMAND ... -- run it, let its lines through, add its last one.
part() {
    name=$1; begin=$(date +%s); shift
    echo "$name"
    "$@" 2>&1 | tee "$log"
    echo "  $name: $(($(date +%s) - begin)) s"
    total=$(grep '^[0-9][0-9]* passed, [0-9][0-9]* failed$' "$log" | tail -n 1)
    if [ -z "$total" ]; then
        echo "  ended without a count"
        total="0 passed, 1 failed"
    fi
    passed=$((passed + ${total%% *}))
    total=${total#*, }
    failed=$((failed + ${total%% *}))
}

sources() {
    good=0; bad=0
    sh tests/check_checks.sh && good=$((good + 1)) || bad=$((bad + 1))
    sh tests/check_layers.sh tests/layers.txt && good=$((good + 1)) || bad=$((bad + 1))
    sh tests/check_circles.sh build && good=$((good + 1)) || bad=$((bad + 1))
    sh tests/check_headers.sh && good=$((good + 1)) || bad=$((bad + 1))
    sh tests/check_spdx.sh && good=$((good + 1)) || bad=$((bad + 1))
    sh tests/check_tags.sh && good=$((good + 1)) || bad=$((bad + 1))
    sh tests/check_vectors.sh build tests/vectors.txt && good=$((good + 1)) || bad=$((bad + 1))
    sh tests/check_equations.sh && good=$((good + 1)) || bad=$((bad + 1))
    sh tests/check_readme.sh && good=$((good + 1)) || bad=$((bad + 1))
    echo "$good passed, $bad failed"
}

if [ "$MPI" = mpich ]; then   # the other tests do not start several processes
    part "under MPICH's mpirun" ${MAKE:-make} --no-print-directory -s test-mpi
    part "end to end, with MPICH" ${MAKE:-make} --no-print-directory -s test-e2e
else
    part "sources" sources
    part "unit tests, real = float" ${MAKE:-make} --no-print-directory -s test-unit
    part "unit tests, real = double" ${MAKE:-make} --no-print-directory -s test-unit F64=1
    part "damaged input" ${MAKE:-make} --no-print-directory -s test-fuzz
    part "under mpirun" ${MAKE:-make} --no-print-directory -s test-mpi
    part "under mpirun, arguments compared" env ISA=best ${MAKE:-make} --no-print-directory -s test-mpi CHECK=1 NP=4
    part "end to end" ${MAKE:-make} --no-print-directory -s test-e2e
    part "on SLURM" ${MAKE:-make} --no-print-directory -s test-slurm
    part "with MPICH" ${MAKE:-make} --no-print-directory -s test-mpich
fi
mkdir -p build
echo "$passed passed, $failed failed" | tee build/test-total.txt
[ $failed = 0 ]
