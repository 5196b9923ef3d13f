# SPDX-License-Identifier: Apache-2.0
# ttt eval and ttt generate on text.  The models have weights of zero, so every token has
# the same probability and every number is known: ln V nats, a perplexity of V.
. "$(dirname "$0")/lib.sh"

# zero_model FOLDER VOCAB: one block of width 8, two heads.
zero_model() {
    mkdir -p "$1"
    cat >"$1/config.json" <<END
{ "model_type": "ttt", "vocab_size": $2, "hidden_size": 8, "intermediate_size": 16,
  "num_hidden_layers": 1, "num_attention_heads": 2, "mini_batch_size": 16,
  "ttt_layer_type": "linear", "ttt_base_lr": 1.0, "max_position_embeddings": 64 }
END
    header= at=0
    b=model.layers.0.seq_modeling_block
    while read -r name shape n; do
        header="$header,\"$name\":{\"dtype\":\"F32\",\"shape\":[$shape],\"data_offsets\":[$at,$((at + 4 * n))]}"
        at=$((at + 4 * n))
    done <<END
model.embed_tokens.weight $2,8 $(($2 * 8))
model.layers.0.ffn_norm.weight 8 8
model.layers.0.mlp.down_proj.weight 8,16 128
model.layers.0.mlp.gate_proj.weight 16,8 128
model.layers.0.mlp.up_proj.weight 16,8 128
$b.W1 2,4,4 32
$b.b1 2,1,4 8
$b.k_proj.weight 8,8 64
$b.learnable_token_idx 16 16
$b.learnable_ttt_lr_bias 2,1 2
$b.learnable_ttt_lr_weight 2,1,8 16
$b.o_proj.weight 8,8 64
$b.post_norm.bias 8 8
$b.post_norm.weight 8 8
$b.q_proj.weight 8,8 64
$b.ttt_norm_bias 2,4 8
$b.ttt_norm_weight 2,4 8
$b.v_proj.weight 8,8 64
model.layers.0.seq_norm.weight 8 8
model.norm.weight 8 8
END
    header="{${header#,}}"
    { printf "\\$(printf %o $((${#header} % 256)))\\$(printf %o $((${#header} / 256)))\\0\\0\\0\\0\\0\\0%s" \
        "$header"; head -c $at /dev/zero; } >"$1/model.safetensors"
}
value() { sed -n "s/^ *\"$1\": *\\([^,]*\\),*\$/\\1/p" "$WORK/out" | head -n 1; }

# --- five documents of 200 letters: 1,010 tokens of bytes
i=0
while [ $i -lt 5 ]; do
    t=$(printf '%0100d' $i)
    echo "{\"text\":\"$t$t\"}"
    i=$((i + 1))
done >"$WORK/text.jsonl"
check "a data set of bytes" "$TTT" prep "$WORK/text.jsonl" --out "$WORK/bytes"
zero_model "$WORK/m" 258

check "eval" "$TTT" eval "$WORK/m" "$WORK/bytes" --by-position
expect_text "perplexity is the vocabulary" "^5.5530 nats/token, perplexity 258, " "$WORK/out"
expect_text "the context is the model's" "^  32 - 64 " "$WORK/out"
# Scored: 1,009 targets but four <s>; 8 bits and a little for each.
check "eval --json" "$TTT" eval "$WORK/m" "$WORK/bytes" --json --context 100
equal "every token but <s> is scored" "$(value tokens)" 1005
equal "bytes of the text" "$(value bytes)" 1000
equal "bits per byte" "$(value bits_per_byte | cut -c1-6)" 8.0512
equal "windows" "$(value windows)" 11
tr -d '\n' <"$WORK/out" >"$WORK/out.jsonl"
check "it is JSON" "$TTT" prep "$WORK/out.jsonl" --field data --out "$WORK/is-json"
"$TTT" eval "$WORK/m" "$WORK/bytes" --json --score-bos >"$WORK/out" 2>/dev/null
equal "--score-bos scores all" "$(value tokens)" 1009
"$TTT" eval "$WORK/m" "$WORK/bytes" --json --max-tokens 210 >"$WORK/out" 2>/dev/null
equal "--max-tokens: 200 letters, </s>, <s>, 8 letters" "$(value tokens) $(value bytes)" "209 208"
check "a context of a million" "$TTT" eval "$WORK/m" "$WORK/bytes" --json --context 1000000
equal "is one window" "$(value windows)" 1
check "eval --inner" "$TTT" eval "$WORK/m" "$WORK/bytes" --inner
expect_text "has a row per layer" "^  0  *0 " "$WORK/out"

# --- a data set of pieces, and the tokenizer that goes with the model
cp "$ROOT/README.md" "$WORK/text.txt"
check "a data set of pieces" \
    "$TTT" prep "$WORK/text.txt" --train-tokenizer 400 --out "$WORK/pieces"
zero_model "$WORK/p" 400
cp "$WORK/pieces/tokenizer.model" "$WORK/p/"
check "eval of pieces" "$TTT" eval "$WORK/p" "$WORK/pieces"
expect_text "perplexity is the vocabulary again" "perplexity 400, " "$WORK/out"
check "import" "$TTT" import "$WORK/p" "$WORK/p.ckpt"
check "eval of the checkpoint" "$TTT" eval "$WORK/p.ckpt" "$WORK/pieces" --json --context 64
equal "gives the same" "$(value perplexity | cut -c1-6)" "$("$TTT" eval "$WORK/p" \
    "$WORK/pieces" --json 2>/dev/null | sed -n 's/^ *"perplexity": *\(......\).*/\1/p' | head -n 1)"

# --- what does not fit
name="another tokenizer" expect_exit 78 "$TTT" eval "$WORK/p" "$WORK/bytes"
expect_text "is reported" "another tokenizer"
name="another vocabulary" \
    expect_exit 78 "$TTT" eval "$ROOT/tests/golden/ttt_linear_m" "$WORK/bytes"
expect_text "is reported with both" "ids below 258, the model knows 256"
name="no data" expect_exit 66 "$TTT" eval "$WORK/m" "$WORK/nothing"
expect_text "is named" "$WORK/nothing"
name="no model" expect_exit 66 "$TTT" eval "$WORK/nothing" "$WORK/bytes"
expect_exit 64 "$TTT" eval "$WORK/m"
expect_exit 64 "$TTT" eval "$WORK/m" "$WORK/bytes" --context -5
expect_exit 64 "$TTT" eval "$WORK/m" "$WORK/bytes" --contxt 5
expect_text "the nearest option is named" "context"
name="inner losses of less than a mini-batch" \
    expect_exit 64 "$TTT" eval "$WORK/m" "$WORK/bytes" --inner --context 8
for f in INDEX shard-000000.tts; do
    cp -r "$WORK/bytes" "$WORK/bad"
    { head -c 150 "$WORK/bytes/$f"; printf '\001'; tail -c +152 "$WORK/bytes/$f"; } >"$WORK/bad/$f"
    name="a damaged $f" expect_exit 65 "$TTT" eval "$WORK/m" "$WORK/bad"
    expect_text "is named" "$f"
    rm -r "$WORK/bad"
done

# --- text that the tokenizer can't spell
unk=$ROOT/tests/golden/prep/unk.model
printf 'in the beginning \346\274\242\345\255\227 was void \316\251' >"$WORK/unk.txt"
"$TTT" prep "$WORK/unk.txt" --tokenizer "$unk" --out "$WORK/unk" 2>/dev/null
vocab=$(sed -n 's/^vocab: //p' "$WORK/unk/INDEX")
zero_model "$WORK/u" "$vocab"
name="<unk>: eval" expect_exit 0 "$TTT" eval "$WORK/u" "$WORK/unk"
expect_text "<unk>: no bits per byte, and why" \
    'no bits/byte because 2 tokens are <unk> and hide text' "$WORK/out"
"$TTT" eval "$WORK/u" "$WORK/unk" --json >"$WORK/out" 2>/dev/null
equal "<unk>: null in JSON" "$(value bits_per_byte) $(value unk_tokens)" "null 2"
"$TTT" eval "$WORK/u" "$WORK/unk" --json --max-tokens 5 >"$WORK/out" 2>/dev/null
equal "<unk>: a part without it has its bits per byte" "$(value unk_tokens)" 0
differ "<unk>: bits per byte of that part" "$(value bits_per_byte)" null
name="<unk>: generate" expect_exit 0 "$TTT" generate "$WORK/u" --tokenizer "$unk" --tokens 2 \
    --prompt "$(cat "$WORK/unk.txt")"
expect_text "<unk>: generate warns" "can't represent 8 of 35 bytes of the prompt"

# --- text out
say() { "$TTT" generate "$@" --tokens 60 --ignore-eos 2>/dev/null; }
text=$(say "$WORK/p" --prompt "The quick" --seed 3)
case $text in "The quick"*) ok "the prompt comes first" ;;
              *) failed "the prompt comes first" "found '$text'" ;; esac
equal "the same seed, the same text" "$(say "$WORK/p" --prompt "The quick" --seed 3)" "$text"
differ "another seed, another text" "$(say "$WORK/p" --prompt "The quick" --seed 4)" "$text"
equal "the checkpoint says the same" \
    "$(say "$WORK/p.ckpt" --prompt "The quick" --seed 3 --tokenizer "$WORK/p/tokenizer.model")" "$text"
printf 'The quick' >"$WORK/prompt"
equal "a prompt from a file" "$(say "$WORK/p" --prompt-file "$WORK/prompt" --seed 3)" "$text"
check "random bytes come as valid UTF-8" \
    sh -c '"$1" generate "$2" --tokenizer bytes --tokens 300 | iconv -f UTF-8 -t UTF-16 >/dev/null' \
    - "$TTT" "$WORK/m"
check "other pieces" "$TTT" prep "$WORK/text.txt" --train-tokenizer 380 --out "$WORK/other"
name="another tokenizer than the checkpoint's" expect_exit 78 \
    "$TTT" generate "$WORK/p.ckpt" --tokenizer "$WORK/other/tokenizer.model" --prompt x
name="a tokenizer that is none" \
    expect_exit 65 "$TTT" generate "$WORK/p" --tokenizer "$ROOT/README.md" --prompt x
printf 'a\000b' >"$WORK/prompt"
name="a zero byte in the prompt" \
    expect_exit 65 "$TTT" generate "$WORK/p" --prompt-file "$WORK/prompt"
printf 'a\377b' >"$WORK/prompt"
name="a prompt that is no UTF-8" \
    expect_exit 65 "$TTT" generate "$WORK/p" --prompt-file "$WORK/prompt"
finish
