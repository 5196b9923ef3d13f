#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_nine_ranks.sh -- redistribution between all pairs of process grids up to 3x3 wants nine.
# Lines: "ok NAME", "FAILED NAME: why".
build=${BUILD:-build}
. tests/mpi.sh
export OMP_NUM_THREADS=1
out=$(timeout 300 $RANKS 9 "$build/tests/mpi/test_blacs" \
      </dev/null 2>&1) || { echo "FAILED nine ranks: $out"; exit 1; }
echo "ok nine ranks"
