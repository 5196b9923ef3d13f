#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_unit.sh PROGRAM... -- run cmocka programs and add up, as many at once as there are
# processors; those that compute once more with every lower instruction set, and those of bf16 with
# tiles of AMX (isa.sh).  The last line is "N passed, N failed", counted over single tests.
. "$(dirname "$0")/isa.sh"

# one SET PROGRAM -- its line, and what it printed if it failed.  SET is "best" or one of isa.sh.
one() {
    set=$1; t=$2; begin=$(date +%s)
    label=${t##*/}; with=
    [ "$set" = best ] || { label="$label ($set)"; with="isa_with $set"; }
    out=$($with timeout 900 "$t" 2>&1); rc=$?
    p=$(printf '%s\n' "$out" | grep -c '^\[       OK \]')
    f=$(printf '%s\n' "$out" | grep -c '^\[  FAILED  \] [A-Za-z_]*$')
    if [ $rc != 0 ] && [ "$f" = 0 ]; then f=1; fi
    text=$(printf '  %-40s %3d passed, %d failed  %4d s' "$label" "$p" "$f" $(($(date +%s) - begin)))
    [ $rc = 0 ] || text=$text$(printf '\n%s' "$out" | tail -n 60)
    printf '%s\n' "$text"
}

# computes PROGRAM: does its source use something that computes?
computes() {
    grep -qE '#include "(src/(kernels|param|layers|model|optim|infer)|tests/lib)/' \
        "tests/unit/${1##*/}.c" 2>/dev/null
}

# runs PROGRAM... -- a line "SET PROGRAM" for each run.
runs() {
    for t in "$@"; do echo "best $t"; done
    for set in $(isa_lower); do
        for t in "$@"; do computes "$t" && echo "$set $t"; done
    done
    for set in $(isa_emulated); do
        for t in "$@"; do
            computes "$t" && grep -q bf16 "tests/unit/${t##*/}.c" && echo "$set $t"
        done
    done
}

[ "$1" != --one ] || { shift; one "$@"; exit 0; }
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
# Threads that wait sleep, since the other programs need the processors.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
runs "$@" | xargs -P "$(nproc)" -n 2 sh "$0" --one | tee "$log"
awk '/^  [a-z_0-9]* .* passed, [0-9]* failed/ { sub(/ \([^)]*\)/, ""); p += $2; f += $4 }
     END { printf "%d passed, %d failed\n", p, f; exit f > 0 || p == 0 }' "$log"
