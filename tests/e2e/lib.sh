# SPDX-License-Identifier: Apache-2.0
# lib.sh -- what every end-to-end test starts with:  . "$(dirname "$0")/lib.sh"
#
#   $TTT, $TTT_F64   the programs (default build/ttt, build/f64/ttt)
#   $RANKS N         words in front of a program that start N processes of it (mpi.sh)
#   $ROOT            the repository
#   $WORK            an empty folder of this test, removed when it ends; KEEP=1 keeps it
#
# A check prints one line, "ok NAME" or "FAILED NAME: why"; the test exits 1 if
# any failed, and also if it dies in the middle.
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$ROOT/build}
. "$ROOT/tests/mpi.sh"
TTT=${TTT:-$BUILD$MPI_TREE/ttt}
TTT_F64=${TTT_F64:-$BUILD/f64$MPI_TREE/ttt}
MPICHECK=$BUILD$MPI_TREE/tests/mpicheck.so
TEST=$(basename "$0" .sh)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/ttt-$TEST.XXXXXX") || exit 1
unset SLURM_JOB_ID PBS_JOBID LSB_JOBID FLUX_URI  # a job that the tests run in is not theirs
failures=0
finished=0

at_end() {
    code=$?
    [ -n "$KEEP" ] && echo "kept $WORK" >&2 || rm -rf "$WORK"
    [ "$finished" = 1 ] || { echo "FAILED $TEST: ended early (exit $code)"; code=1; }
    exit "$code"
}
trap at_end EXIT
trap 'exit 130' INT TERM

ok() { echo "ok $1"; }
failed() { echo "FAILED $1: $2"; failures=$((failures + 1)); }

# check NAME COMMAND ... -- ok if the command succeeds (its output is kept in $WORK/out).
check() {
    check_name=$1; shift
    if "$@" >"$WORK/out" 2>"$WORK/err"; then ok "$check_name"; else
        failed "$check_name" "exit $? of: $*"; tail -n 20 "$WORK/err" >&2
    fi
}

# expect_exit CODE COMMAND ... -- a check whose name is $name (else the command line).
# Output is kept in $WORK/out and $WORK/err.
expect_exit() {
    want=$1; shift
    "$@" >"$WORK/out" 2>"$WORK/err"
    got=$?
    if [ "$got" = "$want" ]; then ok "${name:-$*}"; else
        failed "${name:-$*}" "exit $got, expected $want"; tail -n 20 "$WORK/err" >&2
    fi
    name=
}

# expect_text NAME PATTERN [FILE] -- a line of FILE (default $WORK/err) matches the grep pattern.
expect_text() {
    if grep -q -e "$2" "${3:-$WORK/err}"; then ok "$1"; else
        failed "$1" "no line matches '$2' in:"; tail -n 20 "${3:-$WORK/err}" >&2
    fi
}

# equal NAME A B, differ NAME A B -- compare two texts; an empty one is never equal.
equal() {
    if [ -n "$2" ] && [ "$2" = "$3" ]; then ok "$1"; else failed "$1" "'$2' is not '$3'"; fi
}
differ() {
    if [ -n "$2" ] && [ -n "$3" ] && [ "$2" != "$3" ]; then ok "$1"; else
        failed "$1" "'$2' and '$3' should be two different texts"
    fi
}

# The last line of every test.
finish() {
    finished=1
    [ "$failures" = 0 ]
    exit
}
