#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_circles.sh BUILD -- no two files of the program need each other.
#
# A source and its header are one file here.  A file needs another one if its object in BUILD has an
# undefined symbol that the other one defines: what a linker would resolve, so that a header whose
# functions are in several sources hides nothing.  Every circle is printed with the names that close it.
build=$1

for source in $(find src mpi jobs data_prep -name '*.c' -o -name '*.cc' | sort); do
    object=$build/${source%.*}.o
    case $source in data_prep/unpack_*) [ -f "$object" ] || continue ;; esac  # one of two
    if [ ! -f "$object" ]; then echo "missing $object"; continue; fi
    nm -g "$object" | awk -v file="${source%.*}" '
        NF == 3 && $2 != "U" { print "has", $3, file }
        NF == 2 && $1 == "U" { print "needs", $2, file }'
done | awk '
function closes(from, to,    list, n, i) {   # is there a way from one to the other?
    if (from == to) return 1
    visited[from] = 1
    n = split(next_of[from], list, " ")
    for (i = 1; i <= n; i++)
        if (!(list[i] in visited) && closes(list[i], to)) return 1
    return 0
}
$1 == "missing" { print $2 ": not built"; bad = 1 }
$1 == "has" { owner[$2] = $3; seen[$3] = 1 }
$1 == "needs" { name[++n] = $2; user[n] = $3 }
END {
    for (i = 1; i <= n; i++) {
        if (!(name[i] in owner)) continue
        a = user[i]; b = owner[name[i]]
        if (a == b) continue
        if (!((a, b) in names)) { next_of[a] = next_of[a] " " b; edge[++edges] = a SUBSEP b }
        names[a, b] = names[a, b] " " name[i]
    }
    for (i = 1; i <= edges; i++) {
        split(edge[i], end, SUBSEP)
        split("", visited)
        if (!closes(end[2], end[1])) continue
        print "circle: " end[1] " -> " end[2] ":" names[end[1], end[2]]
        bad = 1
    }
    files = 0
    for (f in seen) files++
    if (files < 2) { print "no objects found"; bad = 1 }
    exit bad
}' || exit 1
echo "circles: no two files need each other"
