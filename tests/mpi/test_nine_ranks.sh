#!/bin/sh
# test_nine_ranks.sh -- redistribution between all pairs of process grids up to 3x3 wants nine.
# Lines: "ok NAME", "FAILED NAME: why".
build=${BUILD:-build}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
export OMP_NUM_THREADS=1
out=$(timeout 300 "${MPIRUN:-mpirun}" --oversubscribe -n 9 "$build/tests/mpi/test_blacs" \
      </dev/null 2>&1) || { echo "FAILED nine ranks: $out"; exit 1; }
echo "ok nine ranks"
