# SPDX-License-Identifier: Apache-2.0
# seeds.sh DIR -- inputs to begin with, made by the program itself: DIR/TARGET/NAME.
OUT=$1
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/tiny.sh"
mkdir -p "$OUT" && OUT=$(cd "$OUT" && pwd) && cd "$ROOT" || exit 1
quietly() { "$@" >"$WORK/out" 2>&1 || failed "$1 $2" "exit $?: $(tail -n 3 "$WORK/out")"; }

# seed TARGET NAME: standard input becomes a seed.
seed() { mkdir -p "$OUT/$1" && cat >"$OUT/$1/$2"; }

# sections DIR FILE ...: files of a folder as sections.
sections() {
    sections_dir=$1; shift
    for f in "$@"; do
        printf '=== %s\n' "$f"
        cat "$sections_dir/$f" && echo
    done
}

# two NUMBER ...: little-endian, of 2 bytes each.
two() { for i in "$@"; do printf "\\$(printf %o $((i % 256)))\\$(printf %o $((i / 256)))"; done; }

make_data
make_config "$WORK/run.yaml"

# --- YAML ---------------------------------------------------------------------------------------
for f in config/*.yaml "$WORK/run.yaml"; do seed conf "$(basename "$f")" <"$f"; done
for f in config/rates/*.yaml; do seed rates "$(basename "$f")" <"$f"; done
printf 'series: {dir: out, runs: [a.yaml, b.yaml], set: [train.steps=9], grid: ["train.context=64,128", "run.seed=1,2"]}\n' \
    >"$WORK/series.yaml"
sed "s|$WORK/||" "$WORK/run.yaml" >"$WORK/a.yaml"
printf 'base: a.yaml\ntrain: {lr: 1e-3}\n' >"$WORK/b.yaml"
sections "$WORK" series.yaml a.yaml b.yaml | seed series two

# --- data sets ------------------------------------------------------------------------------------
seed index bytes <"$WORK/train/INDEX"
quietly "$TTT" prep --train-tokenizer 300 --out "$WORK/spm" "$WORK/train.jsonl"
seed index sentencepiece <"$WORK/spm/INDEX"
seed spm small <"$WORK/spm/tokenizer.model"
for shard in "$WORK/train"/*.tts; do
    super() { echo "=== super"; head -c 64 "$shard"; echo; }
    foot() { echo "=== foot"; tail -c 112 "$shard"; }
    { super; printf '=== block\n'; two 256 104 105 257 256 104 257; printf '\n=== documents\n\004\003\n=== index\n'; } |
        seed shard one
    { super; printf '=== block\n'; two 1 2 3; printf '\n=== documents\n\003\n=== index\n\n'; foot; } | seed shard foot
done
make_text 40 5 >"$WORK/small.jsonl"
quietly "$TTT" prep --tokenizer bytes --block-tokens 64 --out "$WORK/blocks" "$WORK/small.jsonl"
{
    echo "=== super"; head -c 64 "$WORK"/blocks/*.tts
    # shellcheck disable=SC2046
    printf '\n=== block\n'; two $(seq 64); printf '\n=== block\n'; two $(seq 64)
    printf '\n=== block\n'; two 5 6 7
    printf '\n=== documents\n\203\001\n=== index\n'
} | seed shard blocks

# --- text ---------------------------------------------------------------------------------------
n=0
{ cat "$WORK/train.jsonl" | head -n 2; cat tests/fuzz/lines.jsonl; } >"$WORK/lines"
while IFS= read -r line; do n=$((n + 1)); printf '%s' "$line" | seed json $n; done <"$WORK/lines"
printf '{"id":1,"meta":{"text":"in","n":[1,{"text":"no"}]},"text":"out\\u00e9\\ud83d\\ude00"}' | seed json nested
printf '{"meta.text":"x","meta":{"text":"y"},"text":"z","v":NaN,"w":1e999}' | seed json exact
mkdir "$WORK/mixed"
head -n 3 "$WORK/train.jsonl" >"$WORK/mixed/a.jsonl"
printf '\357\273\277marked\n' >"$WORK/mixed/b.txt"
printf '\050\265\057\375\044\005\051\000\000hello' >"$WORK/mixed/c.txt.zst"
printf '\120\052\115\030\003\000\000\000abc' | cat - "$WORK/mixed/c.txt.zst" >"$WORK/mixed/d.txt.zst"
printf 'text' >"$WORK/mixed/.hidden.txt"
sections "$WORK/mixed" a.jsonl b.txt c.txt.zst d.txt.zst .hidden.txt | seed input mixed

# --- models ---------------------------------------------------------------------------------------
small="model.width=16 model.heads=2 model.layers=1 train.steps=2 checkpoint.every_steps=1 checkpoint.keep=1"
for layer in ttt_linear ttt_mlp attention mamba; do
    case $layer in mamba) ffn=0 ;; *) ffn=16 ;; esac
    # shellcheck disable=SC2086
    train $layer $small model.layer=$layer model.ffn_width=$ffn || { failed "$layer" "$(tail -n 2 "$WORK/$layer.err")"; continue; }
    folder=$(ls -d "$WORK/$layer"/ckpt/step-*)
    sections "$folder" MANIFEST w000.ttc | seed ckpt $layer
    seed manifest $layer <"$folder/MANIFEST"
    "$TTT" export "$folder" "$WORK/$layer.hf" >"$WORK/out" 2>&1 || continue
    seed safetensors $layer <"$WORK/$layer.hf/model.safetensors"
    sections "$WORK/$layer.hf" config.json model.safetensors | seed hf $layer
done
quietly "$TTT" export "$WORK/ttt_linear" "$WORK/parts.hf" --dtype bf16 --shard-size 8KB
sections "$WORK/parts.hf" $(cd "$WORK/parts.hf" && ls) | seed hf parts
for f in tests/golden/*/config.json; do
    { printf '=== config.json\n'; cat "$f"; } | seed hf "$(basename "$(dirname "$f")")"
done

# --- runs -----------------------------------------------------------------------------------------
{ echo '{"kind":"submit","id":"123","time":1700000000}'
  echo '{"kind":"job","id":"123","nodes":"n1","restarts":"","committed":-1,"time":1700000001}'
  echo '{"kind":"start","restarts":0,"grid":"1x1x1","ranks":1,"threads":1,"launcher":"h","hosts":[],"pid":1,"time":1700000002}'
  echo '{"kind":"exit","status":85,"why":"exit code 85","committed":2,"seconds":3.5,"time":1700000009}'
  echo '{"kind":"queued","time":1700000010}'
} >"$WORK/ttt_linear/launch.jsonl"
(cd "$WORK/ttt_linear" && mkdir -p slurm && echo 123 >slurm/job &&
    find . -type f ! -name '*.ttc' ! -name run.yaml -size -40k | sed 's|^./||' | sort) >"$WORK/files"
# shellcheck disable=SC2046
sections "$WORK/ttt_linear" $(cat "$WORK/files") | sed "s/\"$(hostname)\"/\"n1\"/g" | seed run saved
printf '=== squeue\n123|123_4|PENDING|N/A|Priority\n123|123|RUNNING|2026-01-02T03:04:05|None\n=== sacct\n123|123|CANCELLED by 0|0:15\n123|123_4|OUT_OF_MEMORY|0:125\n' | seed slurm both

# --- words ------------------------------------------------------------------------------------------
printf 'node1:4,node-2.site:16' | seed hosts list
printf '# site\nnode1 slots=4\nnode2\n' | seed hosts file
printf '2-12:00:00' | seed hosts time
finish
