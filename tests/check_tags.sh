#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_tags.sh -- a struct, union or enum that a header names has its name alone in the program:
# whoever searches for it finds one thing.  Tags that no header names belong to their source.
tags() {   # TAG FILE DEFINED
    find src mpi jobs data_prep -name '*.[ch]' -o -name '*.cc' | sort | while read -r file; do
        grep -oE '\b(struct|union|enum) [a-z_0-9]+ *[{;]' "$file" | sort -u |
            sed -E "s|^(struct\|union\|enum) ([a-z_0-9]+) *([{;])|\2 $file \3|"
    done
}
tags | awk '
$2 ~ /\.h$/ && ($3 == "{" || $3 == ";") { public[$1] = 1 }
$3 == "{" { count[$1]++; where[$1] = where[$1] " " $2 }
END {
    for (t in count)
        if (t in public && count[t] > 1) { print t ": in" where[t]; bad = 1 }
    exit bad
}' || exit 1
echo "tags: every public one is unique"
