#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_headers.sh [FILE.h ...] -- every function that a header of mpi/ declares is Local, Collective
# or Logically collective, and says so in its comment or in the comment of its group.
#
# A comment that begins a line belongs to all declarations up to the next such comment.
[ $# -gt 0 ] || set -- $(find mpi -name '*.h' | sort)
awk '
FNR == 1 { depth = 0; inside = 0; said = ""; text = ""; macro = 0 }
{
    line = $0; code = ""
    if (!inside && line ~ /^[ \t]*\/\*/) { said = ""; group = 1 } else if (!inside) group = 0
    while (line != "") {
        if (inside) {
            end = index(line, "*/")
            if (group && depth == 0) said = said " " (end ? substr(line, 1, end - 1) : line)
            inside = !end
            line = end ? substr(line, end + 2) : ""
        } else {
            begin = index(line, "/*")
            code = code (begin ? substr(line, 1, begin - 1) : line)
            inside = begin > 0
            line = begin ? substr(line, begin + 2) : ""
        }
    }
    directive = macro || code ~ /^[ \t]*#/
    macro = directive && code ~ /\\$/
    if (directive) next
    for (i = 1; i <= length(code); i++) {
        c = substr(code, i, 1)
        if (c == "{") depth++
        else if (c == "}") { if (--depth == 0) text = "" }
        else if (depth) continue
        else if (c != ";") text = text c
        else {
            if (match(text, /[A-Za-z_][A-Za-z_0-9]* *\(/)) {
                functions++
                name = substr(text, RSTART, RLENGTH - 1)
                if (said !~ /Local|[Cc]ollective/) {
                    print FILENAME ":" FNR ": " name "() does not say Local or Collective on what"
                    bad = 1
                }
            }
            text = ""
        }
    }
    text = text " "
}
END {
    if (!functions) { print "headers: no function was found"; bad = 1 }
    if (!bad) print "headers: each function says whether it is collective (" functions ")"
    exit bad
}' "$@"
