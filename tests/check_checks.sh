#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_checks.sh -- the checks of sources find what they are for: faults that are planted in a small
# tree are reported, and the tree without them passes.
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0

# tree -- a clean one: top includes mid, mid includes low.
tree() {
    rm -rf "$tmp/tree"
    mkdir -p "$tmp/tree/src/low" "$tmp/tree/src/mid" "$tmp/tree/src/top" "$tmp/tree/mpi/grid" \
        "$tmp/tree/jobs" "$tmp/tree/data_prep" "$tmp/tree/build"
    cd "$tmp/tree" || exit 1
    echo 'struct low { int x; }; int low(void);' >src/low/low.h
    echo 'int low(void) { return 1; }' >src/low/low.c
    printf '/* One.  Local. */\nint one(void);\nint two(int x);  /* too */\n' >mpi/grid/g.h
    printf '#include "src/low/low.h"\nstruct mid; int mid(void);\n' >src/mid/mid.h
    printf '#include "src/mid/mid.h"\nint mid(void) { return low(); }\n' >src/mid/mid.c
    printf '#include "src/mid/mid.h"\nint top(void);\nint top(void) { return mid(); }\n' >src/top/top.c
    mkdir -p tests .ci
    find . -name '*.[ch]' | xargs sed -i '1i /* SPDX-License-Identifier: Apache-2.0 */'
    echo '# SPDX-License-Identifier: Apache-2.0' >Makefile
    printf 'src/low src/low\nsrc/mid src/low src/mid\nsrc/top src/mid src/top : src/low\n' >table
    printf 'mpi/grid mpi/grid\njobs src/low jobs\ndata_prep data_prep\n' >>table
}
compile() {
    for source in $(find src jobs -name '*.c'); do
        mkdir -p "build/${source%/*}"
        ${CC:-cc} -I. -c -o "build/${source%.c}.o" "$source" || exit 1
    done
}
layers() { sh "$here/check_layers.sh" table; }
tags() { sh "$here/check_tags.sh"; }
headers() { sh "$here/check_headers.sh"; }
licence() { sh "$here/check_spdx.sh"; }
circles() { compile; sh "$here/check_circles.sh" build; }
passes() { "$1" >out 2>&1 || { echo "check_checks: $1: a clean tree fails: $(head -n 1 out)"; bad=1; }; }

# finds CHECK PATTERN -- it fails, and says PATTERN.
finds() {
    if "$1" >out 2>&1; then echo "check_checks: $1 does not find: $2"; bad=1; return; fi
    grep -q -- "$2" out || { echo "check_checks: $1: no '$2', but: $(head -n 1 out)"; bad=1; }
}

tree; passes layers; passes tags; passes circles; passes headers; passes licence
tree; sed -i 1d src/mid/mid.c
finds licence 'src/mid/mid.c: no line with SPDX'
tree; echo '#include "src/top/top.h"' >>src/low/low.c
finds layers 'src/low/low.c: src/low must not include src/top'
tree; sed -i 's/ : src.low//' table
finds layers 'src/top/top.c: src/top must not reach src/low: src/top/top.c > src/mid/mid.h > src/low/low.h'
tree; printf '#include "src/mid/mid.h"\n' >jobs/job.h
finds layers 'jobs/job.h: jobs must not include src/mid'
tree; mkdir src/new; echo 'int x;' >src/new/new.h
finds layers 'src/new: no row in table'
tree; sed -i 's/^src.low .*/& src\/top/' table
finds layers 'the table has a cycle'
tree; echo 'int MPI_Send(void);' >jobs/job.h
finds layers 'jobs/job.h: mentions MPI outside mpi/'
tree; echo 'struct low;' >src/mid/other.h; echo 'struct low { char c; };' >src/mid/other.c
finds tags 'low: in src/low/low.h src/mid/other.c'
tree; echo 'enum mid { A };' >src/top/other.c
passes tags
echo 'struct mid { int y; };' >>src/mid/mid.c
finds tags 'mid: in src/mid/mid.c src/top/other.c'
tree; printf '/* Three,\n * too. */\nint three(struct low *x,\n          int n);\n' >>mpi/grid/g.h
finds headers 'mpi/grid/g.h:8: three() does not say Local or Collective'
tree; printf '/* Sends.  Collective on x. */\nvoid four(void);\nstruct f { int (*g)(int); };\n' >>mpi/grid/g.h
passes headers
tree; printf 'int mid(void);\nint low(void) { return mid(); }\n' >src/low/low.c
finds circles 'circle: src/low/low -> src/mid/mid: mid'
finds circles 'circle: src/mid/mid -> src/low/low: low'
# A loop for two instruction sets that vectorises, until its sum is one chain.
vectors() {
    mkdir -p build/src/low
    printf '#define CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))\n' >loop.h
    ${CC:-cc} -O3 -I. -include loop.h -c -o build/src/low/loop.o src/low/loop.c || exit 1
    sh "$here/check_vectors.sh" build rows
}
loop() {
    printf 'void times(float *x, int n);\nCLONES void times(float *x, int n)\n{\n' >src/low/loop.c
    printf '    for (int i = 0; i < n; i++) %s\n}\n%s\n' "$1" "$2" >>src/low/loop.c
}
if [ "$(uname -m)" = x86_64 ] && ${CC:-cc} -v 2>&1 | grep -q '^gcc version'; then
    : >"$tmp/rows"
    tree; loop 'x[i] *= 2;'; cp "$tmp/rows" rows; passes vectors
    loop 'x[0] = x[0] * x[i] + 1;'
    finds vectors 'src/low/loop times, x86-64-v3: 0 loops with vectors, not 1'
    echo 'src/low/loop times 0  # a chain' >rows; passes vectors
    echo 'src/low/loop other 0' >>rows
    finds vectors 'src/low/loop other: in rows, and nowhere else'
    loop 'x[i] *= 2;' 'void plain(float *x, int n) { for (int i = 0; i < n; i++) x[i] += 1; }'
    echo 'src/low/loop plain 0' >rows
    finds vectors 'src/low/loop: 2 loops compute outside of CLONES, not 0'
    # A tile whose sum is a vector in memory.
    tile() {
        loop 'x[i] *= 2;' "#include <immintrin.h>
            __attribute__((target(\"avx2\"))) __m256 avx2_tile(float *x, int n);
            __attribute__((target(\"avx2\"))) __m256 avx2_tile(float *x, int n)
            { $1 __m256 s = _mm256_setzero_ps(); for (; n > 0; n--, x += 8) s += _mm256_loadu_ps(x); return s; }"
        : >rows
    }
    tile ''; passes vectors
    tile volatile
    finds vectors 'src/low/loop, avx2_tile: 1 innermost loops keep vectors on the stack'
fi
tree; compile; echo 'int new(void) { return 0; }' >src/top/new.c
circles() { sh "$here/check_circles.sh" build; }
finds circles 'build/src/top/new.o: not built'

# Pages: the repository's own, and a message that no source has.
rm -rf "$tmp/tree"; mkdir "$tmp/tree"; cd "$tmp/tree" || exit 1
ln -s "$here"/../* "$here"/../.[a-z]* .
rm -f jobs; cp -r "$here/../jobs" .
pages() { sh "$here/check_readme.sh"; }
passes pages
printf '\n| message | cause |\n|---|---|\n| `grid ... owns ... processes` | none |\n' >>jobs/TROUBLE.md
finds pages "jobs/TROUBLE.md: no message 'grid ... owns ... processes' in the sources"

[ $bad = 0 ] && echo "checks: planted faults are found"
exit $bad
