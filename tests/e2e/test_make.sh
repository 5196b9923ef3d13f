# SPDX-License-Identifier: Apache-2.0
# The Makefile: when warnings are errors, and what stands in for target_clones with clang.
. "$(dirname "$0")/lib.sh"
unset MAKEFLAGS MAKELEVEL MFLAGS CFLAGS CPPFLAGS WERROR
cc=${CC:-gcc}

# Warnings are errors in a git checkout, elsewhere not, unless someone says so.
mkdir "$WORK/tree" && cp "$ROOT/Makefile" "$WORK/tree"
werror() { make -s -C "$WORK/tree" info "$@" | grep -c '^CFLAGS=.* -Werror'; }
equal "a release: warnings are no errors" "$(werror)" 0
equal "a release with WERROR=yes" "$(werror WERROR=yes)" 1
mkdir "$WORK/tree/.git"
equal "a checkout: warnings are errors" "$(werror)" 1
equal "a checkout with WERROR=no" "$(werror WERROR=no)" 0

# What is compiled in place of libraries that are not there.
without=$WORK/without
for f in data_prep/unpack_none src/bench/product_onednn src/bench/product_libxsmm; do
    check "without optional libraries: $f.c" make -s -C "$ROOT" LOCAL="$without" ARCHIVE=no DNNL=no XSMM=no \
        "$without/$f.o"
done

# clones.awk: parameters of all kinds, values that come back, and lines that keep their numbers.
if [ "$(uname -m)" != x86_64 ]; then echo "# not x86-64"; finish; fi
cat >"$WORK/sums.c" <<'END'
#include <stdio.h>
#ifndef VERSIONS
#define CLONES
#else
#define clones_set wanted
#endif
int wanted;
int add(int (*restrict to)[2], const int *x, int y[], int table[][2],
        unsigned long n);
CLONES
int add(int (*restrict to)[2], const int *x, int y[], int table[][2],
        unsigned long n)
{
    to[0][1] = x[0] + y[0] + table[1][0] + (int)n;
    return __LINE__;
}
CLONES
static void twice(double *x, int n)
{
    for (int i = 0; i < n; i++) x[i] *= 2;
}
int main(int argc, char **argv)
{
    int to[1][2], x = 1, y[1] = { 20 }, table[2][2] = { { 0 }, { 300 } }, line;
    double d[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    (void)argv;
    wanted = argc > 1 ? 3 : 0;
    line = add(to, &x, y, table, 4000);
    twice(d, 9);
    printf("%d %d %g %s:%d\n", to[0][1], line, d[8], __FILE__, __LINE__);
}
END
cd "$WORK" || exit 1
awk -f "$ROOT/src/base/clones.awk" sums.c | grep -v '^#include "src/base' >versions.c
check "clones.awk: without it" "$cc" -std=c11 -O2 -Wall -Wextra -Werror -o plain sums.c
check "clones.awk: it compiles" "$cc" -std=c11 -O3 -Wall -Wextra -Wpedantic -Wshadow -Werror \
    -DVERSIONS -o versions versions.c
equal "clones.awk: the same" "$(./versions)" "$(./plain)"
if grep -qw avx2 /proc/cpuinfo; then
    equal "clones.awk: the same with AVX2" "$(./versions avx2)" "$(./plain)"
fi
equal "clones.awk: two more versions of each" \
    "$(objdump -d versions | grep -c '^[0-9a-f]* <\(add\|twice\)_v[34][^>]*>:')" 4
objdump -d versions | sed -n '/<twice_v3[^>]*>:/,/^$/p' >twice_v3
expect_text "clones.awk: AVX2 has wide vectors" 'v\(mul\|add\)pd.*%ymm' twice_v3
finish
