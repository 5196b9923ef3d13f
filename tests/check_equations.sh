#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_equations.sh -- the numbers [E13] in the code and the rows of
# src/EQUATIONS.md are the same set.
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
grep -rhoE '\[E[0-9]+\]' src mpi data_prep --include='*.[ch]' 2>/dev/null | tr -d '[]' | sort -u >"$tmp/code"
sed -n 's/^| \(E[0-9]*\) |.*/\1/p' src/EQUATIONS.md | sort >"$tmp/all"
sort -u "$tmp/all" >"$tmp/rows"
bad=0
for e in $(comm -23 "$tmp/code" "$tmp/rows"); do echo "src/EQUATIONS.md: no row for $e"; bad=1; done
for e in $(comm -13 "$tmp/code" "$tmp/rows"); do echo "src/EQUATIONS.md: $e is nowhere in the code"; bad=1; done
for e in $(uniq -d "$tmp/all"); do echo "src/EQUATIONS.md: two rows for $e"; bad=1; done
[ -s "$tmp/code" ] || { echo "no equation numbers found"; bad=1; }
[ $bad = 0 ] && echo "equations: every number has its row"
exit $bad
