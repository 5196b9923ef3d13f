# SPDX-License-Identifier: Apache-2.0
# What is wrong with data, model and configuration together is reported before
# anything is made, with the exit code that its kind has.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
make_data
make_config "$WORK/run.yaml"

# refused NAME CODE PATTERN [key=value ...]: the exit code, the words, and no run folder.
refused() {
    refused_name=$1; code=$2; pattern=$3; shift 3
    name="$refused_name: exit code" expect_exit "$code" train bad "$@"
    expect_text "$refused_name: reported" "$pattern" "$WORK/bad.err"
    equal "$refused_name: nothing is made" "$(ls -d "$WORK/bad" 2>/dev/null || echo none)" none
    rm -rf "${WORK:?}/bad"
}
refused "no training data" 66 "$WORK/nowhere" data.train="$WORK/nowhere"
refused "no validation data" 66 "$WORK/nowhere" data.val="$WORK/nowhere"
refused "a vocabulary that is too small" 78 "model.vocab is 200, the data's tokenizer has 258" model.vocab=200
refused "a context longer than the data" 78 "a sample takes train.context + 1" train.context=262144 train.batch_tokens=262144 train.slice_tokens=1024
refused "an unknown key" 78 "train.stepz" train.stepz=3
refused "a value of the wrong type" 78 "train.steps" train.steps=many
refused "more tensors than a checkpoint holds" 78 "model.layers: .* at most 65536 tensors" model.layers=880
refused "a batch that is no multiple" 78 "train.batch_tokens" train.batch_tokens=100
refused "more memory than there is" 71 "wants .* of memory on a machine of" model.width=8192 model.heads=128 model.layers=400 model.ffn_width=22016
for command in "config check" plan launch; do
    name="more tensors than a checkpoint holds: ttt $command" expect_exit 78 "$TTT" $command "$WORK/run.yaml" --set model.layers=880 --set run.dir="$WORK/bad"
done
equal "nothing is made" "$(ls -d "$WORK/bad" 2>/dev/null || echo none)" none
name="no such configuration" expect_exit 66 "$TTT" train "$WORK/none.yaml"
name="no configuration at all" expect_exit 64 "$TTT" train
name="two of them" expect_exit 64 "$TTT" train "$WORK/run.yaml" "$WORK/run.yaml"

# Damaged data are found where they are first touched.  What was trained until then is saved,
# and continues with whole data, cut into other blocks, as if nothing had been.
"$TTT" prep --tokenizer bytes --block-tokens 1024 --out "$WORK/hurt" "$WORK/train.jsonl" >/dev/null 2>&1
shard=$(ls "$WORK"/hurt/*.tts | head -n 1)
at=$(($(wc -c <"$shard") / 4))
old=$(od -An -tu1 -j $at -N 1 "$shard" | tr -d ' ')
# shellcheck disable=SC2059
printf "\\$(printf %03o $((255 - old)))" | dd of="$shard" bs=1 seek=$at conv=notrunc 2>/dev/null
trained "whole data" whole train.steps=40 checkpoint.every_steps=0
train hurt_run data.train="$WORK/hurt" train.steps=40 checkpoint.every_steps=0
equal "a damaged shard: exit code" "$?" 65
expect_text "a damaged shard: named" "${shard##*/}" "$WORK/hurt_run.err"
expect_text "a damaged shard: the steps before are saved" "committed step [1-9]" "$WORK/hurt_run.out"
trained "whole data again" hurt_run train.steps=40 checkpoint.every_steps=0 &&
    equal "whole data again: same root" "$(root_of hurt_run)" "$(root_of whole)"
rm "$WORK/hurt/INDEX"
name="no INDEX" expect_exit 66 train hurt_run2 data.train="$WORK/hurt"

# Another tokenizer in data.val.
if "$TTT" prep --train-tokenizer 300 --out "$WORK/pieces" "$WORK/train.jsonl" >"$WORK/out" 2>&1; then
    refused "two tokenizers" 78 "different tokenizers" model.vocab=300 data.val="$WORK/pieces"
    trained "a SentencePiece data set" pieces_run data.train="$WORK/pieces" model.vocab=300 &&
        equal "the run keeps its tokenizer" "$(cksum <"$WORK/pieces_run/tokenizer.model")" "$(cksum <"$WORK/pieces/tokenizer.model")"
    (TTT_FAIL="train.step#7=kill"; export TTT_FAIL; train swap model.vocab=300)
    name="another tokenizer on resuming" expect_exit 78 train swap model.vocab=300 data.train="$WORK/pieces"
    expect_text "in words" "was trained with the tokenizer" "$WORK/swap.err"
    echo x >>"$WORK/pieces/tokenizer.model"
    refused "a tokenizer file that is not the data's" 65 "tokenizer" data.train="$WORK/pieces" model.vocab=300
else failed "prep --train-tokenizer" "$(tail -n 1 "$WORK/out")"; fi

# What the environment tells OpenMP is looked at before a thread is started.
# environment NAME PATTERN VARIABLE=VALUE
environment() {
    name="$1: exit code" expect_exit 64 env -u OMP_NUM_THREADS "$3" "$TTT" train "$WORK/run.yaml"
    expect_text "$1: reported" "$2"
}
environment "too many threads" "OMP_NUM_THREADS is '99999999999'; .* from 1 to 4096" OMP_NUM_THREADS=99999999999
environment "threads that are no number" "OMP_NUM_THREADS is '2x'" OMP_NUM_THREADS=2x
environment "a small stack" "OMP_STACKSIZE is '1024K'; .* 2M" OMP_STACKSIZE=1024K
environment "a stack in KiB" "OMP_STACKSIZE is '2047'" OMP_STACKSIZE=2047
environment "a stack that nobody has" "cannot start a thread with such a stack" OMP_STACKSIZE=99999G
(ulimit -s 1536; exec "$TTT" train "$WORK/run.yaml") >"$WORK/out" 2>"$WORK/err"
equal "a small limit of the stack: exit code" "$?" 64
expect_text "a small limit of the stack: reported" "the limit of a stack is 1536 KiB"
check "threads and stack as they may be" env OMP_NUM_THREADS=2,1 OMP_STACKSIZE=2m "$TTT" train "$WORK/run.yaml"

# Names of files are any bytes, JSON is not.
odd=$(printf 'no\377text')
ln -s "$WORK/train" "$WORK/$odd"
trained "a model of that name" good && mv "$WORK/good" "$WORK/$odd.run"
# described NAME KEY WORD ...: JSON of what has that name.
described() {
    named=$1; key=$2; shift 2
    name="$named" expect_exit 0 "$TTT" "$@" --json
    expect_text "$named: the name, as far as it is text" "\"$key\": *\".*no$(printf '\357\277\275')text" "$WORK/out"
}
described "data info" path data info "$WORK/$odd"
described "ckpt show" path ckpt show "$WORK/$odd.run"
described "ckpt spectrum" model ckpt spectrum "$WORK/$odd.run"
described "eval" data eval "$WORK/$odd.run" "$WORK/$odd"

# --- names and texts that would steer a terminal ----------------------------------------------
# What comes from outside is spelt out, in messages and in tables; texts of models and data are not.
esc=$(printf '\033')
steers="b${esc}[31m$(printf '\a\r\b\177\302\233\233é\nx')"
shown='b\\x1b\[31m\\x07\\r\\x08\\x7f\\u009b\\x9bé\\nx'
# steered NAME CODE COMMAND ...: its exit code, and that nothing that it prints is a control byte, no
# UTF-8, or a control character of Unicode.
steered() {
    steered_name=$1; shift
    name="$steered_name: exit code" expect_exit "$@"
    cat "$WORK/out" "$WORK/err" >"$WORK/both"
    expect_text "$steered_name: the name, spelt out" "$shown" "$WORK/both"
    LC_ALL=C tr -d '\n\040-\176\200-\377' <"$WORK/both" >"$WORK/left"
    equal "$steered_name: no control bytes" "$(wc -c <"$WORK/left")" 0
    equal "$steered_name: UTF-8" "$(LC_ALL=C grep -c "$(printf '\302\233')" "$WORK/both") $(iconv -f UTF-8 -t UTF-8 "$WORK/both" >/dev/null 2>&1; echo $?)" "0 0"
}
steered "no such command" 64 "$TTT" "$steers"
steered "no such option" 64 "$TTT" train "--$steers"
steered "no such file" 66 "$TTT" train "$WORK/$steers"
steered "a key" 78 "$TTT" config check "$WORK/run.yaml" --set "$steers=1"
cp "$WORK/run.yaml" "$WORK/$steers"
steered "a configuration" 0 "$TTT" config check "$WORK/$steers"
steered "a value" 78 "$TTT" config check "$WORK/run.yaml" --set "model.layer=$steers"
steered "a table of configurations" 0 "$TTT" plan --table "$WORK/$steers"
steered "no such data" 66 "$TTT" data info "$WORK/no$steers"
mv "$WORK/val" "$WORK/data$steers"
steered "data" 0 "$TTT" data verify "$WORK/data$steers"
mv "$WORK/whole" "$WORK/whole$steers"
newest=$(ls "$WORK/whole$steers/ckpt" | grep '^step' | tail -n 1)
steered "a checkpoint: verify" 0 "$TTT" ckpt verify "$WORK/whole$steers/ckpt/$newest"
steered "a checkpoint: show" 0 "$TTT" ckpt show "$WORK/whole$steers/ckpt/$newest"
steered "export" 0 "$TTT" export "$WORK/whole$steers/ckpt/$newest" "$WORK/hf$steers"
printf '{"text": "one"}\n{"text": \n' >"$WORK/bad$steers.jsonl"
steered "a line of data" 65 "$TTT" prep --tokenizer bytes --out "$WORK/o" "$WORK/bad$steers.jsonl"
# A name and the number of a job in a run's folder, as anybody who may write there leaves them.
mkdir -p "$WORK/runs/$steers/ckpt"
printf '{"kind":"submit","id":"b\\u001b[31m\\u0007\\r\\b\\u007f\\u009b"}\n' >"$WORK/runs/$steers/launch.jsonl"
steered "the table of runs" 0 "$TTT" status "$WORK/runs"
expect_text "the table of runs: the job" '  b\\x1b\[31m\\x07\\r\\x08\\x7f\\u009b' "$WORK/out"
steered "no such run" 66 "$TTT" stop "$WORK/no$steers"
printf '{"text": "%s"}\n' "a\\u001b[31mb" >"$WORK/esc.jsonl"
"$TTT" prep --tokenizer bytes --out "$WORK/esc" "$WORK/esc.jsonl" >/dev/null 2>&1
name="the text of data" expect_exit 0 "$TTT" data cat --text "$WORK/esc"
expect_text "the text of data stays what it is" "a${esc}\[31mb" "$WORK/out"

# A place where no folder can be.
name="run.dir under a file" expect_exit 74 "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/run.yaml/run"

# What a command does not read, or can't be meant, is refused and not left out.
"$TTT" prep --tokenizer bytes --out "$WORK/some" "$WORK/esc.jsonl" >/dev/null 2>&1
unread() { says=$1; shift; name="$*" expect_exit 64 "$TTT" "$@"; expect_text "$*: reported" "$says"; }
unread "info does not read --ids" data info "$WORK/some" --ids
unread "verify does not read --json" data verify "$WORK/some" --json
unread "count from 0" data cat "$WORK/some" --count -1
unread "count from 0" data cat "$WORK/some" --doc -1
unread "token 9223372036854775807: there are" data cat "$WORK/some" --from 9223372036854775807 --count 1
unread "not both" data cat "$WORK/some" --doc 0 --count 1
unread "list does not read --json" ckpt list "$WORK" --json
unread "diff does not read --quick" ckpt diff "$WORK" "$WORK" --quick
unread "reference does not read --set" config reference --set a=b
unread "\-\-set is not an option" bench stream --set train.steps=1
unread "\-\-best is about \-\-ranks" plan "$WORK/run.yaml" --grid 1x1x1 --best 2
unread "out of range" plan "$WORK/run.yaml" --grid 1x1x1 --show -1
unread "\-\-submit-anyway is about" launch "$WORK/run.yaml" --submit-anyway
unread "\-\-stdin needs the input" prep --stdin jsonl --out "$WORK/o" "$WORK/esc.jsonl"
unread "\-\-train-tokenizer 0: expected 260 to" prep --train-tokenizer 0 --out "$WORK/o" "$WORK/esc.jsonl"

# A place where no checkpoint can be: said before the first step, and by ttt status.
for place in file link; do
    mkdir "$WORK/no-$place"
    if [ $place = file ]; then : >"$WORK/no-file/ckpt"; else ln -s "$WORK/nowhere" "$WORK/no-link/ckpt"; fi
    name="ckpt is a $place" expect_exit 74 "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/no-$place"
    expect_text "ckpt is a $place: reported" "no-$place/ckpt: is not a folder, and checkpoints belong there"
    check "ckpt is a $place: nothing was computed" test ! -s "$WORK/no-$place/metrics.jsonl"
    name="ckpt is a $place: ttt status" expect_exit 74 "$TTT" status "$WORK/no-$place"
    expect_text "ckpt is a $place: in the table" "no-$place/ckpt: is not a folder" "$WORK/out"
done

# Memory that ends while it is asked for: the size and what for are reported.
(ulimit -v 1500000; exec "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/oom" --set model.width=2048 \
    --set model.heads=32 --set model.ffn_width=5504 --set model.layers=8) >"$WORK/out" 2>"$WORK/err"
equal "out of memory: exit code" "$?" 71
expect_text "out of memory: said with the size" "out of memory: .* needs .* bytes"
finish
