# SPDX-License-Identifier: Apache-2.0
# lib.sh -- what scripts that print tables start with:  . "$(dirname "$0")/lib.sh"
#
#   sh tests/bench/X.sh TTT [RUN.yaml]         PREFIX="taskset -c 0" before every measurement
TTT=$1
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
bad=0

# number NAME LINE -- of a JSON object
number() { echo "$2" | sed -n "s/.*\"$1\": \([-0-9.e+]*\).*/\1/p"; }

# named NAME LINES -- the line of a part
named() { echo "$2" | grep -E "\"(name|part)\": \"$1\""; }

# calc FORMAT EXPRESSION -- "failed" if something in it is missing
calc() { awk "BEGIN { printf \"$1\", $2 }" 2>/dev/null || echo failed; }

# value FORMAT NAME LINE [FACTOR] -- a number as a cell of a table
value() { calc "$1" "$(number "$2" "$3") * ${4:-1}"; }

# shares LINE -- of the arithmetic peak, and of dense products
shares() { echo "$(value %.1f share_of_peak "$1" 100) %, $(value %.1f share_of_gemm "$1" 100) %"; }

# A cell that failed makes the script fail.
look() { case $1 in *failed*) bad=1 ;; esac; echo "$1"; }

# bench ARGUMENT ... -- one object a line; ranks N ARGUMENT ... under mpirun
bench() { $PREFIX "$TTT" bench "$@" --json </dev/null; }
ranks() {
    n=$1; shift
    $PREFIX "${MPIRUN:-mpirun}" -n "$n" --oversubscribe "$TTT" bench "$@" --json </dev/null
}

# The limits of a machine belong to a processor.
cpu() { sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1; }
threads() { echo "${OMP_NUM_THREADS:-$(nproc)}"; }
