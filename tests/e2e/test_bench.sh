# SPDX-License-Identifier: Apache-2.0
# ttt bench: what it says of a small model, and what it refuses.
. "$(dirname "$0")/lib.sh"

# The value of a number in the JSON line of $WORK/out.
number() { sed -n "s/.*\"$1\": \([-0-9.e+]*\).*/\1/p" "$WORK/out"; }

# at_least NAME VALUE LIMIT
at_least() {
    if awk "BEGIN { exit !($2 + 0 >= $3) }"; then ok "$1"; else failed "$1" "$2 < $3"; fi
}

cat > "$WORK/small.yaml" <<'EOF'
model:
  backbone: transformer
  vocab: 256
  layers: 1
  width: 64
  heads: 2
  ffn_width: 96
data:
  train: nowhere
train:
  context: 64
  batch_tokens: 64
EOF
name="a small model trains"
expect_exit 0 "$TTT" bench train "$WORK/small.yaml" --steps 5 --threads 2 --json

# By hand: 6 x (4 x 64^2 + 2 x 64 + 3 x 64 x 96 + 256 x 64) for the products,
# 3 x 2 heads x (6 x 32^2 + 4 x 16 x 32) for the inner loop.
equal "FLOPs of a token" "$(number flops_per_token)" 357120
equal "context" "$(number context)" 64
equal "threads" "$(number threads)" 2
at_least "it learned" "$(number loss_first)" "$(number loss_last)"
at_least "speed is positive" "$(number tok_per_s)" 1e-9
at_least "the limit is positive" "$(number gemm_gflops)" 1e-9

# share NAME LIMIT GFLOPS: share_of_LIMIT is GFLOPS by LIMIT_gflops.
share() {
    if echo "$(number "share_of_$2") $(number "$2_gflops") $3" |
        awk '{ d = $1 * $2 / $3 - 1; exit !(NF == 3 && d * d < 1e-6) }'; then ok "$1: share of $2"; else
        failed "$1: share of $2" "$(number "share_of_$2") of $(number "$2_gflops") is not $3"; fi
}
for limit in gemm peak; do
    share "training" $limit "$(awk "BEGIN { print 357120e-9 * $(number tok_per_s) }")"
done
at_least "measured memory is not less than planned" "$(number peak_bytes)" \
         "$(number planned_bytes)"

name="--tokens and --set override"
expect_exit 0 "$TTT" bench train "$WORK/small.yaml" --steps 1 --json --tokens 96 \
            --set model.layers=2 --set train.reduction=fast
equal "context given" "$(number context)" 96
equal "FLOPs of two layers" "$(number flops_per_token)" 615936

# The update that the configuration asks for, the trainer's: on any grid the losses of the other
# benchmark, to the bit.
mpi() {
    n=$1; shift
    timeout 300 $RANKS "$n" "$@"
}
losses=
for set in optim.kind=adamw optim.kind=soap optim.state=bf16; do
    name="$set: train" expect_exit 0 "$TTT" bench train "$WORK/small.yaml" --steps 4 --threads 1 --json \
        --set model.layers=2 --set train.slice_tokens=32 --set $set
    loss=$(number loss_last); losses="$losses $loss"
    for g in 1x2x1 1x1x2; do
        name="$set: grid $g" expect_exit 0 mpi 2 "$TTT" bench grid "$WORK/small.yaml" --steps 5 --threads 1 \
            --json --grid $g --set model.layers=2 --set train.slice_tokens=32 --set $set
        equal "$set: grid $g: loss" "$(number loss)" "$loss"
    done
done
equal "three optimizers are three" "$(printf '%s\n' $losses | sort -u | wc -l | tr -d ' ')" 3
expect_text "the optimizer is reported" '"optimizer": "AdamW, bf16"' "$WORK/out"
name="train on two ranks is 64"; expect_exit 64 mpi 2 "$TTT" bench train "$WORK/small.yaml"

# Each is compared with sums in double before it is timed.
name="kernels are right"; expect_exit 0 "$TTT" bench kernels --repeat 1 --json
equal "two memory rates, 22 kernels in two sizes, eight small products, eight mini-batches" \
    "$(wc -l < "$WORK/out" | tr -d ' ')" $((2 + 44 + 8 + 8))
equal "shares of the peak of the inner loop" "$(grep -c '"percent_of_peak": [0-9.e+]*}' "$WORK/out")" 16

# The peak, then each product by our code and by libraries.
name="products are right"
expect_exit 0 "$TTT" bench gemm "$WORK/small.yaml" --repeat 1 --threads 2 --json
equal "the peak, fp32 and bf16" "$(head -n 2 "$WORK/out" |
    sed 's/.*"bench": "peak", "precision": "\([a-z0-9]*\)".*"threads": \([0-9]*\),.*/\1 \2/' | tr '\n' ' ')" "fp32 2 bf16 2 "
equal "is threads x clock x FLOPs a cycle" "$(head -n 2 "$WORK/out" |
    sed 's/.*"threads": \([0-9]*\), "gflops": \([^,]*\), "ghz": \([^,]*\), "flops_per_cycle": \([^}]*\)}/\1 \2 \3 \4/' |
    awk '{ d = $1 * $3 * $4 / $2 - 1; print NF, d * d < 1e-5 }' | tr '\n' ' ')" "4 1 4 1 "
equal "four layers forward, dX, dW, and four small products, fp32 and bf16" \
    "$(grep -c '"by": "ttt", "used": true' "$WORK/out")" 32
equal "of which each has a library to compare with, in fp32" \
    "$(grep '"precision": "fp32"' "$WORK/out" | grep -c '"by": "OpenBLAS", "used": false')" 16
equal "products whose rate is not FLOPs by seconds, or without a share" "$(grep '"bench": "gemm"' "$WORK/out" |
    sed 's/.*"n": \([0-9]*\), "m": \([0-9]*\), "k": \([0-9]*\),.*"seconds": \([^,]*\), "gflops": \([^,]*\), "share_of_peak": \([0-9.e+-]*\)}/\1 \2 \3 \4 \5 \6/' |
    awk '{ d = 2e-9 * $1 * $2 * $3 / $4 / $5 - 1; bad += !(NF == 6 && d * d < 1e-6 && $6 > 0) }
        END { print bad + 0 }')" 0

for p in fp32 bf16; do
    for what in decode prefill; do
        name="$what $p"
        expect_exit 0 "$TTT" bench $what "$WORK/small.yaml" --repeat 1 --json --set train.precision=$p
        at_least "$what $p: speed" "$(number tok_per_s)" 1
        [ $what = decode ] || share "$what $p" peak "$(number gflops)"
        [ $what = prefill ] || eval "bytes_$p=$(number weight_bytes)"
    done
done
# 51,200 elements enter products in bf16: 4 x 64^2 + 3 x 64 x 96 + 256 x 64.
equal "bf16 reads two bytes less of each" "$((bytes_fp32 - bytes_bf16))" 102400

# A layer in parts is the block to the bit, which the program compares; its FLOPs are those above:
# (357,120 - 6 x 256 x 64) / 3 a token and layer, forward; 3 times that in both directions.
for layer in ttt_linear ttt_mlp attention mamba; do
    ffn=96; [ $layer = mamba ] && ffn=0
    for p in fp32 bf16; do
        name="layer $layer $p"
        expect_exit 0 "$TTT" bench layer "$WORK/small.yaml" --repeat 1 --json --set model.layer=$layer \
                    --set model.backbone=mamba --set model.ffn_width=$ffn --set train.precision=$p
    done
done
name="layer"; expect_exit 0 "$TTT" bench layer "$WORK/small.yaml" --repeat 1 --json
equal "four parts, layer, embedding, head" "$(sed 's/.*"part": "\([a-z-]*\)".*/\1/' "$WORK/out" |
    tr '\n' ' ')" "front projections inner feed-forward layer embedding head "
equal "a share of the peak each" "$(grep -c '"share_of_peak": [0-9.e+-]*}' "$WORK/out")" 7
equal "FLOPs of a layer" "$(grep '"layer", "layer"' "$WORK/out" | sed 's/.*_s": \([^,]*\), "backward_s": \([^,]*\), "gflops": \([^,]*\),.*/\1 \2 \3/' |
    awk '{ printf "%.0f", 1e-3 * 1e9 * $3 * ($1 + $2) / 64 }')" 259

# ttt prep against the library, token by token; words that are made up, and a file of one's own.
name="prep"; expect_exit 0 "$TTT" bench prep -j 2 --mb 1 --pieces 300 --repeat 1 --json --dir "$WORK"
equal "prep: threads" "$(number threads)" 2
at_least "prep: tokens" "$(number tokens)" 300000
at_least "prep: the library" "$(number library_tok_per_s)" 1e-9
for i in 1 2 3 4 5 6 7 8 9; do echo "Line $i of a text that is long enough to learn from: $i$i$i"; done >"$WORK/text.txt"
name="prep of a file"; expect_exit 0 "$TTT" bench prep "$WORK/text.txt" --pieces 300 --repeat 1 --json
equal "prep of a file: bytes" "$(number text_bytes)" "$(wc -c <"$WORK/text.txt" | tr -d ' ')"
printf 'a sign \342\226\201 of its own\n%s' "$(cat "$WORK/text.txt")" >"$WORK/sign.txt"
name="prep: the library's own sign is 78"
expect_exit 78 "$TTT" bench prep "$WORK/sign.txt" --pieces 300 --repeat 1
name="prep: no file is 66"; expect_exit 66 "$TTT" bench prep "$WORK/none.txt"
name="prep: too few pieces is 64"; expect_exit 64 "$TTT" bench prep --pieces 10

# The state of one rank and of two: 3 numbers a parameter, loaded again to the bit.
name="store"; expect_exit 0 "$TTT" bench store "$WORK/small.yaml" --tokens 64 --repeat 1 --json \
    --data-tokens 100000 --threads 1 --dir "$WORK"
cp "$WORK/out" "$WORK/store"
equal "store: what" "$(sed 's/.*"name": "\([a-z]*\)".*/\1/' "$WORK/store" | tr '\n' ' ')" \
      "save load read training "
equal "store: tokens" "$(sed -n 's/.*"name": "read", "tokens": \([0-9]*\),.*/\1/p' "$WORK/store")" 99968
name="store on two ranks"
expect_exit 0 timeout 300 $RANKS 2 "$TTT" bench store "$WORK/small.yaml" --tokens 64 \
    --repeat 1 --json --data-tokens 100000 --threads 1 --dir "$WORK" --set train.batch_tokens=128
saved() { sed -n 's/.*"save", "state_bytes": \([0-9]*\),.*/\1/p' "$1"; }
equal "store: the same state" "$(saved "$WORK/out")" "$(saved "$WORK/store")"
equal "nothing is left" "$(ls "$WORK" | grep -c ttt-bench)" 0
name="store: no tokens is 64"; expect_exit 64 "$TTT" bench store --tokens 0

name="comm"
expect_exit 0 timeout 300 $RANKS 3 "$TTT" bench comm --mib 1 --repeat 1 --threads 1 --json
equal "comm: what" "$(sed 's/.*"name": "\([a-z, -]*\)".*/\1/' "$WORK/out" | tr '\n' '|')" \
      "two ranks|reduce-scatter|all-gather|all-to-all|sums, exact|weights|"
name="comm: one rank is 64"; expect_exit 64 "$TTT" bench comm
name="rates as JSON"; expect_exit 0 "$TTT" bench rates "$WORK/small.yaml" --threads 1 --repeat 1 --json
at_least "rates: products" "$(number fp32_gflops)" 1e-9

# Latency: the four systems by default, files of one's own, and where they cross.
name="latency of the four systems"
expect_exit 0 "$TTT" bench latency --from 128 --to 512 --tokens 16 --repeat 1 --threads 1 --json \
            --set model.width=32 --set model.heads=2 --set model.vocab=96
for s in ttt_linear ttt_mlp attention mamba; do
    expect_text "latency of $s" "\"name\":\"$s\"" "$WORK/out"
done
equal "three contexts" "$(sed 's/.*"context":\(\[[0-9,]*\]\).*/\1/' "$WORK/out")" "[128,256,512]"
equal "three numbers each" "$(tr '{' '\n' <"$WORK/out" |
    grep -cE '"prefill_s_per_token":\[[^,]*,[^,]*,[^,]*\],"decode_s_per_token":\[[^,]*,[^,]*,[^,]*\]')" 4
expect_text "where TTT-Linear crosses" '"ttt_linear_faster_decode_from"' "$WORK/out"
sed 's/backbone: transformer/layer: attention/' "$WORK/small.yaml" >"$WORK/other.yaml"
name="latency of two files"
expect_exit 0 "$TTT" bench latency "$WORK/small.yaml" "$WORK/other.yaml" --from 64 --to 64 \
            --tokens 8 --repeat 2
expect_text "with their names" "^ *context *small *other$" "$WORK/out"
name="latency: too short a context is 64"; expect_exit 64 "$TTT" bench latency --from 32 --tokens 32
name="latency: no file is 66"; expect_exit 66 "$TTT" bench latency "$WORK/none.yaml"

name="unknown benchmark is 64"; expect_exit 64 "$TTT" bench speed
name="no benchmark is 64"; expect_exit 64 "$TTT" bench
name="no repetition is 64"; expect_exit 64 "$TTT" bench gemm --repeat 0
name="no file is 66"; expect_exit 66 "$TTT" bench train "$WORK/none.yaml"
name="a bad key is 78"; expect_exit 78 "$TTT" bench train --set model.widht=64
expect_text "with its nearest" "model.width"
name="eigen: equal to LAPACK" expect_exit 0 "$TTT" bench eigen --size 96 --json
expect_text "eigen: one object" '"bench": "eigen", "n": 96, "grid": "1x1"' "$WORK/out"
name="eigen: too small is 64" expect_exit 64 "$TTT" bench eigen --size 1
finish
