#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_spdx.sh -- every source file says its licence in one of its first lines.
id='SPDX-License-Identifier: Apache-2[.]0'
bad=0
for f in $(find src mpi jobs data_prep tests .ci Makefile -path tests/golden -prune -o -path tests/fuzz/corpus -prune \
    -o -path tests/fuzz/found -prune -o -type f \( -name '*.[ch]' -o -name '*.cc' -o -name '*.awk' -o -name '*.sh' \
    -o -name '*.py' -o -name Makefile -o -path .ci/run \) -print | sort); do
    head -n 3 "$f" | grep -q "$id" || { echo "$f: no line with SPDX-License-Identifier: Apache-2.0"; bad=1; }
done
[ $bad = 0 ] && echo "licence: every source file names it"
exit $bad
