#!/bin/sh
# run_unit.sh PROGRAM... -- run cmocka programs one after another and add up; then those that
# compute once more with every lower instruction set, and those of bf16 with tiles of AMX (isa.sh).
# The last line is "N passed, N failed", counted over single tests.
. "$(dirname "$0")/isa.sh"
passed=0; failed=0

# run LABEL COMMAND ...
run() {
    label=$1; shift
    out=$("$@" 2>&1); rc=$?
    p=$(printf '%s\n' "$out" | grep -c '^\[       OK \]')
    f=$(printf '%s\n' "$out" | grep -c '^\[  FAILED  \] [A-Za-z_]*$')
    if [ $rc != 0 ] && [ "$f" = 0 ]; then f=1; fi
    printf '  %-40s %3d passed, %d failed\n' "$label" "$p" "$f"
    [ $rc = 0 ] || printf '%s\n' "$out" | tail -n 60
    passed=$((passed + p)); failed=$((failed + f))
}

# computes PROGRAM: does its source use something that computes?
computes() {
    grep -qE '#include "(src/(kernels|param|layers|model|optim|infer)|tests/lib)/' \
        "tests/unit/${1##*/}.c"
}

for t in "$@"; do run "${t##*/}" timeout 900 "$t"; done
for set in $(isa_lower); do
    for t in "$@"; do
        computes "$t" && run "${t##*/} ($set)" isa_with "$set" timeout 900 "$t"
    done
done
for set in $(isa_emulated); do
    for t in "$@"; do
        computes "$t" && grep -q bf16 "tests/unit/${t##*/}.c" &&
            run "${t##*/} ($set, emulated)" isa_with "$set" timeout 900 "$t"
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
