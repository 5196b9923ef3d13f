#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ttt data import and export: token ids of NumPy, nanoGPT, llm.c and Megatron come in with the same
# tokens and documents, and go out as the bytes that those write.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
cd "$WORK" || exit 1
cp -r "$ROOT/tests/golden/ids" ids || exit 1

import() { "$TTT" data import "$@" >"$WORK/out" 2>"$WORK/err"; }
documents() { "$TTT" data info "$1" --json | sed -n 's/.*"documents": \([0-9]*\),/\1/p' | head -n 1; }
lengths() { for i in $(seq 0 $(($(documents "$1") - 1))); do "$TTT" data cat "$1" --ids --doc "$i" | wc -l; done; }
same_as_golden() { "$TTT" data cat "$1" --ids | cmp - ids/ids.txt && lengths "$1" | cmp - ids/lengths.txt; }

# --- every form gives the same tokens and documents
for f in v1-u2.npy v1-i4.npy v1-i8.npy v2-u2.npy v3-u2.npy nano.bin megatron-u2.idx megatron-i4.bin; do
    import "ids/$f" --tokenizer bytes --out "in/$f"
    check "$f: tokens and documents" same_as_golden "in/$f"
done
expect_text "Megatron: an empty document is reported" "1 documents without a token" \
    "$(import ids/megatron-u2 --tokenizer bytes --out in/prefix; echo "$WORK/err")"
for f in gpt2.bin llama3.bin; do
    import "ids/$f" --vocab 258 --eos 257 --bos 256 --out "in/$f"
    check "$f: tokens and documents" same_as_golden "in/$f"
done
equal "documents begin with bos: the same content" \
    "$("$TTT" data info in/gpt2.bin --json | grep fingerprint)" \
    "$("$TTT" data info in/llama3.bin --json | grep fingerprint)"
check "verify" "$TTT" data verify in/v1-i8.npy
printf 'abc' >abc.txt
"$TTT" prep abc.txt --out text 2>/dev/null
"$TTT" data export text out-text --to npy >/dev/null
import out-text/tokens.npy --tokenizer bytes --out text-again
equal "prep, export, import: all that INDEX knows of the text" \
    "$("$TTT" data info text --json | grep -v 'path\|files\|"bytes\|read_b')" \
    "$("$TTT" data info text-again --json | grep -v 'path\|files\|"bytes\|read_b')"

# --- where documents end
import ids/rows-u2.npy --tokenizer bytes --documents rows --out rows
equal "rows" "$(lengths rows | tr '\n' ' ')" "10 10 10 10 10 10 "
import ids/rows-u2.npy --tokenizer bytes --out row-after-row
equal "rows of one text" "$(lengths row-after-row | tr '\n' ' ')" "7 3 42 2 6 "
import ids/megatron-u2.idx ids/nano.bin --tokenizer bytes --documents file --out whole
equal "files" "$(lengths whole | tr '\n' ' ')" "73 73 "
import ids/nano.bin --vocab 300 --eos 299 --out none
expect_text "an eos that does not occur is reported" "nano.bin: the id that ends documents, 299, does not"
name="index of a file without one" expect_exit 78 "$TTT" data import ids/nano.bin --tokenizer bytes --documents index --out x
name="rows of a 1-D array" expect_exit 78 "$TTT" data import ids/v1-u2.npy --tokenizer bytes --documents rows --out x

# --- what is refused, and leaves no data set
for f in big-endian fortran float cube; do
    name="$f.npy" expect_exit 65 "$TTT" data import ids/$f.npy --tokenizer bytes --out "refused/$f"
    expect_text "$f.npy is named with the field" "error: ids/$f.npy: header of .npy: \(descr\|fortran_order\|shape\): "
done
check "nothing was made of them" test ! -e refused
name="an id beyond the vocabulary" expect_exit 65 "$TTT" data import ids/nano.bin --vocab 257 --eos 1 --out beyond
expect_text "is named with its place" "ids/nano.bin: token 6 has the id 257, but the vocabulary has 0 to 256"
name="and gives no data set" expect_exit 66 "$TTT" data info beyond
name="another type" expect_exit 65 "$TTT" data import ids/nano.bin --vocab 258 --eos 257 --dtype int32 --out x
name="no such file" expect_exit 66 "$TTT" data import ids/none --vocab 9 --eos 1 --out x
name="no vocabulary" expect_exit 64 "$TTT" data import ids/nano.bin --out x
name="no eos" expect_exit 64 "$TTT" data import ids/nano.bin --vocab 258 --out x
name="text of ids without a tokenizer" expect_exit 78 "$TTT" data cat in/gpt2.bin
expect_text "needs --tokenizer" "import it with --tokenizer FILE"

# --- a killed import resumes with the same bytes; other options are refused
bytes() { (cd "$1" && cat INDEX shard-*) | cksum; }
set_of() { "$TTT" data import ids/megatron-u2.idx ids/nano.bin --tokenizer bytes --shard-tokens 5 --block-tokens 4 --out "$@"; }
set_of whole-run 2>/dev/null
for n in 2 5 8; do
    TTT_FAIL="import.document#$n=kill" set_of killed-$n 2>/dev/null
    name="killed in document $n" expect_exit 66 "$TTT" data info killed-$n
    check "killed in document $n: resumed" set_of killed-$n
    equal "killed in document $n: the same bytes" "$(bytes killed-$n)" "$(bytes whole-run)"
done
expect_text "it says that it resumes" "killed-8: resuming after"
name="with other options" expect_exit 78 set_of whole-run --documents eos
expect_text "they are named" "documents was auto, and is eos now"
check "again" set_of whole-run
expect_text "is complete already" "is complete already"
check "--restart" set_of whole-run --documents eos --restart
printf x >>ids/nano.bin
name="a raw file of half an id" expect_exit 65 set_of whole-run --restart

# --- export: the bytes of NumPy and of Megatron; nothing half-written
name="export to npy" expect_exit 0 "$TTT" data export in/nano.bin npy --to npy
check "is what numpy.save() writes" cmp npy/tokens.npy ids/v1-u2.npy
"$TTT" data export in/v1-i4.npy megatron --to megatron >/dev/null
check "Megatron: ids" cmp megatron/tokens.bin ids/megatron-u2.bin
check "Megatron: index" cmp megatron/tokens.idx ids/megatron-one-each-u2.idx
import megatron/tokens --tokenizer bytes --out megatron-again
check "Megatron: tokens and documents come back" same_as_golden megatron-again
import ids/v1-i4.npy --vocab 70000 --eos 257 --out wide
"$TTT" data export wide wide-npy --to npy >/dev/null
check "more than 65,536 ids: int32" cmp wide-npy/tokens.npy ids/v1-i4.npy
"$TTT" data export wide wide-megatron --to megatron >/dev/null
check "more than 65,500 ids: int32 for Megatron" cmp wide-megatron/tokens.bin ids/megatron-i4.bin
TTT_FAIL="file.write#3=err" "$TTT" data export in/nano.bin broken --to megatron 2>/dev/null
check "a failed export leaves nothing" test ! -e broken
name="into a folder with files" expect_exit 64 "$TTT" data export in/nano.bin megatron --to npy

# --- ids without a tokenizer train and evaluate a model
make_data
"$TTT" data export train ids-of-train --to megatron >/dev/null
import ids-of-train/tokens --vocab 258 --eos 257 --bos 256 --out ids-train
make_config run.yaml
trained "on ids" plain data.train="$WORK/train"
trained "on ids without a tokenizer" only data.train="$WORK/ids-train"
equal "the same losses" "$(values plain loss_nats | tail -n 1)" "$(values only loss_nats | tail -n 1)"
check "evaluate on ids" "$TTT" eval "$WORK/only" "$WORK/ids-train"
name="generate" expect_exit 78 "$TTT" generate "$WORK/only" --prompt a
finish
