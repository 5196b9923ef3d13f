#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_mpicheck.sh -- the checker of MPI use reports every seeded mistake, names both sides or
# the place, and has nothing to say about a program without one.
# Lines: "ok NAME", "FAILED NAME: why".
build=${BUILD:-build}
. tests/mpi.sh
export MPICHECK_TIMEOUT=5
bad=0; caught=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

# seeded NUMBER -- run it on three ranks; the checker's lines go to $out.
seeded() {
    timeout 120 $RANKS 3 \
        env LD_PRELOAD="$PWD/$build/tests/mpicheck.so" "$build/tests/mpi/seeded_bugs" "$1" \
        </dev/null >"$out" 2>&1
    code=$?
    grep '^mpicheck: ' "$out" >"$out.found"
    mv "$out.found" "$out"
}

# expect NUMBER NAME PATTERN -- exit code 99, and a line that matches.
expect() {
    seeded "$1"
    if [ $code = 99 ] && grep -q -e "$3" "$out"; then echo "ok $2"; caught=$((caught + 1))
    else
        echo "FAILED $2: exit $code, no line matches '$3' in:"
        cat "$out"
        bad=1
    fi
}

seeded 0
if [ $code = 0 ] && [ ! -s "$out" ]; then echo "ok a clean program"; else
    echo "FAILED a clean program: exit $code"; cat "$out"; bad=1
fi
# Where a call is made is shown by the name of the function around it.
expect 1 "mismatched collective" \
    'rank 1: MPI_Bcast .*mismatched_collective.* does not match MPI_Allreduce .* of rank 0'
expect 2 "different root" 'rank 1: MPI_Bcast of 4 bytes, root 1, .* match .*, root 0'
expect 3 "different count" 'rank 1: MPI_Allreduce of 3, .* match MPI_Allreduce of 4'
expect 4 "different operation" 'rank 1: MPI_Allreduce of 1, MPI_MAX, .* match .* of 1, MPI_SUM'
expect 5 "leaked request" 'rank 1: request never released, made by MPI_Isend (leaked_request at'
expect 6 "leaked communicator" 'rank 1: communicator never released, made by MPI_Comm_split (leak'
expect 7 "leaked datatype" 'rank 1: datatype never released, made by MPI_Type_contiguous (leaked'
expect 8 "leaked group" 'rank 1: group never released, made by MPI_Comm_group (leaked_group at'
expect 9 "call from another thread" 'rank 1: MPI_Iprobe (probe at .*another thread'
expect 10 "unmatched send" 'rank 2: .* one is from rank 1, tag 5, 4 bytes'
expect 11 "missing participation" 'does not match MPI_Barrier .*missing_participation'
expect 12 "wrong order" 'waits in MPI_Allreduce (wrong_order at .* has not come'
echo "# $caught of 12 seeded mistakes caught"
expect 13 "different count of a non-blocking collective" \
    'rank 1: MPI_Iallreduce of 8, .* match MPI_Iallreduce of 4'
expect 14 "leaked window" 'rank 1: window never released, made by MPI_Win_create (leaked_window'
expect 15 "leaked operation" 'rank 1: operation never released, made by MPI_Op_create (leaked_op'
expect 16 "MPI_Gatherv of less than the root expects" \
    'rank 0: MPI_Gatherv .* receives 8 bytes from rank 1, which sends 4'
exit $bad
