# SPDX-License-Identifier: Apache-2.0
# ttt plan: predictions of grids, from outside; ttt bench rates and grid on two ranks.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/grid.sh"

cd "$WORK" || exit 1
mpi() { n=$1; shift; timeout 300 $RANKS "$n" "$@" </dev/null; }
P="$TTT plan $ROOT/config/ttt-linear-125m.yaml"
# value NAME [FILE] -- the number after a name in JSON.
value() { sed -n 's/.*"'"$1"'": *\([-0-9.e+]*\).*/\1/p' "${2:-out}" | head -n 1; }
is() { awk "BEGIN { exit !($1) }"; }
# A JSON file that is well-formed: brackets close, strings end, nothing trails.
json() {
    tr -d '\n' <"$1" | sed 's/"[^"]*"/0/g; s/-*[0-9][-0-9.e+]*/0/g; s/true\|false\|null/0/g
s/ //g' >flat
    while grep -q '[][{}]' flat; do
        cp flat before
        sed 's/{}/0/g; s/{0:0\(,0:0\)*}/0/g; s/\[\]/0/g; s/\[0\(,0\)*\]/0/g' before >flat
        cmp -s before flat && return 1
    done
    [ "$(cat flat)" = 0 ]
}

# --- one grid
name="one grid" expect_exit 0 $P --grid 2x1x2
expect_text "it says how long" 'step  *[0-9.e+]* s: forward and backward' out
expect_text "it fits" 'on a node of 23.5 GiB: fits' out
name="JSON" expect_exit 0 $P --grid 2x1x2 --json
cp out a.json
check "JSON is well-formed" json a.json
# 2 (S - 1) L (state + 2 (w - 1) d) floats of 4 bytes for each of 256 sequences
expect_text "carries have the published volume" \
    "\"between_bytes\": $((2 * 12 * (49920 + 2 * 3 * 768) * 4 * 256))" a.json
$P --grid 1x1x1 --json >one.json
check "one rank has no bubble" is "$(value bubble one.json) < 1e-9"
check "four ranks are nearly four times as fast" \
    is "$(value tok_per_s a.json) / $(value tok_per_s one.json) > 3.5 && \
        $(value tok_per_s a.json) / $(value tok_per_s one.json) <= 4"
$P --grid 1x1x1 --json --set train.remat=block >twice.json
check "blocks computed twice take longer" \
    is "$(value step_s twice.json) > 1.1 * $(value step_s one.json)"
check "and less memory" is "$(value total twice.json) < $(value total one.json)"


# --- a machine on which the copy of the state that saves take is too much
room() { awk -v n="$(value node_bytes one.json)" -v s="$(value snapshot one.json)" -v share="$1" \
    'BEGIN { printf "node: {memory_gib: %.4f}\n", (n - share * s) / 2^30 }' >room.yaml; }
room 0.5
name="no room for a copy" expect_exit 0 $P --grid 1x1x1 --rates room.yaml
expect_text "fits all the same" 'snapshot 0 B' out
expect_text "which is reported" 'fits, saving without a copy' out
room 1.01
name="not even for the state" expect_exit 0 $P --grid 1x1x1 --rates room.yaml
expect_text "which is reported, too" 'DOES NOT FIT' out

# --- a rank's operations, and a trace
name="operations" expect_exit 0 $P --grid 1x2x2 --show 1 --set train.batch_tokens=2048
expect_text "who it is" '^rank 1 = replica 0, stage 0, chunk 1: layers 0 to 5, units 1 to 1' out
equal "forward and backward of six layers" \
    "$(grep -c ' FORWARD ' out) $(grep -c ' BACKWARD ' out)" "6 6"
expect_text "who receives" ' SEND_X  *0  *-  *1  *3 ' out
name="operations of nobody: exit 64" expect_exit 64 $P --grid 1x2x2 --show 4
name="trace" expect_exit 0 $P --grid 1x2x2 --trace t.json --set train.batch_tokens=4096
check "trace is well-formed JSON" json t.json
equal "every rank is in it" "$(sed -n 's/.*"tid":\([0-9]*\).*/\1/p' t.json | sort -u | tr '\n' ' ')" \
    "0 1 2 3 "
expect_text "sums are there" '"name":"SUM","ph":"X","pid":2' t.json
name="trace to nowhere: exit 66" expect_exit 66 $P --grid 1x1x1 --trace no/where.json

# --- the best grids
name="best of 8" expect_exit 0 $P --ranks 8 --best 3
equal "three of them" "$(grep -c '^[0-9]*x[0-9]*x[0-9]* ' out)" 3
expect_text "the machine" '^machine: config/rates/epyc-2core.yaml (assumed): 2 threads .* 1 rank and 23.5 GiB of memory a node' out
expect_text "how to start it" '^start it: ttt launch .*125m.yaml --slurm --set run.grid=8x1x1 --set launch.slurm.nodes=8 --set launch.slurm.tasks_per_node=1 --set launch.slurm.cpus_per_task=2$' out
equal "no slices are better" "$(grep -c slice_tokens out)" 0
# Units of a quarter of the length give sequence parallelism more to share.
name="other slices" expect_exit 0 $P --ranks 16 --set train.batch_tokens=8192
# shellcheck disable=SC2046
set -- $(sed -n 's/^train.slice_tokens=\([0-9]*\): \([0-9x]*\) trains \([0-9.]*\) tokens.*the run.s 1024 it is \([0-9.]*\) .*/\1 \2 \3 \4/p' out)
expect_text "slices: in the command" "--set run.grid=$2 .*--set train.slice_tokens=${1:-none}\( \|$\)" out
check "other slices are faster" is "$3 + 0 > 1.02 * ${4:-0} && ${4:-0} > 0"
check "slices: given" "$TTT" plan "$ROOT/config/ttt-linear-125m.yaml" --grid "$2" --json \
    --set train.batch_tokens=8192 --set train.slice_tokens="$1"
check "slices: the same speed" is "($(value tok_per_s) - ${3:-0})^2 < 0.1"
name="best of 8 as JSON" expect_exit 0 $P --ranks 8 --json
cp out best.json
check "it is well-formed" json best.json
sed -n 's/.*"step_s": *\([0-9.e+]*\).*/\1/p' best.json >all
equal "fastest first" "$(sort -g all)" "$(cat all)"
check "grids differ" is "$(sort -u all | wc -l) > 3"
printf '[{"a": 1,\n}]\n' >torn.json
name="what is not well-formed is noticed" expect_exit 1 json torn.json
# (4 d + heads) floats of a token, twice (reference: scheme E), for 256 sequences of 2048 tokens
name="heads mode" expect_exit 0 $P --grid 1x1x2 --json --set train.sequence_mode=heads
expect_text "exchanges have the published volume" \
    "\"between_bytes\": $((12 * 2 * (4 * 768 + 12) * 4 * 2048 * 256 / 2))" out
name="1024 ranks" expect_exit 0 $P --ranks 1024
name="more ranks than work: exit 78" expect_exit 78 $P --ranks 1000000
expect_text "what there is" '256 sequences of 2 units, the model 12 layers' err
echo 'node: {memory_gib: 0.1}' >small.yaml
name="nothing fits: exit 78" expect_exit 78 $P --ranks 4 --rates small.yaml
expect_text "how much is needed" 'needs [0-9.]* GiB on a node of 0.1 GiB' err

# --- a table
name="table" expect_exit 0 "$TTT" plan --table "$ROOT"/config/ttt-linear-*.yaml
equal "ranks 1 to 1024" "$(sed -n 's/^| \([0-9]*\) |.*/\1/p' out | tr '\n' ' ')" \
    "1 2 4 8 16 32 64 128 256 512 1024 "
equal "a column for each file" "$(sed -n 's/[^|]//g; 1p' out)" "|||||||"
equal "same width everywhere" "$(sed 's/[^|]//g' out | sort -u | wc -l)" 1

# --- mistakes
for g in 1x13x1 1x1x3; do name="grid $g: exit 78" expect_exit 78 $P --grid $g; done
for g in 2x2 0x1x1 2x2x2x2 x; do name="grid $g: exit 78" expect_exit 78 $P --grid $g; done
name="auto is not a grid: exit 64" expect_exit 64 $P
name="the run's own grid" expect_exit 0 $P --set run.grid=2x2x1
expect_text "is planned" '^grid 2x2x1: 4 ranks' out
name="grid and ranks: exit 64" expect_exit 64 $P --grid 1x1x1 --ranks 2
name="two runs: exit 64" expect_exit 64 $P "$ROOT/config/demo-kjv.yaml" --ranks 2
name="no run: exit 64" expect_exit 64 "$TTT" plan --ranks 2
name="no such run: exit 66" expect_exit 66 "$TTT" plan none.yaml --ranks 2
name="no such rates: exit 66" expect_exit 66 $P --ranks 2 --rates none.yaml
printf 'rank:\n  fp32_gflop: 3\n' >bad.yaml
name="wrong rates: exit 78" expect_exit 78 $P --ranks 2 --rates bad.yaml
expect_text "with place and nearest key" \
    'bad.yaml:2:3: rank.fp32_gflop: .*did you mean rank.fp32_gflops?' err
echo 'rank: {fp32_gflops: 1040}' >fast.yaml
name="thrice the matrix rate" expect_exit 0 $P --grid 1x1x1 --rates fast.yaml --json
cp out fast.json
$P --grid 1x1x1 --json >slow.json
check "is much faster" is "$(value step_s slow.json) / $(value step_s fast.json) > 2"

# --- measured on two ranks
cat >tiny.yaml <<'EOF'
data: {train: nowhere}
model: {vocab: 512, layers: 4, width: 64, heads: 2, ffn_width: 96}
train: {context: 128, batch_tokens: 512, slice_tokens: 64, micro_batch: 1}
EOF
check "rates of two ranks" "$TTT" launch tiny.yaml -n 2 --measure
expect_text "two on a node" '^  ranks: 2' logs/tiny/rates.yaml
expect_text "what is assumed" '^# Assumed: between nodes' logs/tiny/rates.yaml
check "ttt plan reads them" "$TTT" plan tiny.yaml --grid 1x1x2
expect_text "and says so" '^  machine     logs/tiny/rates.yaml: [0-9]* thread.* 2 ranks and ' out
for g in 1x1x1 2x1x1 1x1x2 1x2x1 2x2x1 1x2x2; do
    n=$(echo $g | awk -Fx '{ print $1 * $2 * $3 }')
    check "steps on $g send what is planned" \
        mpi "$n" "$TTT" bench grid tiny.yaml --grid $g --steps 1 --trace m.json
done
for remat in none block; do
    for g in 1x1x2 1x2x2; do
        n=$(echo $g | awk -Fx '{ print $1 * $2 * $3 }')
        check "heads on $g, remat $remat, send what is planned" \
            mpi "$n" "$TTT" bench grid tiny.yaml --grid $g --steps 1 --set train.remat=$remat \
            --set train.sequence_mode=heads
    done
done
name="receives are counted" expect_exit 0 mpi 2 "$TTT" bench grid tiny.yaml --grid 1x1x2 --steps 2 --json
cp out waits.json
# two steps of four sequences, a carry and its gradient in each of four layers
equal "two steps have 64" "$(value receives waits.json)" 64
check "some were there before they were needed" is "$(value there waits.json) > 0 && $(value there waits.json) <= 64"
check "waiting is a part of the time" is "$(value wait_carries waits.json) > 0 && $(value wait_carries waits.json) < 1"
check "the measured trace is well-formed" json m.json
name="wrong number of ranks: exit 78" expect_exit 78 "$TTT" bench grid tiny.yaml --grid 2x1x1
finish
