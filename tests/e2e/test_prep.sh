#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ttt prep and ttt data: the same bytes whatever the threads, the cuts and the
# interruptions; every bad input named; what went in comes out.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 1

# Of everything but the record of inputs, which has times in it.
all_bytes() { (cd "$1" && find . -type f ! -name INPUTS | LC_ALL=C sort | xargs cat) | cksum; }
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
check "named twice" "$TTT" prep in/a.txt in/a.txt --out twice
expect_text "named twice: reported" '^ttt: warning: in/a.txt was named more than once'
equal "named once: not said" "$("$TTT" prep in/a.txt --out once 2>&1 | grep -c 'more than once')" 0
check "standard input, lines that nobody called so" sh -c '"$1" prep - --out as-text <in/b.jsonl' - "$TTT"
expect_text "are reported to look like lines" '^ttt: warning: -: looks like JSON lines.*to read each line as a document, use --stdin jsonl'
equal "and are one text" "$("$TTT" data info as-text | sed -n 's/^documents *//p')" 1
"$TTT" prep - --out frames < in/frames.txt.zst 2>/dev/null
equal "standard input, compressed" "$(text frames | wc -l | tr -d ' ')" 2

# --- what a killed ttt prep was writing is removed by the next one
mkdir -p swept; echo x >swept/INDEX.part.tmp; echo x >swept/notes.tmp
"$TTT" prep in --out swept 2>/dev/null
equal "half-written files are removed, others stay" "$(cd swept && echo *.tmp)" notes.tmp

# --- an archive behind a link is not removed
mkdir -p archive linked; "$TTT" prep in --out archive 2>/dev/null; archived=$(all_bytes archive)
ln -s ../archive linked/train
name="--restart through a link" expect_exit 78 "$TTT" prep in --out linked --val-fraction 0.2 --restart
expect_text "--restart through a link: reported" "linked/train: is a symbolic link" "$WORK/err"
equal "--restart through a link: nothing is touched" "$(all_bytes archive)" "$archived"

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
name="complete: the same command is done" expect_exit 0 "$TTT" prep in --out bytes
expect_text "complete: says so" 'bytes: is complete already, from the same inputs with the same options'
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
    expect_text "begun: names the option" '--val-fraction was 0.1, and is 0.2 now'
    name="unfinished: not a data set" expect_exit 66 "$TTT" data info stopped/train
    touch long.txt
    name="begun, its inputs only touched: continues" expect_exit 0 $long stopped
    expect_text "begun: does not begin anew" 'resuming after'
    equal "begun, touched: the same bytes" "$(all_bytes stopped)" "$(all_bytes whole)"
fi

# What is the same and what is not, of a data set that is complete.
mkdir same
words 50 11 > same/a.txt; words 50 12 > same/b.txt
words 50 13 | awk '{ print "{\"text\": \"" $0 "\", \"other\": \"x\"}" }' > same/c.jsonl
same="$TTT prep same --out s"
$same 2>/dev/null
record=$(cksum < s/INPUTS)
again() {  # NAME PATTERN COMMAND ...: another command, refused with the difference, and nothing is touched
    again_name=$1; again_pattern=$2; shift 2
    name="$again_name: refused" expect_exit 78 "$@"
    expect_text "$again_name: named" "$again_pattern"
    equal "$again_name: the record is as before" "$(cksum < s/INPUTS)" "$record"
}
if [ -f "$shim" ]; then
    old=$ROOT/tests/golden/prep  # files that just changed are always read
    unread() { env LD_PRELOAD="$shim" IOFAULT_ROOT="$old" IOFAULT="op=open n=1 times=0 do=EACCES" "$@"; }
    "$TTT" prep "$old" --out s2 2>/dev/null
    name="unchanged: done without a look into it" expect_exit 0 unread "$TTT" prep "$old" --out s2
fi
cp -p same/b.txt b.bak
sed '7s/./x/' b.bak > same/b.txt; touch -r b.bak same/b.txt
again "a letter of one file, same size and time" 'same/b.txt has the same size, but other content' $same
cp b.bak same/b.txt; touch same/*
name="touched: done" expect_exit 0 $same
mv same moved; cp -r moved same
name="copied: done" expect_exit 0 $same
name="from another place: done" expect_exit 0 "$TTT" prep moved --out s
name="by other threads: done" expect_exit 0 $same -j 1
echo more >> same/b.txt
again "a file that grew" "same/b.txt had $(wc -c < b.bak) bytes, and now has" $same
cp b.bak same/b.txt
words 3 14 > same/aa.txt
again "a file more" 'same/aa.txt was not among the inputs' $same
rm same/aa.txt; mv same/b.txt b.away
again "a file less" 'same/b.txt was an input, but is not among the inputs now' $same
mv b.away same/b.txt
again "another order" 'the order of the inputs' "$TTT" prep same/b.txt same/a.txt same/c.jsonl --out s
for option in "--field other" "--block-tokens 100" "--shard-tokens 1000" "--level 4" \
    "--train-tokenizer 300"; do
    again "$option" "${option%% *} was .*, and is ${option##* } now" $same $option
done
again "another tokenizer" "the tokenizer was bytes .*, and is sentencepiece" $same \
    --tokenizer "$ROOT/tests/golden/prep/unk.model"
again "another layout" 'without --val-fraction' $same --val-fraction 0.1
again "standard input" "standard input can't be compared" "$TTT" prep - --out s < same/a.txt
mv s/INPUTS away
name="without the record of inputs: done" expect_exit 0 $same
name="without the record: refused" expect_exit 78 $same --level 4
mv away s/INPUTS
printf 'x' | dd of=s/INPUTS bs=1 seek=300 conv=notrunc 2>/dev/null
name="with a damaged record: done" expect_exit 0 $same
rm s/shard-000000.tts
name="complete and damaged: 66" expect_exit 66 $same
name="complete, --restart" expect_exit 0 $same --restart

# --- folders: what is taken, what is left out
mkdir -p tree/.git tree/.ipynb_checkpoints tree/sub tree/sub/.hidden
printf 'one ' > tree/a.txt; printf 'two ' > tree/B.TXT; printf '{"text": "three "}\n' > tree/c.Jsonl
cp in/frames.txt.zst tree/d.TXT.ZST
printf 'no' | tee tree/._book.txt tree/.git/x.txt tree/.ipynb_checkpoints/a.txt tree/sub/.hidden/y.txt > tree/data.YAML
printf 'no' | tee tree/x.gz tree/y.gz > tree/README
ln -s nowhere tree/broken; ln -s broken tree/sub/broken; ln -s self tree/self
ln -s .. tree/sub/up; ln -s ../a.txt tree/sub/again.txt; ln tree/a.txt tree/sub/hard.txt
mkfifo tree/pipe.txt
printf 'ctrl ' > "tree/sub/$(printf 'e\033[31m.txt')"
name="folder: prep" expect_exit 0 timeout 60 "$TTT" prep tree --out folder
cp err table
expect_text "table: read" '^read: txt  *3  *13 B  tree/B.TXT' table
expect_text "table: read, compressed, capitals" '^read: txt.zst  *1 .*tree/d.TXT.ZST' table
expect_text "table: hidden" '^left out: hidden  *4  *8 B' table
expect_text "table: another format" '^left out: format not supported, .yaml  *1  *2 B  tree/data.YAML' table
expect_text "table: another format, counted" '^left out: format not supported, .gz  *2  *4 B' table
expect_text "table: no ending" '^left out: format not supported, without ending  *1  *2 B  tree/README' table
expect_text "table: links" '^left out: link to nothing  *3' table
expect_text "table: FIFO" '^left out: not a regular file  *1 .*tree/pipe.txt' table
expect_text "table: once more" '^left out: read already, by another path  *3' table
text folder | head -c 12 > got; printf 'two one three ' | head -c 12 > want
check "folder: the text of the visible files, once" cmp got want
equal "folder: documents" "$("$TTT" data info folder | sed -n 's/^documents *//p')" 5
for line in 'inputs: {files: 5, bytes: ' 'hidden: {files: 4, bytes: 8}' 'other_format: {files: 4, bytes: 8}' \
    'broken_link: {files: 3, bytes: 0}' 'not_a_file: {files: 1' 'read_already: {files: 3' \
    'no_permission: {files: 0'; do
    expect_text "INDEX: ${line%%:*}" "$line" folder/INDEX
done
expect_text "INPUTS: read" '"read":"tree/c.Jsonl","format":"jsonl","compression":"none"' folder/INPUTS
expect_text "INPUTS: left out" '"left_out":"tree/x.gz","why":"other_format","files":1,"bytes":2' folder/INPUTS
expect_text "INPUTS: control characters are visible" 'e\\\\x1b\[31m.txt' folder/INPUTS
"$TTT" data info folder > out
expect_text "data info: left out" '^left out  *.*4 hidden.*4 other_format' out
equal "data info --json: left out" "$("$TTT" data info folder --json | grep -c '"hidden": {$\|"other_format": {$')" 2
name="hidden, but named" expect_exit 0 "$TTT" prep tree/._book.txt tree/.ipynb_checkpoints --out named
equal "hidden, but named: read" "$(text named)" nono
mkdir none; cp tree/x.gz tree/data.YAML none; printf x > none/.a.txt
name="a folder of other formats: 66" expect_exit 66 "$TTT" prep none --out n
expect_text "a folder of other formats: says what is there" \
    'none: holds no .txt, .* file: 1 hidden, 2 other_format, such as none/data.YAML'
ln -s nowhere tree/gone.txt
name="a link to nothing that is an input: 66" expect_exit 66 "$TTT" prep tree --out n
expect_text "a link to nothing: named" 'tree/gone.txt: a link to nothing'
name="a link to nothing, --skip-bad" expect_exit 0 "$TTT" prep tree --out n --skip-bad
expect_text "a link to nothing, --skip-bad: counted" 'end of 1 file skipped'
if [ -f "$shim" ]; then
    denied() { env LD_PRELOAD="$shim" IOFAULT_ROOT="$WORK/same/b.txt" IOFAULT="op=open n=1 do=EACCES" "$@"; }
    name="no permission: 74" expect_exit 74 denied "$TTT" prep "$WORK/same" --out p
    expect_text "no permission: named" "same/b.txt: can't read: Permission denied"
    [ -e p/INDEX ] && failed "no permission: nothing was made" p/INDEX || ok "no permission: nothing was made"
    name="no permission, --skip-bad: too much" expect_exit 65 denied "$TTT" prep "$WORK/same" --out p --skip-bad
    name="no permission, --skip-bad" expect_exit 0 denied "$TTT" prep "$WORK/same" --out p2 --skip-bad \
        --skip-bad-max 50%
    expect_text "no permission: in the table" "^left out: can't be read  *1 .*same/b.txt"
    expect_text "no permission: counted as lost" '^skipped: {documents: 0, files: 1, bytes: [1-9]' p2/INDEX
fi
mkdir -m 0 locked; mkdir outer; mv locked outer; printf 'x' > outer/a.txt
nobody() {  # root may read everything
    if [ "$(id -u)" != 0 ]; then "$@"; else
        setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; fi
}
chmod 755 "$WORK"; mkdir -m 777 theirs
if nobody true 2>/dev/null && nobody test -x "$TTT"; then
    name="a folder without permission: 74" expect_exit 74 nobody "$TTT" prep outer --out theirs/o
    expect_text "a folder without permission: named" "outer/locked: can't read: Permission denied"
    name="a folder without permission, --skip-bad" expect_exit 0 nobody "$TTT" prep outer --out theirs/o \
        --skip-bad
    expect_text "a folder without permission: counted" '^left out: can.t be read  *1 .*outer/locked'
fi
chmod 700 outer/locked

# --- bad input
bad() {  # NAME FILE PATTERN [COUNTED]
    rm -rf b1 b2
    name="$1: exit 65" expect_exit 65 "$TTT" prep in/sub "$2" --out b1
    expect_text "$1: named" "$3"
    name="$1: --skip-bad" expect_exit 0 "$TTT" prep in/sub "$2" --out b2 --skip-bad --skip-bad-max 100%
    expect_text "$1: named and counted" "$3.*skipped"
    expect_text "$1: counted" "${4:- 1 bad document skipped}"
    check "$1: the rest is there" "$TTT" data verify b2
}
printf 'good\nbad \377 here\n' > utf8.txt
bad "invalid UTF-8" utf8.txt 'utf8.txt:2: not UTF-8: byte 0xff at byte 9'
: > empty.txt
bad "empty file" empty.txt 'empty.txt:1: empty file' 'end of 1 file skipped: 0 B'
: > empty.jsonl
bad "empty list" empty.jsonl 'empty.jsonl:1: empty file' 'end of 1 file skipped: 0 B'
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
bad "truncated .zst" cut.jsonl.zst 'cut.jsonl.zst:1: truncated' 'end of 1 file skipped: 120 B'
cp in/a.txt plain.txt.zst
bad "not a .zst" plain.txt.zst 'plain.txt.zst:1: ' 'end of 1 file skipped: 58.4 KiB'
printf '{"text": "a"}\n{"text": "b"}\n{"text": 3}\n{"text": "c"}\n' > late.jsonl
name="bad after a while: exit 65" expect_exit 65 "$TTT" prep late.jsonl --out late --shard-tokens 3
name="bad after a while: --skip-bad continues" expect_exit 0 "$TTT" prep late.jsonl --out late \
    --shard-tokens 3 --skip-bad --skip-bad-max 30%
equal "bad after a while: the rest" "$(text late)" abc
name="--field" expect_exit 0 "$TTT" prep field.jsonl --field other --out other --skip-bad \
    --skip-bad-max 50%
# Of 200 lines of equal length, two are a share of 1 %.
bad_lines() { awk -v bad="$1" 'BEGIN { for (i = 0; i < 200; i++)
    printf "{\"%s\": \"%03d\"}\n", i < bad ? "texx" : "text", i }'; }
bad_lines 2 > two.jsonl; bad_lines 3 > three.jsonl
name="--skip-bad: 1 %" expect_exit 0 "$TTT" prep two.jsonl --out two --skip-bad
expect_text "--skip-bad: 1 %: reported" '2 bad documents skipped: 32 B, 1 % of the input'
expect_text "--skip-bad: in INDEX" '^skipped: {documents: 2, files: 0, bytes: 32, read_bytes: 3200}$' two/INDEX
"$TTT" data info two > out
expect_text "--skip-bad: data info" '^skipped  *2 bad documents, .*32 B, 1 % of the input' out
three="$TTT prep three.jsonl --out three --shard-tokens 300 --val-fraction 0.5"
name="--skip-bad: 1.5 %: 65" expect_exit 65 $three --skip-bad
expect_text "--skip-bad: 1.5 %: reported" '3 bad documents skipped: 48 B, 1.5 % of the input, more than --skip-bad-max 1%'
[ -e three/train/INDEX ] || [ -e three/val/INDEX ] && failed "--skip-bad: 1.5 %: not finished" INDEX ||
    ok "--skip-bad: 1.5 %: not finished"
name="--skip-bad-max: continues" expect_exit 0 $three --skip-bad --skip-bad-max 1.5%
expect_text "--skip-bad-max: what was kept" 'resuming after'
expect_text "--skip-bad-max: counted over both" '^skipped: {documents: 3, files: 0, bytes: 48, read_bytes: 3200}$' \
    three/val/INDEX
name="complete, with skipped input: says how much" expect_exit 0 $three
expect_text "complete: what was skipped then" 'nothing to do; then 3 bad documents skipped: 48 B, 1.5 %'
for share in 1 101% -1% % x%; do
    name="--skip-bad-max $share: 64" expect_exit 64 "$TTT" prep two.jsonl --out x1 --skip-bad --skip-bad-max $share
done
name="--skip-bad-max alone: 64" expect_exit 64 "$TTT" prep two.jsonl --out x1 --skip-bad-max 5%
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
    "can't represent 8 B of the text, 22.9 %, first '$(printf '\346\274\242\345\255\227')' (unk.txt:1): 2 tokens"
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
# A tokenizer that changes text first: this one trims spaces.
printf 'in  the' > wide.txt
check "changes: prep" "$TTT" prep wide.txt --tokenizer "$unk" --out trimmed
expect_text "changes: are named" 'unk.model: the tokenizer changes text .*: leading, trailing and repeated spaces are removed;'
equal "changes: they are that" "$("$TTT" data cat trimmed)" "in the"
check "no changes: prep" "$TTT" prep wide.txt --tokenizer model/tokenizer.model --out untrimmed
equal "no changes: no warning" "$(grep -c "changes text" err)" 0
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
