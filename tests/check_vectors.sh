#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_vectors.sh BUILD TABLE -- the compiler vectorised the hot loops, for each instruction set.
#
# A loop that does not vectorise gives the same numbers, slowly, perhaps on one kind of processor
# only: no other test notices.  So every function that is compiled for several instruction sets
# (CLONES in src/base/real.h) has an innermost loop that computes with whole vectors, in each of
# them: registers of 256 bits for AVX2, of 256 or 512 for AVX-512.  Loads, stores and constants do
# not count.  Tiles that are written for AVX (functions avx2_*, avx512_*) keep their sums in registers:
# no vector is stored to the stack, or read there, in an innermost loop.  TABLE says where it is
# otherwise:
#
#     FILE FUNCTION N     at least N such loops; 0 with the reason
#     FILE plain N        at most N innermost loops compute with reals outside of CLONES, where they
#                         are compiled for the oldest processor
#
# With `print` for TABLE it prints what it finds: FILE FUNCTION SET LOOPS.
build=$1
table=$2
[ "$(uname -m)" = x86_64 ] || { echo 'vectors: only one instruction set here'; exit 0; }
first=$(find "$build/src" -name '*.o' | head -n 1)
readelf -p .comment "$first" | grep -q GCC: || {
    echo 'vectors: not looked at, this is not code of gcc'
    exit 0
}

loops() {
    for object in $(find "$build/src" -name '*.o' | sort); do
        file=${object#"$build"/}
        objdump -d --no-show-raw-insn "$object" | awk -v file="${file%.o}" '
        function hex(s,    i, n) {
            for (i = 1; i <= length(s); i++)
                n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
            return n
        }
        function innermost(i,    j) {
            for (j = 1; j <= jumps; j++)
                if (to[j] >= to[i] && from[j] <= from[i] && (to[j] > to[i] || from[j] < from[i]))
                    return 0
            return 1
        }
        function report(    i, k, found) {
            for (i = 1; i <= jumps; i++) {
                if (!innermost(i) || (to[i] in seen)) continue
                seen[to[i]] = 1
                for (k = 1; k <= n; k++)
                    if (at[k] >= to[i] && at[k] <= from[i]) { found++; break }
            }
            if (set == "plain") plain += found
            else if (set != "") print file, name, set, found + 0
            split("", seen); split("", at); split("", to); split("", from)
            jumps = n = 0
        }
        /^[0-9a-f]+ <.*>:$/ {
            report()
            name = substr($2, 2, length($2) - 3)
            set = name ~ /\.(default|resolver)$|_ref$/ ? "" : name ~ /^avx/ ? "tile" : "plain"
            if (match(name, /\.arch_x86_64_v[34]$/)) {
                set = substr(name, RSTART + 13)
                name = substr(name, 1, RSTART - 1)
            }
            next
        }
        set == "" { next }
        { here = hex(substr($1, 1, length($1) - 1)) }
        $2 ~ /^j/ && hex($3) < here { to[++jumps] = hex($3); from[jumps] = here }
        set == "plain" && $2 ~ /^v?(add|sub|mul|div|max|min|sqrt)[sp][sd]$/ { at[++n] = here }
        set == "tile" && /%[yz]mm/ && /\(%r[sb]p\)/ { at[++n] = here }
        set ~ /^v/ && /%[yz]mm/ && $2 !~ /^v(mov|p?broadcast|p?xor|zero|extract)/ {
            at[++n] = here
        }
        END { report(); print file, "plain", "plain", plain + 0 }'
    done
}

if [ "$table" = print ]; then loops; exit; fi
loops | awk -v table="$table" '
BEGIN {
    while ((getline line < table) > 0) {
        sub(/#.*/, "", line)
        if (split(line, word, " ") == 3) want[word[1] " " word[2]] = word[3]
    }
}
{ at = $1 " " $2; met[at] = 1 }
$3 == "plain" && (at in want) && $4 > want[at] {
    print $1 ": " $4 " loops compute outside of CLONES, not " want[at]
    bad = 1
}
$3 == "tile" && $4 {
    print $1 ", " $2 ": " $4 " innermost loops keep vectors on the stack"
    bad = 1
}
$3 == "plain" || $3 == "tile" { next }
{
    clones++
    least = (at in want) ? want[at] : 1
    if ($4 < least) {
        print at ", x86-64-" $3 ": " $4 " loops with vectors, not " least
        bad = 1
    }
}
END {
    for (at in want) if (!(at in met)) { print at ": in " table ", and nowhere else"; bad = 1 }
    if (!clones) { print "no clones found"; bad = 1 }
    exit bad
}' || exit 1
echo "vectors: hot loops compute with whole vectors"
