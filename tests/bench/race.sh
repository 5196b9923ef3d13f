# SPDX-License-Identifier: Apache-2.0
# Time to quality: seconds and joules from an empty folder, tokenizer and shards included, until the
# demo's model has a held-out loss of at most TARGET nats a token.  Each recipe starts anew; all of
# them together take half an hour on two cores.
#
#   sh tests/bench/race.sh TTT [RECIPE ...]
#
#   TARGET=3.80               nats, on all of the held-out books
#   SETS="key=value ..."      more overrides, for every recipe
#   OUT=build/race            folder for data and runs
#   RAPL=/sys/class/powercap  energy counters of the processors
#
# Seconds and joules are of the whole machine: let nothing else run.  They end with the evaluation
# that finds the target and contain the earlier ones; what all of them took has its own column.

# Recipes: overrides of config/demo-kjv.yaml.
recipes="demo large soap soap-2048"
recipe() {
    large="model.init_std=0.02 train.context=1024 train.batch_tokens=2048 train.micro_batch=2
           optim.lr=3e-3 optim.beta2=0.95"
    case $1 in
    demo) echo "eval.every_steps=1580" ;;
    large) echo "$large train.steps=700 optim.warmup_steps=70 eval.every_steps=175" ;;
    soap) echo "$large train.batch_tokens=1024 train.micro_batch=1 train.steps=650
                optim.kind=soap optim.max_dim=512 optim.lr=6e-3 optim.warmup_steps=65
                eval.every_steps=290" ;;
    soap-2048) echo "$large train.steps=400 optim.kind=soap optim.warmup_steps=40
                     eval.every_steps=180" ;;
    *) echo "race.sh: no recipe $1; there are: $recipes" >&2; exit 64 ;;
    esac
}

. "$(dirname "$0")/lib.sh"
case $TTT in /*) ;; *) TTT=$PWD/$TTT ;; esac
shift
raced=${*:-$recipes}
for r in $raced; do recipe "$r" >/dev/null; done
target=${TARGET:-3.80}
rapl=${RAPL:-/sys/class/powercap}
out=${OUT:-$ROOT/build/race}

# energy -- a line for each processor: its name, its counter in microjoules, the counter's range.
energy() {
    for d in "$rapl"/intel-rapl:*; do
        case ${d##*/} in *:*:*) continue ;; esac  # a part of a processor
        [ -r "$d/energy_uj" ] &&
            echo "${d##*/} $(cat "$d/energy_uj") $(cat "$d/max_energy_range_uj")"
    done
}

# joules -- between the lines of $dir/energy.  A counter that is smaller than before began again.
joules() {
    awk '$1 in last { d = $2 - last[$1]; uj += d < 0 ? d + $3 : d }
         { last[$1] = $2 }
         END { if (NR) printf "%.0f", uj / 1e6; else printf "not readable" }' "$dir/energy"
}

# evaluations -- of the run: "reached" or "not", step and loss of the first one that reached the
# target, else of the last one; and the seconds of all up to it.
evaluations() {
    sed -n 's/^{"kind":"eval","step":\([0-9]*\),"loss_nats":\([^,]*\),.*"eval_s":\([^,}]*\).*/\1 \2 \3/p' \
        "$dir/run/metrics.jsonl" 2>/dev/null |
        awk -v target="$target" 'how != "reached" { step = $1; loss = $2; s += $3
                how = loss <= target + 0 ? "reached" : "not" }
            END { if (NR) printf "%s %d %.4f %.1f", how, step, loss, s }'
}

reached() { case $(evaluations) in reached*) ;; *) return 1 ;; esac; }

# run RECIPE -- from an empty folder until the target is reached or the run ends.  Sets seconds.
run() {
    sets=
    for s in $(recipe "$1") $SETS; do sets="$sets --set $s"; done
    rm -rf "$dir"
    mkdir -p "$dir" || return 1
    begin=$(date +%s.%N)
    energy >"$dir/energy"
    TTT=$TTT sh "$ROOT/jobs/kjv.sh" "$dir" >"$dir/log" 2>&1 || return 1
    # shellcheck disable=SC2086
    {
        "$TTT" train "$ROOT/config/demo-kjv.yaml" --set run.dir="$dir/run" \
            --set data.train="$dir/train" --set data.val="$dir/val" $sets >>"$dir/log" 2>&1
        echo $? >"$dir/code"
    } &
    trap 'touch "$dir/run/STOP"; exit 130' INT TERM
    until [ -e "$dir/code" ] || reached; do
        sleep 0.2
        energy >>"$dir/energy"
    done
    seconds=$(calc %.1f "$(date +%s.%N) - $begin")
    [ ! -d "$dir/run" ] || touch "$dir/run/STOP"
    wait
    trap - INT TERM
    reached || return "$(cat "$dir/code")"
}

# row RECIPE -- runs it, and is a row of the table.
row() {
    dir=$out/$1
    run "$1" || { look "| $1 | failed | | | | | |"; tail -n 3 "$dir/log" >&2; return; }
    # shellcheck disable=SC2046
    set -- "$1" $(evaluations)
    tokens=$(sed -n "s/^{\"kind\":\"step\",\"step\":$3,.*\"tokens\":\([0-9]*\).*/\1/p" "$dir/run/metrics.jsonl")
    echo "| $1 | $3 | $tokens | $4 | $seconds | $5 | $(joules) |"
    reached && echo "$seconds $1" >>"$out/reached"
}

rm -rf "$out"
mkdir -p "$out" || exit 1
echo "$(cpu), $(threads) threads, until $target nats on the held-out books"
echo
echo "| recipe | steps | tokens | held-out loss | seconds | of it evaluation | joules |"
echo "|---|---|---|---|---|---|---|"
for r in $raced; do row "$r"; done
echo
[ -s "$out/reached" ] && sort -n "$out/reached" | head -n 1 | sed 's/\(.*\) \(.*\)/fastest: \2, \1 s/' ||
    echo "no recipe has reached $target nats"
exit $bad
