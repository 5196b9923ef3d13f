#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Hugging Face folders in and out, and what `ttt ckpt` says about whole and damaged checkpoints.
. "$(dirname "$0")/lib.sh"
golden=$ROOT/tests/golden/ttt_linear_m
cd "$WORK" || exit 1

# flip FILE OFFSET -- change one byte (to its complement's octal, so it always differs).
flip() {
    old=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    printf "\\$(printf %03o $((255 - old)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
root_of() { "$TTT" ckpt verify "$1" 2>/dev/null | sed -n 's/.* root //p'; }
first=step-000000000000.a0001
second=step-000000000000.a0002

# In and out again.
name=import expect_exit 0 "$TTT" import "$golden" model
name=export expect_exit 0 "$TTT" export model hf
name="export in several files" expect_exit 0 "$TTT" export model parts --shard-size 400KB
name="import of several files" expect_exit 0 "$TTT" import parts back
equal "several files are the same model" \
    "$(root_of back/$first)" "$(root_of model/$first)"
name="export as bfloat16" expect_exit 0 "$TTT" export model half --dtype bf16 --shard-size 0.2MB
name="import of bfloat16" expect_exit 0 "$TTT" import half halved
differ "rounded numbers are another model" \
    "$(root_of halved/$first)" "$(root_of model/$first)"
name="a wrong type" expect_exit 64 "$TTT" export model no --dtype f16
name="a wrong size" expect_exit 64 "$TTT" export model no --shard-size 0GB
rm parts/model-00002-of-*
name="a file is missing" expect_exit 66 "$TTT" import parts other
check "the exported weights are the same file" \
    cmp hf/model.safetensors "$golden/model.safetensors"
name='import of the export' expect_exit 0 "$TTT" import hf model
equal 'both have one state root' "$(root_of model/$first)" "$(root_of model/$second)"
name='diff of equal states' expect_exit 0 "$TTT" ckpt diff model/$first model/$second
expect_text 'diff says equal' '^equal: state root' "$WORK/out"
# A folder that is a model already would stay it.
mkdir -p run/ckpt later/step-000000000007.a0001
: >later/step-000000000007.a0001/MANIFEST
for to in run hf model/$first later; do
    name="import into $to" expect_exit 64 "$TTT" import hf $to
    expect_text "import into $to: why" "$to .*; name a new folder"
done
name='export over a model' expect_exit 64 "$TTT" export model hf

# The same weights with another theta are another model.
mkdir theta
sed 's/"rope_theta": [0-9.e+]*/"rope_theta": 500000/' "$golden/config.json" >theta/config.json
cp "$golden/model.safetensors" theta
name='import with another theta' expect_exit 0 "$TTT" import theta turned
equal 'the same weights' "$(root_of turned/$first)" "$(root_of model/$first)"
name='diff of equal weights' expect_exit 1 "$TTT" ckpt diff model turned
expect_text 'diff names the key' '^model.rope_theta .*10000.0 and 500000' "$WORK/out"

# One flipped bit is another model, and diff says where.
flip hf/model.safetensors $(($(wc -c <hf/model.safetensors) - 4))
name='import of a changed model' expect_exit 0 "$TTT" import hf changed
differ 'its state root is another' "$(root_of model/$first)" "$(root_of changed/$first)"
name='diff of different states' expect_exit 1 "$TTT" ckpt diff model changed
expect_text 'diff names the element' '^model.norm.weight .*1 of 128 differ.*first at \[127\]' "$WORK/out"
name='diff --json' expect_exit 1 "$TTT" ckpt diff model changed --json
expect_text 'diff --json says not equal' '"equal": false' "$WORK/out"

# What is there.
name=list expect_exit 0 "$TTT" ckpt list model
expect_text 'list shows both attempts' "^ *0  *2  .*valid" "$WORK/out"
name=show expect_exit 0 "$TTT" ckpt show model
expect_text 'show counts parameters' '^457124 parameters in 52 tensors, 0 of which' "$WORK/out"
name='show --json' expect_exit 0 "$TTT" ckpt show model --json
expect_text 'show --json gives the verdict' '"verdict": "looks trained"' "$WORK/out"

# One goes away while all are read, as on a run that continues: that is no damage.
cp -r model live
env TTT_FAIL="ckpt.opening#2=stop" "$TTT" ckpt verify live >"$WORK/out" 2>"$WORK/err" &
reader=$!
tries=0
while [ "$(ps -o stat= -p $reader | cut -c1)" != T ] && [ $tries -lt 200 ]; do
    sleep 0.05; tries=$((tries + 1))
done
rm live/$first/MANIFEST && rm -r live/$first
kill -CONT $reader
wait $reader
equal 'verify while one is removed: exit code' "$?" 0
expect_text 'verify while one is removed: said' ' 1  .*removed' "$WORK/out"
expect_text 'verify while one is removed: the other one' ' 2  .*valid' "$WORK/out"
name='verify one that is not there' expect_exit 66 "$TTT" ckpt verify live/$first

# Damage.
flip model/$second/w000.ttc 5000
name='verify a damaged one' expect_exit 65 "$TTT" ckpt verify model/$second
expect_text 'verify names file, byte and tensor' "$second/w000.ttc: byte .*tensor 'model"
name='verify all' expect_exit 65 "$TTT" ckpt verify model
expect_text 'verify all finds the other whole' " 1  .*valid" "$WORK/out"
name='the one before is taken' expect_exit 0 "$TTT" ckpt show model
expect_text 'show is of the first' "^model/$first" "$WORK/out"
flip model/$first/MANIFEST 10
name='none is valid' expect_exit 65 "$TTT" ckpt show model
expect_text 'all are listed' "2 checkpoints, none is valid: $second, $first"
name='export of none' expect_exit 65 "$TTT" export model hf2

# Wrong input.
name='no such run' expect_exit 66 "$TTT" ckpt list nowhere
mkdir empty
name='no checkpoint' expect_exit 66 "$TTT" ckpt show empty
name='no such command' expect_exit 64 "$TTT" ckpt frobnicate model
name='import of nothing' expect_exit 66 "$TTT" import nowhere x
head -c 100000 "$golden/model.safetensors" >empty/model.safetensors
cp "$golden/config.json" empty
name='import of a truncated file' expect_exit 65 "$TTT" import empty x
expect_text 'the file is named' 'empty/model.safetensors: .*bytes of data'
cp "$golden/model.safetensors" empty
sed 's/"hidden_size": 128/"hidden_size": 256/; s/"num_hidden_layers": 2/"num_hidden_layers": 3/' \
    "$golden/config.json" >empty/config.json
name='weights of another model' expect_exit 65 "$TTT" import empty x
expect_text 'missing tensors are named' "'model.layers.2.mlp.up_proj.weight' is missing"
expect_text 'shapes are named' "'model.norm.weight' has shape \[128\], .* needs \[256\]"
check "a failed import leaves no folder" test ! -e x

finish
