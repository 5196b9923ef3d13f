#!/bin/sh
# check_layers.sh TABLE -- includes point one way, and MPI stays in mpi/.
#
# TABLE has one row per folder: the folder, then the folders whose headers it
# may include.  A folder without a row is an error, and so is the table if it
# has a cycle.
table=$1
bad=0

edges=$(grep -v '^#' "$table" | awk 'NF { for (i = 2; i <= NF; i++) if ($i != $1) print $1, $i }')
if ! printf '%s\n' "$edges" | tsort >/dev/null 2>&1; then
    echo "$table: the table has a cycle"; bad=1
fi
for dir in $(find src data_prep jobs mpi -name '*.[ch]' -o -name '*.cc' | xargs -n1 dirname | sort -u); do
    allowed=$(awk -v d="$dir" '$1 == d { $1 = ""; print $0; found = 1 }' "$table")
    if [ -z "$allowed" ]; then echo "$dir: no row in $table"; bad=1; continue; fi
    for line in $(grep -Hno '^#include "[^"]*/[^"/]*"' "$dir"/*.[ch] "$dir"/*.cc 2>/dev/null | tr -d ' '); do
        file=${line%%:*}
        target=$(printf '%s' "$line" | sed 's/.*"\(.*\)\/[^/]*"/\1/')
        case " $allowed " in
            *" $target "*) ;;
            *) echo "$file: $dir must not include $target"; bad=1 ;;
        esac
    done
done
for file in $(find src data_prep -name '*.[ch]' -o -name '*.cc' | sort); do
    if grep -qE '\bMPI_|mpi\.h' "$file"; then echo "$file: mentions MPI outside mpi/"; bad=1; fi
done
[ $bad = 0 ] && echo "layers: includes point one way"
exit $bad
