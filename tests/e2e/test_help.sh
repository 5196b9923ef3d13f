# SPDX-License-Identifier: Apache-2.0
# Every command has its page and its row in README.md, and the exit codes in jobs/RUNS.md
# are those of the program.
. "$(dirname "$0")/lib.sh"

name="help" expect_exit 0 "$TTT" --help
cp "$WORK/out" "$WORK/help"
commands=$(sed -n '/^commands/,/^$/s/^  \([a-z]*\) .*/\1/p' "$WORK/help")
differ "commands are listed" "$commands" none
for c in $commands; do
    name="$c --help" expect_exit 0 "$TTT" "$c" --help
    expect_text "$c --help: usage" "^usage: .*ttt $c" "$WORK/out"
    expect_text "$c is in README.md" "^|.*\`ttt $c[ \`]" "$ROOT/README.md"
    name="$c with an unknown option" expect_exit 64 "$TTT" "$c" --no-such-option
done
name="the page of ttt bench" expect_exit 0 "$TTT" bench --help
sed -n '/^options/q;p' "$WORK/out" >"$WORK/bench"
differ "benchmarks are listed" "$(wc -l <"$WORK/bench")" 0
for part in $(sed -n '/^  [a-z]* * [a-z]/s/^  \([a-z]*\) .*/\1/p' "$WORK/bench" | grep -v ttt); do
    name="bench $part --help" expect_exit 0 "$TTT" bench "$part" --help
    expect_text "bench $part --help: usage" "^usage: .*ttt bench $part" "$WORK/out"
    name="bench $part with an unknown option" expect_exit 64 "$TTT" bench "$part" --no-such-option
done
for code in $(sed -n '/^exit codes/,/^$/s/^  \([0-9]*\) .*/\1/p' "$WORK/help"); do
    expect_text "exit code $code is in RUNS.md" "^| $code | " "$ROOT/jobs/RUNS.md"
done
name="unknown command" expect_exit 64 "$TTT" trian
name="no command" expect_exit 64 "$TTT"
name="version" expect_exit 0 "$TTT" --version
expect_text "version: real type" "real F32" "$WORK/out"

# OpenMP says what it took from the environment when it was loaded, the last time.
spins() { env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT OMP_DISPLAY_ENV=verbose "$@" 2>&1 |
    sed -n "s/.*GOMP_SPINCOUNT = '\(.*\)'/\1/p" | tail -n 1; }
equal "waiting threads sleep soon" "$(spins "$TTT" config --help)" 2000
equal "a spin count is kept" "$(spins env GOMP_SPINCOUNT=77 "$TTT" config --help)" 77
differ "a wait policy is kept" "$(spins env OMP_WAIT_POLICY=active "$TTT" config --help)" 2000
finish
