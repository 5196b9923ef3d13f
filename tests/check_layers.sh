#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_layers.sh TABLE -- includes point one way, and MPI stays in mpi/.
#
# TABLE has one row per folder: the folder, then the folders whose headers its files may include;
# after a colon, folders whose headers they may only reach through other headers.  A folder without
# a row is an error, and so is a cycle in the table.  Looks at src, mpi, jobs and data_prep in the
# working folder.
table=$1
bad=0

edges=$(grep -v '^#' "$table" | awk '{ for (i = 2; i <= NF; i++) if ($i != $1 && $i != ":") print $1, $i }')
if ! printf '%s\n' "$edges" | tsort >/dev/null 2>&1; then
    echo "$table: the table has a cycle"; bad=1
fi

# Every include of ours, as "file header"; "file -" so that a file without any is seen, too.
includes() {
    find src mpi jobs data_prep -name '*.[ch]' -o -name '*.cc' | sort | while read -r file; do
        echo "$file -"
        sed -n 's/^#include "\([^"]*\/[^"/]*\)".*/\1/p' "$file" | sed "s|^|$file |"
    done
}
includes | awk -v table="$table" '
function folder(file) { sub(/\/[^\/]*$/, "", file); return file }
# All that `top` includes, and what that includes: each with the way there.
function follow(file, way,    list, n, i) {
    n = split(includes[file], list, " ")
    for (i = 1; i <= n; i++) {
        if ((top, list[i]) in seen) continue
        seen[top, list[i]] = 1
        if (!((folder(top), folder(list[i])) in reach)) {
            print top ": " folder(top) " must not reach " folder(list[i]) ": " way " > " list[i]
            bad = 1
            continue
        }
        follow(list[i], way " > " list[i])
    }
}
BEGIN {
    while ((getline line < table) > 0) {
        if (line ~ /^#/ || line !~ /[^ ]/) continue
        n = split(line, word, " ")
        row[word[1]] = 1
        indirect = 0
        for (i = 2; i <= n; i++) {
            if (word[i] == ":") { indirect = 1; continue }
            reach[word[1], word[i]] = 1
            if (!indirect) may[word[1], word[i]] = 1
        }
    }
}
$2 == "-" {
    files[++count] = $1
    if (!(folder($1) in row) && !told[folder($1)]++) { print folder($1) ": no row in " table; bad = 1 }
    next
}
{
    includes[$1] = includes[$1] " " $2
    if (folder($1) in row && !((folder($1), folder($2)) in may)) {
        print $1 ": " folder($1) " must not include " folder($2)
        bad = 1
    }
}
END {
    for (k = 1; k <= count; k++) {
        top = files[k]
        if (folder(top) in row) follow(top, top)
    }
    exit bad
}' || bad=1
for file in $(find src data_prep jobs -name '*.[ch]' -o -name '*.cc' | sort); do
    # Environment variables of launchers have such names, too.
    if sed 's/"MPI_LOCAL[A-Z]*"//g' "$file" | grep -qE '\bMPI_[A-Z]|mpi\.h'; then echo "$file: mentions MPI outside mpi/"; bad=1; fi
done
[ $bad = 0 ] && echo "layers: includes point one way"
exit $bad
