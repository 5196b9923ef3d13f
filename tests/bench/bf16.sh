# SPDX-License-Identifier: Apache-2.0
# Does bf16 train as well as fp32?  The demo's run (or RUN.yaml) in fp32, with bf16 products, and
# with bf16 moments, from three seeds; held-out losses must agree within 1 %.  Hours.
#
#   sh tests/bench/bf16.sh TTT [RUN.yaml [key=value ...]]     STEPS=... SEEDS="1 2 3" OUT=folder
TTT=$1; RUN=${2:-config/demo-kjv.yaml}
[ $# -gt 2 ] && shift 2 || shift $#
OUT=${OUT:-build/bf16}
mkdir -p "$OUT"
[ "$RUN" != config/demo-kjv.yaml ] || [ -d build/demo/train ] || sh jobs/kjv.sh build/demo || exit 1
sets=
for s in "$@" ${STEPS:+train.steps=$STEPS}; do sets="$sets --set $s"; done

# loss DIR: the last held-out loss of a run.
loss() { sed -n 's/^{"kind":"eval".*"loss_nats":\([0-9.e+-]*\).*/\1/p' "$1/metrics.jsonl" | tail -n 1; }

bad=0
echo "seed  fp32     bf16 products      bf16 moments"
for seed in ${SEEDS:-1 2 3}; do
    for kind in fp32 bf16 moments; do
        case $kind in
        fp32) more= ;;
        bf16) more="--set train.precision=bf16" ;;
        moments) more="--set optim.state=bf16" ;;
        esac
        # shellcheck disable=SC2086
        "$TTT" train "$RUN" $sets $more --set run.seed="$seed" --set run.name="$kind-$seed" \
            --set run.dir="$OUT/$kind-$seed" >"$OUT/$kind-$seed.log" 2>&1 || {
            echo "$kind, seed $seed: exit $?"; tail -n 3 "$OUT/$kind-$seed.log"; exit 1; }
    done
    echo "$seed $(loss "$OUT/fp32-$seed") $(loss "$OUT/bf16-$seed") $(loss "$OUT/moments-$seed")" |
        awk '{ a = $3 / $2 - 1; b = $4 / $2 - 1
               printf "%4d  %.4f  %.4f %+.2f %%  %.4f %+.2f %%\n", $1, $2, $3, 100 * a, $4, 100 * b
               exit !(NF == 4 && a * a < 1e-4 && b * b < 1e-4) }' || bad=1
done
[ $bad = 0 ] && echo "all within 1 %" || echo "NOT within 1 %"
exit $bad
