#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What other programs need to use a model goes with it: the tokenizer, special tokens, the files of an
# import.  A folder appears whole or not at all.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
golden=$ROOT/tests/golden/tokenizer
make_data
make_config "$WORK/run.yaml"
cd "$WORK" || exit 1

# id FILE KEY: an id in a JSON file.
id() { sed -n "s/^ *\"$2\": \([0-9a-z]*\),*$/\1/p" "$1"; }
# same NAME DIR DIR: two folders hold the same files.
same() { check "$1" diff -r "$2" "$3"; }

# --- bytes ---------------------------------------------------------------------------
trained "training on bytes" run train.steps=3
name="export of a model of bytes" expect_exit 0 "$TTT" export run hf
for file in config.json generation_config.json; do
    equal "$file has the tokenizer's ids" \
        "$(id hf/$file bos_token_id) $(id hf/$file eos_token_id) $(id hf/$file pad_token_id)" "256 257 null"
done
check "tokenizer.json of bytes" cmp hf/tokenizer.json "$golden/bytes/tokenizer.json"
say() { "$TTT" generate "$1" --prompt "the dog" --tokens 40 --temperature 0 --ignore-eos 2>/dev/null; }
equal "the export writes what the run writes" "$(say hf)" "$(say run)"
nats() { "$TTT" eval "$1" val --json --context 64 2>err | grep '"nats_per_token"'; }
equal "and has the same loss" "$(nats hf)" "$(nats run)"
name="import of the export" expect_exit 0 "$TTT" import hf back
name="and export of that" expect_exit 0 "$TTT" export back hf2
same "changes nothing" hf hf2

# --- SentencePiece, in the four systems --------------------------------------------------
for kind in own llama; do
    check "data of $kind" "$TTT" prep train.jsonl --tokenizer "$golden/$kind/tokenizer.model" --out "$kind"
done
for layer in ttt_linear ttt_mlp attention mamba; do
    width=64; [ $layer = mamba ] && width=0
    trained "training $layer" $layer train.steps=1 model.vocab=400 data.train="$WORK/own" model.layer=$layer \
        model.ffn_width=$width
    name="export of $layer" expect_exit 0 "$TTT" export $layer $layer.hf
    for file in config.json generation_config.json; do
        equal "$layer: $file has the tokenizer's ids" \
            "$(id $layer.hf/$file bos_token_id) $(id $layer.hf/$file eos_token_id)" "1 2"
    done
    for file in tokenizer.json tokenizer_config.json tokenizer.model; do
        check "$layer: $file" cmp $layer.hf/$file "$golden/own/$file"
    done
done
trained "a space before every text" llama_run train.steps=1 model.vocab=400 data.train="$WORK/llama"
check "its export" "$TTT" export llama_run llama.hf
equal "padding has its id" "$(id llama.hf/generation_config.json pad_token_id)" 3
check "its tokenizer_config.json" cmp llama.hf/tokenizer_config.json "$golden/llama/tokenizer_config.json"

name="data of another tokenizer" expect_exit 78 "$TTT" eval ttt_linear.hf train

# --- a tokenizer that is not there ----------------------------------------------------------
mv own/tokenizer.model moved.model
rm ttt_mlp/tokenizer.model
name="the tokenizer is gone" expect_exit 66 "$TTT" export ttt_mlp gone
expect_text "what to do is reported" "name its file with --tokenizer FILE"
check "there is no folder" test ! -e gone -a ! -e gone.part
name="another tokenizer" expect_exit 78 "$TTT" export ttt_mlp gone --tokenizer llama/tokenizer.model
name="by its new name" expect_exit 0 "$TTT" export ttt_mlp gone --tokenizer moved.model
same "it is the same export" gone ttt_mlp.hf
name="without one" expect_exit 0 "$TTT" export ttt_mlp none --tokenizer none
check "has no tokenizer" test -z "$(ls none | grep -v '^config.json$\|^model.safetensors$')"
equal "and no ids" "$(id none/config.json eos_token_id)" null
mv moved.model own/tokenizer.model

cp -r ttt_mlp.hf carded
echo '{"eos_token_id": 99}' >carded/generation_config.json
sed 's/"eos_token_id": 2/"eos_token_id": 99/' ttt_mlp.hf/config.json >carded/config.json
echo card >carded/README.md
name="a model's own ids" expect_exit 0 "$TTT" export carded own_ids
expect_text "are compared with the tokenizer's" "says eos_token_id 99, its tokenizer 2"
equal "stay" "$(id own_ids/config.json eos_token_id) $(cat own_ids/generation_config.json)" \
    '99 {"eos_token_id": 99}'
name="a tokenizer that is named" expect_exit 0 "$TTT" export carded named \
    --tokenizer own/tokenizer.model
same "replaces them, and the files that came along" named ttt_mlp.hf

# --- killed ------------------------------------------------------------------------------
for place in folder.begin file.write#3 file.before_rename#2 folder.before_rename; do
    dir=killed_$place
    name="killed at $place" expect_exit 137 env TTT_FAIL="$place=kill" "$TTT" export run "$dir"
    check "$place: there is no folder" test ! -e "$dir"
    name="$place: again" expect_exit 0 "$TTT" export run "$dir"
    same "$place: the same export" "$dir" hf
    check "$place: nothing is left" test ! -e "$dir.part"
done
name="killed after the rename" expect_exit 137 env TTT_FAIL="folder.after_rename=kill" \
    "$TTT" export run late
same "it is whole" late hf
for place in file.write#4 file.fsync#2 folder.before_rename; do
    name="an error at $place" expect_exit 74 env TTT_FAIL="$place=err" "$TTT" export run bad
    check "$place: leaves nothing" test ! -e bad -a ! -e bad.part
done
mkdir theirs.part full
touch theirs.part/mine full/mine
name="a folder that is somebody else's" expect_exit 64 "$TTT" export run theirs
check "stays" test -e theirs.part/mine -a ! -e theirs
name="a folder with files" expect_exit 64 "$TTT" export run full
check "stays as it is" test "$(ls full)" = mine

# --- what came with a model ------------------------------------------------------------------
mkdir in
cp "$ROOT/tests/golden/llama/config.json" "$ROOT/tests/golden/llama/model.safetensors" in
for file in tokenizer.json tokenizer_config.json special_tokens_map.json generation_config.json; do
    echo "{\"made\": \"elsewhere\", \"name\": \"$file\"}" >in/$file
done
for file in chat_template.jinja README.md LICENSE.txt; do echo "text of $file" >in/$file; done
# With a byte order mark, and a number that is no integer of ours.
printf '\357\273\277{"model_max_length": 1000000000000000019884624838656}\n' >in/tokenizer_config.json
cp -r in came
touch in/training_args.bin in/.gitattributes
name="import with files" expect_exit 0 "$TTT" import in kept
expect_text "what is not kept is reported" "not imported: training_args.bin$"
equal "and nothing else" "$(grep -c . "$WORK/err")" 1
rm -r in
name="export with files" expect_exit 0 "$TTT" export kept given
for file in $(ls came); do [ $file = config.json ] || check "$file came along" cmp came/$file given/$file; done
name="a folder itself is exported with its files" expect_exit 0 "$TTT" export given given2
same "all of them" given given2
for file in kept/hf-*/README.md; do echo changed >"$file"; done
name="a file that changed" expect_exit 65 "$TTT" export kept no
expect_text "is named" "README.md: is not the file that came with the model"
check "and nothing is written" test ! -e no

cp -r came in
for place in folder.before_rename ckpt.after_mkdir ckpt.before_manifest; do
    name="import killed at $place" expect_exit 137 env TTT_FAIL="$place=kill" "$TTT" import in again
    name="$place: again" expect_exit 0 "$TTT" import in again
    equal "$place: only what is whole is there" "$(ls again | sed 's/^hf-.*/hf/' | tr '\n' ' ')" \
        "hf step-000000000000.a0001 "
    rm -r again
done

# --- through training ----------------------------------------------------------------------------
for file in chat_template.jinja README.md LICENSE.txt; do cp came/$file attention.hf; done
name="import of a model with a tokenizer" expect_exit 0 "$TTT" import attention.hf tuned.from
rm -r attention.hf
check "its tokenizer is still there" sh -c 'say=$("$1" generate tuned.from --prompt "the" --tokens 1); test "$say"' - "$TTT"
set -- tuned model.vocab=400 data.train="$WORK/own" model.layer=attention train.steps=2 \
    train.init_from="$WORK/tuned.from" checkpoint.every_steps=1
(TTT_FAIL="train.step#2=kill"; export TTT_FAIL; train "$@")
rm -r tuned.from
trained "training from it, killed and resumed" "$@"
name="export of the new model" expect_exit 0 "$TTT" export tuned tuned.hf
equal "licence and chat template came along, the model card did not" "$(cd tuned.hf && ls | tr '\n' ' ')" \
    "LICENSE.txt chat_template.jinja config.json generation_config.json model.safetensors \
special_tokens_map.json tokenizer.json tokenizer.model tokenizer_config.json "
finish
