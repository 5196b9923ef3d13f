#!/bin/sh
# ttt prep and ttt data: the same bytes whatever the threads, the cuts and the
# interruptions; every bad input named; what went in comes out.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 1

all_bytes() { (cd "$1" && find . -type f | LC_ALL=C sort | xargs cat) | cksum; }
fingerprint() { "$TTT" data info "$1" | sed -n 's/^fingerprint *//p'; }
text() { "$TTT" data cat "$1"; }

# N lines of words that look like a language.
words() {
    awk -v n="$1" -v seed="$2" 'BEGIN {
        srand(seed); m = split("in the beginning god created heaven and earth was without form void" \
            " darkness upon face of deep spirit moved waters said let there be light saw that it good" \
            " divided from called day night evening morning were first firmament midst", w, " ")
        for (i = 0; i < n; i++) {
            line = ""
            for (k = 0; k < 12; k++) line = line w[1 + int(m * rand() * rand())] (k < 11 ? " " : ".")
            print line
        }
    }'
}

mkdir -p in/sub
words 900 1 > in/a.txt
words 700 2 | awk '{ printf "{\"id\": %d, \"text\": \"%s\"}\n", NR, $0 }' > in/b.jsonl
cp "$ROOT"/tests/golden/prep/*.zst in
printf 'tab\tand  two spaces\r\nna\303\257ve \360\237\230\200 \342\226\201 <s>\000nul\n' > in/sub/c.txt
echo ignored > in/notes.md
{
    cat in/a.txt
    words 700 2 | tr -d '\n'
    printf 'With loss of Eden, till one greater Man\nRestore us, and regain the blissful Seat,\n'
    printf 'Of Mans First Disobedience, and the FruitOf that Forbidden Tree, whose mortal tast\n'
    printf 'Brought Death into the World \303\251\360\237\230\200and all our woe,'
    cat in/sub/c.txt
} > expected

# --- what goes in comes out
check "bytes: prep" "$TTT" prep in --out bytes
check "bytes: verify" "$TTT" data verify bytes
text bytes > got
check "bytes: the text of all files in the order of names" cmp got expected
check "model: prep" "$TTT" prep in --out model --train-tokenizer 500
text model > got
check "model: the text comes back byte for byte" cmp got expected
name="verify" expect_exit 0 "$TTT" data verify model
"$TTT" data cat bytes --doc 0 > got
check "cat --doc" cmp got in/a.txt
equal "cat --ids of a window" "$("$TTT" data cat bytes --ids --from 0 --count 3 | tr '\n' ' ')" \
    "256 $(head -c 2 in/a.txt | od -An -tu1 | tr -s ' ' | sed 's/^ //') "
"$TTT" data cat bytes --from 1 --count 10 > got
head -c 10 in/a.txt > want
check "cat of a window" cmp got want
equal "info --json" "$("$TTT" data info bytes --json | grep -c '"documents": 706')" 1
cat in/b.jsonl | "$TTT" prep - --stdin jsonl --out lines 2>/dev/null
equal "standard input, lines" "$("$TTT" data info lines | sed -n 's/^documents *//p')" 700
"$TTT" prep - --out frames < in/frames.txt.zst 2>/dev/null
equal "standard input, compressed" "$(text frames | wc -l | tr -d ' ')" 2

# --- the same bytes for every number of threads, the same content for every cut
split="--val-fraction 0.2 --block-tokens 1000 --shard-tokens 3000"
for j in 1 2 3; do
    "$TTT" prep in --out j$j --train-tokenizer 500 $split -j $j 2>/dev/null
done
equal "-j 1 and -j 2" "$(all_bytes j1)" "$(all_bytes j2)"
equal "-j 1 and -j 3" "$(all_bytes j1)" "$(all_bytes j3)"
"$TTT" prep in --out cut --tokenizer j1/train/tokenizer.model --val-fraction 0.2 2>/dev/null
equal "other cuts, the same train set" "$(fingerprint j1/train)" "$(fingerprint cut/train)"
equal "other cuts, the same val set" "$(fingerprint j1/val)" "$(fingerprint cut/val)"
differ "train and val differ" "$(fingerprint j1/train)" "$(fingerprint j1/val)"
equal "more than one shard" "$(ls j1/train/*.tts | wc -l | tr -d ' ')" \
    "$(grep -c 'name: shard' j1/train/INDEX)"
[ "$(ls j1/train/*.tts | wc -l)" -gt 2 ] && ok "at least three shards" || failed shards "too few"

# Which documents are held out does not depend on their order.
docs() { "$TTT" data cat "$1" | sed 's/\./.\n/g' | grep . | LC_ALL=C sort | cksum; }
LC_ALL=C sort -r in/b.jsonl > reversed.jsonl
"$TTT" prep in/b.jsonl --out order1 --val-fraction 0.3 2>/dev/null
"$TTT" prep reversed.jsonl --out order2 --val-fraction 0.3 2>/dev/null
equal "held-out documents, another order" "$(docs order1/val)" "$(docs order2/val)"
differ "held-out documents are not the others" "$(docs order1/val)" "$(docs order1/train)"

# --- interrupted
prep() { "$TTT" prep in --out "$1" --train-tokenizer 500 $split -j 2; }
shim=$BUILD/tests/fault/iofault.so
if [ -f "$shim" ]; then
    faulty() { env LD_PRELOAD="$shim" IOFAULT_ROOT="$WORK/f" "$@"; }
    rm -rf f; faulty IOFAULT_LOG="$WORK/log" "$TTT" prep in --out "$WORK/f" --train-tokenizer 500 $split \
        2>/dev/null
    n=$(wc -l < log); wrong=0; tried=0
    [ "$n" -gt 60 ] && ok "file operations are seen" || failed "file operations are seen" "$n"
    i=1
    while [ "$i" -le "$n" ]; do
        for effect in kill tear; do
            rm -rf f
            faulty IOFAULT="op=any n=$i do=$effect" "$TTT" prep in --out "$WORK/f" \
                --train-tokenizer 500 $split >/dev/null 2>&1
            prep f >/dev/null 2>&1
            tried=$((tried + 1))
            [ "$(all_bytes f)" = "$(all_bytes j1)" ] || { wrong=$((wrong + 1)); echo "$effect at $i" >&2; }
        done
        i=$((i + 3))
    done
    equal "killed at every third file operation ($tried kills), the same bytes" "$wrong" 0
    wrong=0; i=2
    while [ "$i" -le "$n" ]; do
        rm -rf f
        faulty IOFAULT="op=any n=$i times=0 do=ENOSPC" "$TTT" prep in --out "$WORK/f" \
            --train-tokenizer 500 $split >/dev/null 2>err
        code=$?
        prep f >/dev/null 2>&1
        [ "$(all_bytes f)" = "$(all_bytes j1)" ] || { wrong=$((wrong + 1)); echo "ENOSPC at $i" >&2; }
        [ $code = 74 ] || [ $i = $n ] || { wrong=$((wrong + 1)); echo "ENOSPC at $i: exit $code" >&2; }
        i=$((i + 5))
    done
    equal "disk full from every fifth file operation on: exit 74, then the same bytes" "$wrong" 0
fi

# Killed by the clock, until it gets through.
words 60000 5 > long.txt
words 60000 6 | awk '{ printf "{\"text\": \"%s\"}\n", $0 }' > long.jsonl
long="$TTT prep long.txt long.jsonl --val-fraction 0.1 --shard-tokens 150000 --level 12 --out"
$long whole 2>/dev/null
kills=0
for pause in 0.1 0.15 0.2 0.25 0.3 0.4; do
    $long pieces 2>/dev/null & pid=$!
    sleep $pause
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
done
[ -f pieces/val/INDEX ] || $long pieces 2>err
equal "killed by the clock ($kills kills), the same bytes" "$(all_bytes whole)" "$(all_bytes pieces)"

# --- begun and complete data sets are safe
name="complete: refused" expect_exit 78 "$TTT" prep in --out bytes
expect_text "complete: says what to do" 'restart'
name="complete: other layout refused" expect_exit 78 "$TTT" prep in --out bytes --val-fraction 0.1
rm -rf part; cp -r whole part; rm part/train/INDEX part/val/INDEX
name="shards without INDEX: refused" expect_exit 78 $long part
name="--restart replaces" expect_exit 0 "$TTT" prep in --out bytes --restart --level 1
check "restarted: verify" "$TTT" data verify bytes
$long stopped 2>/dev/null & pid=$!
tries=0
until [ -f stopped/train/shard-000001.tts ] || [ $tries -ge 200 ]; do sleep 0.02; tries=$((tries + 1)); done
kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
if [ -f stopped/val/INDEX ]; then ok "begun: too fast to stop"; else
    name="begun with other options: refused" expect_exit 78 "$TTT" prep long.txt long.jsonl \
        --out stopped --val-fraction 0.2 --shard-tokens 150000 --level 12
    expect_text "begun: says what to do" 'restart'
    name="unfinished: not a data set" expect_exit 66 "$TTT" data info stopped/train
    touch long.txt
    name="begun with another input: refused" expect_exit 78 $long stopped
fi

# --- bad input
bad() {  # NAME FILE PATTERN
    rm -rf b1 b2
    name="$1: exit 65" expect_exit 65 "$TTT" prep in/sub "$2" --out b1
    expect_text "$1: named" "$3"
    name="$1: --skip-bad" expect_exit 0 "$TTT" prep in/sub "$2" --out b2 --skip-bad
    expect_text "$1: named and counted" "$3.*skipped"
    expect_text "$1: counted" ' 1 bad document'
    check "$1: the rest is there" "$TTT" data verify b2
}
printf 'good\nbad \377 here\n' > utf8.txt
bad "invalid UTF-8" utf8.txt 'utf8.txt:2: not UTF-8: byte 0xff at byte 9'
: > empty.txt
bad "empty file" empty.txt 'empty.txt:1: empty file'
: > empty.jsonl
bad "empty list" empty.jsonl 'empty.jsonl:1: empty file'
printf '{"text": "x"}\n{"text": "broken"\n{"text": "y"}\n' > broken.jsonl
bad "broken JSON" broken.jsonl 'broken.jsonl:2: not JSON'
printf '{"text": "x"}\n\n{"other": "y"}\n' > field.jsonl
bad "missing field" field.jsonl "field.jsonl:3: no field 'text'"
printf '{"text": 7}\n' > type.jsonl
bad "field of another type" type.jsonl "type.jsonl:1: field 'text' is a number, expected a string"
printf '{"text": "a\\ud800b"}\n' > surrogate.jsonl
bad "half a surrogate" surrogate.jsonl 'surrogate.jsonl:1: .*half a surrogate pair (column 12)'
printf '{"text": ""}\n' > notext.jsonl
bad "no text" notext.jsonl 'notext.jsonl:1: the document has no text'
head -c 120 in/lines.jsonl.zst > cut.jsonl.zst
bad "truncated .zst" cut.jsonl.zst 'cut.jsonl.zst:1: truncated'
cp in/a.txt plain.txt.zst
bad "not a .zst" plain.txt.zst 'plain.txt.zst:1: '
printf '{"text": "a"}\n{"text": "b"}\n{"text": 3}\n{"text": "c"}\n' > late.jsonl
name="bad after a while: exit 65" expect_exit 65 "$TTT" prep late.jsonl --out late --shard-tokens 3
name="bad after a while: --skip-bad goes on" expect_exit 0 "$TTT" prep late.jsonl --out late \
    --shard-tokens 3 --skip-bad
equal "bad after a while: the rest" "$(text late)" abc
name="--field" expect_exit 0 "$TTT" prep field.jsonl --field other --out other --skip-bad
equal "--field takes that one" "$(text other)" y

name="missing input: 66" expect_exit 66 "$TTT" prep none.txt --out x1
expect_text "missing input: named" 'none.txt'
name="folder without text: 66" expect_exit 66 "$TTT" prep bytes --out x1
name="another kind of file: 78" expect_exit 78 "$TTT" prep in/notes.md --out x1
name="missing model: 66" expect_exit 66 "$TTT" prep in --out x1 --tokenizer none.model
name="not a model: 65" expect_exit 65 "$TTT" prep in --out x1 --tokenizer in/a.txt
name="tokenizer too large: 78" expect_exit 78 "$TTT" prep in --out x1 --train-tokenizer 100000
name="training from standard input: 78" expect_exit 78 "$TTT" prep - --out x1 --train-tokenizer 500
name="no --out: 64" expect_exit 64 "$TTT" prep in
name="--val-fraction 1: 64" expect_exit 64 "$TTT" prep in --out x1 --val-fraction 1
name="-j 0: 64" expect_exit 64 "$TTT" prep in --out x1 -j 0
[ -e x1/INDEX ] && failed "nothing was made" "x1/INDEX" || ok "nothing was made"

# A line of 100 MB, in memory that is bounded by a few times its size.
{ printf '{"text": "'; head -c 100000000 /dev/zero | tr '\0' 'm'; printf '"}\n{"text": "next"}\n'; } > huge.jsonl
check "a line of 100 MB" sh -c 'ulimit -v 4194304; OMP_NUM_THREADS=2 exec "$0" prep huge.jsonl --out huge -j 2' "$TTT"
equal "a line of 100 MB: all of it" "$("$TTT" data info huge | sed -n 's/^tokens *//p')" 100000008
rm -f huge.jsonl

# --- text that the tokenizer can't spell: tests/golden/prep/unk.model has no pieces for bytes
unk=$ROOT/tests/golden/prep/unk.model
printf 'in the beginning \346\274\242\345\255\227 was void \316\251' > unk.txt
name="<unk>: prep" expect_exit 0 "$TTT" prep unk.txt --tokenizer "$unk" --out unk
expect_text "<unk>: share, example and place" \
    "can't spell 8 B of the text, 22.9 %, first '$(printf '\346\274\242\345\255\227')' (unk.txt:1): 2 tokens"
expect_text "<unk>: in INDEX" '^unk_bytes: 8$' unk/INDEX
expect_text "<unk>: tokens in INDEX" '^unk_tokens: 2$' unk/INDEX
"$TTT" data info unk > out
expect_text "<unk>: data info" "^<unk>  *2 tokens, .*8 B of text" out
equal "<unk>: data info --json" "$("$TTT" data info unk --json | grep -c '"unk_tokens": 2\|"unk_bytes": 8')" 2
printf 'in the beginning was void' > spelled.txt
name="no <unk>: prep" expect_exit 0 "$TTT" prep spelled.txt --tokenizer "$unk" --out spelled
equal "no <unk>: no warning" "$(grep -c "spell " err) in $(grep -c done err) line" "0 in 1 line"
"$TTT" data info spelled > out
expect_text "no <unk>: data info" "^<unk>  *none" out
# Counts of finished shards survive an interruption.
yes "$(printf 'in \316\251 the')" | head -n 30 | awk '{ print "{\"text\": \"" $0 "\"}" }' > unk.jsonl
TTT_FAIL="prep.document#20=kill" "$TTT" prep unk.jsonl --tokenizer "$unk" --out unks --shard-tokens 50 2>err
[ -f unks/INDEX.part ] && [ ! -f unks/INDEX ] && ok "<unk>: interrupted" || failed "<unk>: interrupted" "$(ls unks)"
"$TTT" prep unk.jsonl --tokenizer "$unk" --out unks --shard-tokens 50 2>err
expect_text "<unk>: counted over an interruption" '^unk_tokens: 30$' unks/INDEX

# --- damage
size=$(wc -c < model/shard-000000.tts)
cp -r model damaged
printf '\125' | dd of=damaged/shard-000000.tts bs=1 seek=$((size / 3)) conv=notrunc 2>/dev/null
name="damaged shard: 65" expect_exit 65 "$TTT" data verify damaged
expect_text "damaged shard: file, block, offset" 'shard-000000.tts: block 0 at byte [0-9]*'
name="damaged shard: no text" expect_exit 65 "$TTT" data cat damaged
rm -r damaged; cp -r model damaged
printf 'x' | dd of=damaged/tokenizer.model bs=1 seek=2000 conv=notrunc 2>/dev/null
name="damaged model: 65" expect_exit 65 "$TTT" data info damaged
expect_text "damaged model: named" 'damaged/tokenizer.model'
rm -r damaged; cp -r model damaged; rm damaged/shard-000000.tts
name="missing shard: 66" expect_exit 66 "$TTT" data info damaged
expect_text "missing shard: named" 'damaged/shard-000000.tts'
sed 's/^documents: 7/documents: 8/' model/INDEX > damaged/INDEX
name="edited INDEX: 65" expect_exit 65 "$TTT" data info damaged
name="no data set: 66" expect_exit 66 "$TTT" data info in
name="train and val: 66" expect_exit 66 "$TTT" data info j1
expect_text "train and val: says where" 'j1/train does'
name="data set that is not there: 66" expect_exit 66 "$TTT" data verify nowhere
name="document too many: 64" expect_exit 64 "$TTT" data cat bytes --doc 99999
name="window too long: 64" expect_exit 64 "$TTT" data cat bytes --from 3 --count 999999999
finish
