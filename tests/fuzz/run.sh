# SPDX-License-Identifier: Apache-2.0
# run.sh SECONDS [TARGET ...] -- let libFuzzer look for inputs that break a promise, SECONDS for
# every target, as many targets at once as there are cores (JOBS).  Seeds are made by the program;
# new inputs are kept in build/fuzz/corpus, findings in build/fuzz/found.  Prints how many inputs
# each target tried; exit code 1 after a finding.  MERGE=1: afterwards tests/fuzz/corpus, which make
# test replays, is made anew: small seeds, and 60 of the inputs that reach all branches, at most
# 40 KB, a target.
cd "$(dirname "$0")/../.." || exit 1
seconds=$1; shift
B=build/fuzz
targets=$*
[ -n "$targets" ] || targets=$(cd $B/tests/fuzz && ls | sed -n 's/^fuzz_\([a-z]*\)$/\1/p')
mkdir -p $B/found
[ -d $B/seeds ] || sh tests/fuzz/seeds.sh $B/seeds || exit 1
# The names of keys, for parsers of YAML.
build/ttt config reference | sed -n 's/^| `\([a-z_.0-9]*\)` .*/\1/p' | tr . '\n' | sort -u |
    sed 's/.*/"&"/' >$B/keys.dict

# one TARGET
one() {
    t=$1
    mkdir -p $B/corpus/$t tests/fuzz/corpus/$t $B/seeds/$t
    dict=; case $t in conf | series | rates | run) dict=-dict=$B/keys.dict ;; esac
    # shellcheck disable=SC2086
    $B/tests/fuzz/fuzz_$t -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=65536 \
        -artifact_prefix=$B/found/$t- -print_final_stats=1 $dict \
        $B/corpus/$t $B/seeds/$t tests/fuzz/corpus/$t >$B/$t.log 2>&1
    rc=$?
    n=$(sed -n 's/^stat::number_of_executed_units: *//p' $B/$t.log)
    cover=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' $B/$t.log | tail -n 1)
    printf '%-12s %12s inputs, %6s branches  %s\n' "$t" "${n:-?}" "${cover:-?}" \
        "$([ $rc = 0 ] && echo "no finding" || echo "FINDING: $B/$t.log, $B/found/")"
    return $rc
}

if [ -n "$ONE" ]; then one "$ONE"; exit; fi
# shellcheck disable=SC2086
printf '%s\n' $targets |
    xargs -P "${JOBS:-$(nproc)}" -I{} env ONE={} sh tests/fuzz/run.sh "$seconds"
rc=$?
# keep TARGET
keep() {
    rm -rf $B/merged && mkdir -p $B/merged
    $B/tests/fuzz/fuzz_$1 -merge=1 -max_len=65536 $B/merged $B/seeds/$1 $B/corpus/$1 \
        tests/fuzz/corpus/$1 >/dev/null 2>&1
    rm -rf tests/fuzz/corpus/$1 && mkdir -p tests/fuzz/corpus/$1
    few=$(($(ls $B/merged | wc -l) / 60 + 1))
    (cd $B/merged && wc -c -- *) | sort -n |
        awk -v few=$few '$2 != "total" && NR % few == 0 && (sum += $1) <= 40960 { print $2 }' |
        while read -r name; do cp "$B/merged/$name" tests/fuzz/corpus/$1/; done
    find $B/seeds/$1 -type f -size -9 -exec cp {} tests/fuzz/corpus/$1/ \;   # of 4 KiB at most
}
if [ -n "$MERGE" ]; then
    for t in $targets; do keep "$t"; done
fi
[ $rc = 0 ]
