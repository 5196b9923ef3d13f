# SPDX-License-Identifier: Apache-2.0
# ttt probe and ttt generate on the public model of tests/golden.
. "$(dirname "$0")/lib.sh"

M=$ROOT/tests/golden/ttt_linear_m
IN=$M/inputs.safetensors

# A safetensors file NAME with one tensor: TENSOR SHAPE BYTES (in printf form) COUNT.
tensor_file() {
    json="{\"$2\":{\"dtype\":\"I32\",\"shape\":$3,\"data_offsets\":[0,$5]}}"
    printf "\\$(printf %o ${#json})\\0\\0\\0\\0\\0\\0\\0%s$4" "$json" >"$WORK/$1"
}
probe() { "$TTT" probe "$M" --tokens "$IN" --out "$WORK/$1" ${2:+--slice "$2"} --hidden --states; }
same() { cmp -s "$WORK/$1" "$WORK/$2"; }

# --- the authors' loss, in float and in double
check "probe runs" "$TTT" probe "$M" --tokens "$IN" --out "$WORK/a" --grads --states --hidden --inner
expect_text "its loss is the authors'" "loss 5.90859" "$WORK/out"
if [ -x "$TTT_F64" ]; then
    check "probe runs in double" "$TTT_F64" probe "$M" --tokens "$IN" --out "$WORK/a64" --grads
    expect_text "its loss is the authors' to ten digits" "loss 5.908593474" "$WORK/out"
    differ "float and double are two files" "$(cksum <"$WORK/a")" "$(cksum <"$WORK/a64")"
fi

# --- slices, threads, and the way a model is stored change nothing
probe whole >/dev/null 2>&1
for n in 16 32 64; do
    probe cut $n >/dev/null 2>&1
    check "slices of $n give the same file" same whole cut
done
OMP_NUM_THREADS=3 probe threads >/dev/null 2>&1
check "three threads give the same file" same whole threads
probe odd 7 >/dev/null 2>&1
name="slices of 7 round differently" expect_exit 1 same whole odd
check "import" "$TTT" import "$M" "$WORK/run"
check "probe of the checkpoint" \
    "$TTT" probe "$WORK/run" --tokens "$IN" --out "$WORK/ckpt" --hidden --states
check "it gives the same file" same whole ckpt
check "export" "$TTT" export "$WORK/run" "$WORK/hf"
check "probe of what was exported" \
    "$TTT" probe "$WORK/hf" --tokens "$IN" --out "$WORK/back" --hidden --states
check "it gives the same file again" same whole back

# --- bad input
expect_exit 64 "$TTT" probe "$M" --out "$WORK/x"
expect_exit 64 "$TTT" probe "$M" --tokens "$IN" --out "$WORK/x" --slice 0x
name="gradients in slices of 7" \
    expect_exit 64 "$TTT" probe "$M" --tokens "$IN" --out "$WORK/x" --grads --slice 7
name="no model there" expect_exit 66 "$TTT" probe "$WORK/nowhere" --tokens "$IN" --out "$WORK/x"
expect_text "the path is named" "$WORK/nowhere"
name="no tokens there" expect_exit 66 "$TTT" probe "$M" --tokens "$WORK/nothing" --out "$WORK/x"
expect_text "the path is named" "$WORK/nothing"
name="a file without tokens" \
    expect_exit 65 "$TTT" probe "$M" --tokens "$M/model.safetensors" --out "$WORK/x"
tensor_file high tokens '[1,2]' '\001\000\000\000\000\001\000\000' 8
name="a token that the model does not know" \
    expect_exit 78 "$TTT" probe "$M" --tokens "$WORK/high" --out "$WORK/x"
expect_text "it is named" "token 1 of sequence 0 is 256"
tensor_file short tokens '[2,1]' '\001\000\000\000\001\000\000\000' 8
name="sequences of one token" \
    expect_exit 65 "$TTT" probe "$M" --tokens "$WORK/short" --out "$WORK/x"
name="the same, long enough" eval 'tensor_file good tokens "[1,2]" "\\001\\000\\000\\000\\001\\000\\000\\000" 8
    expect_exit 0 "$TTT" probe "$M" --tokens "$WORK/good" --out "$WORK/x"'
name="no folder to write into" \
    expect_exit 66 "$TTT" probe "$M" --tokens "$WORK/good" --out "$WORK/no/such/x"

cp -r "$M" "$WORK/broken"
head -c 1000000 "$M/model.safetensors" >"$WORK/broken/model.safetensors"
name="weights cut off" expect_exit 65 "$TTT" probe "$WORK/broken" --tokens "$IN" --out "$WORK/x"
expect_text "the file is named" "broken/model.safetensors"
echo '{"model_type": "ttt", ' >"$WORK/broken/config.json"
name="config.json cut off" expect_exit 65 "$TTT" probe "$WORK/broken" --tokens "$IN" --out "$WORK/x"
sed 's/"hidden_size": 128/"hidden_size": 256/' "$M/config.json" >"$WORK/broken/config.json"
cp "$M/model.safetensors" "$WORK/broken/"
name="config.json of another model" \
    expect_exit 65 "$TTT" probe "$WORK/broken" --tokens "$IN" --out "$WORK/x"

# --- generation
ids() { "$TTT" generate "$M" --ids --prompt-file "$WORK/prompt" --tokens 24 "$@" 2>/dev/null; }
i=1
{ printf '\357\273\277'  # a byte order mark is no token
  while [ $i -le 100 ]; do echo $((i * 37 % 256)); i=$((i + 1)); done; } >"$WORK/prompt"
text=$(ids --seed 1)
equal "24 tokens" "$(echo "$text" | wc -l | tr -d ' ')" 24
equal "the same seed, the same text" "$(ids --seed 1)" "$text"
differ "another seed, another text" "$(ids --seed 2)" "$text"
for n in 16 64; do
    equal "the prompt in slices of $n, the same text" "$(ids --seed 1 --slice $n)" "$text"
done
equal "three threads, the same text" "$(ids --seed 1 --threads 3)" "$text"
equal "at temperature 0 the seed is nothing" \
    "$(ids --temperature 0 --seed 1)" "$(ids --temperature 0 --seed 2)"
equal "the likeliest token is the likeliest" "$(ids --top-k 1)" "$(ids --temperature 0)"
equal "a nucleus of nothing is it, too" "$(ids --top-p 1e-9)" "$(ids --temperature 0)"
equal "no tokens asked for, none written" "$(ids --tokens 0; echo end)" end
first=$(ids --seed 1 | head -n 10)
cp "$WORK/prompt" "$WORK/prompt.short"
echo "$first" >>"$WORK/prompt"
equal "a text continues from its own beginning" \
    "$("$TTT" generate "$M" --ids --prompt-file "$WORK/prompt" --tokens 14 --seed 1 2>/dev/null)" \
    "$(echo "$text" | tail -n 14)"

expect_exit 64 "$TTT" generate "$M" --ids --prompt "1 2" --temperature -1
expect_exit 64 "$TTT" generate "$M" --ids --prompt "1 2" --top-p 0
expect_exit 64 "$TTT" generate "$M" --ids --prompt "1 2 x"
expect_exit 64 "$TTT" generate "$M" --ids
expect_exit 64 "$TTT" generate --ids --prompt 1
expect_exit 64 "$TTT" generate "$M" --ids --prompt 1 --prompt-file "$WORK/prompt"
expect_exit 66 "$TTT" generate "$M" --ids --prompt-file "$WORK/nothing"
expect_exit 78 "$TTT" generate "$M" --ids --prompt "1 256"
name="no tokenizer known" expect_exit 66 "$TTT" generate "$M" --prompt "In the beginning"
expect_text "the way out is reported" "--tokenizer"
name="a tokenizer with more tokens" \
    expect_exit 78 "$TTT" generate "$M" --tokenizer bytes --prompt "In the beginning"
finish
