#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How ttt prep reads one stream: JSON lines with anything in the other fields, byte order marks,
# other encodings, zstd frames of all kinds by name and through pipes.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 1

head -c 200000 /dev/zero | tr '\0' g > good.txt  # of which all that is bad is a small part

# texts NAME WANTED PREP-ARGUMENT ...: the texts of all documents, one after another.
texts() {
    texts_name=$1; wanted=$2; shift 2
    rm -rf set
    name="$texts_name: exit 0" expect_exit 0 "$TTT" prep "$@" --out set
    equal "$texts_name" "$("$TTT" data cat set 2>/dev/null)" "$wanted"
}

# refused NAME PATTERN PREP-ARGUMENT ...: an error, and with --skip-bad it is named and counted.
refused() {
    refused_name=$1; pattern=$2; shift 2
    rm -rf set
    name="$refused_name: exit 65" expect_exit 65 "$TTT" prep "$@" --out set
    expect_text "$refused_name: named" "$pattern"
    rm -rf set
    name="$refused_name: --skip-bad" expect_exit 0 "$TTT" prep good.txt "$@" --out set --skip-bad
    expect_text "$refused_name: named and skipped" "$pattern.*: skipped"
    expect_text "$refused_name: counted" ' 1 bad document\|end of 1 file'
}

# --- fields that nobody reads
deep=$(awk 'BEGIN { for (i = 0; i < 3000; i++) printf "["; for (i = 0; i < 3000; i++) printf "]" }')
for value in 18446744073709551615 9223372036854775808 1e999 NaN Infinity -Infinity '"\ud800"' \
             '{"a":1,"a":2}' '{"text":"no","x":[{"text":"no"}]}' "$deep" '"\"text\":\"no\""'; do
    printf '{"text":"fine, ","x":%s}\n{"x":%s,"text":"good"}\n' "$value" "$value" > x.jsonl
    texts "$(echo "$value" | cut -c 1-40)" "fine, good" x.jsonl
done
printf '{"x":"caf\351","text":"fine"}\n' > x.jsonl
texts "Latin-1 in another field" fine x.jsonl
printf '{"text":"one","text":"two"}\n{"text":"1","t\\u0065xt":"2"}\n{"text":"3"}\n' > x.jsonl
texts "a field twice: the last" two23 x.jsonl
expect_text "a field twice: reported" "x.jsonl:1: field 'text' occurs 2 times in one object; its last value is used"
expect_text "a field twice: counted" "in total, 2 documents have a repeated field 'text'"

# --- nested fields, names with dots
printf '{"text":"no","meta":{"text":"yes","t.x":"dots"},"meta.x":"exact"}\n' > x.jsonl
texts "--field meta.text" yes x.jsonl --field meta.text
texts "--field, the whole name" exact x.jsonl --field meta.x
texts "--field, a dot in a name" dots x.jsonl --field 'meta.t\.x'
name="--field with 40 dots: 64" expect_exit 64 "$TTT" prep x.jsonl --out set2 \
    --field ........................................
[ -e set2 ] && failed "--field with 40 dots" "set2 was made" || ok "--field with 40 dots: nothing is made"
refused "a field in a field that is a string" "x.jsonl:1: no field 'text.x': 'text' is a string" \
    x.jsonl --field text.x
printf '{"messages":[{"role":"user","content":"x"}]}\n' > x.jsonl
refused "chat data" "x.jsonl:1: no field 'text'; the line has 'messages' (a list); a conversation must become one text first" x.jsonl
refused "chat data as the field" "x.jsonl:1: field 'messages' is a list, expected a string; a conversation" x.jsonl --field messages
printf '{"meta":{"text":"x"}}\n' > x.jsonl
refused "a nested field" "'meta' (an object); a field in an object is --field OBJECT.NAME" x.jsonl
printf '{"text":null}\n' > x.jsonl
refused "null" "x.jsonl:1: field 'text' is null, expected a string" x.jsonl
printf '{\n "text": "x"\n}\n' > x.jsonl
rm -rf set2
name="an object over several lines" expect_exit 65 "$TTT" prep x.jsonl --out set2
expect_text "an object over several lines: reported" 'x.jsonl:1: not JSON: .*one whole object on each line'

# --- byte order marks
printf '\357\273\277{"text":"one"}\n\357\273\277{"text":"two"}\n' > x.jsonl
texts "byte order marks in JSON lines" onetwo x.jsonl
printf '\357\273\277hello\n' > x.txt
texts "a byte order mark in a text" hello x.txt
rm -rf set; "$TTT" prep - --out set < x.txt 2>/dev/null
equal "a byte order mark in standard input" "$("$TTT" data cat set)" hello
printf '\357\273\277ab\377\n' > x.txt
rm -rf set2
name="bytes are counted with the mark" expect_exit 65 "$TTT" prep x.txt --out set2
expect_text "bytes are counted with the mark: reported" 'x.txt:1: not UTF-8: byte 0xff at byte 5 of the file'
printf '\357\273\277run: {dir: r, seed: 3}\ndata: {train: t}\n' > x.yaml
name="a byte order mark in YAML" expect_exit 0 "$TTT" config show x.yaml
expect_text "a byte order mark in YAML: read" 'seed: 3' "$WORK/out"

# --- other encodings
printf '\377\376h\000i\000\n\000' > x.txt
refused "UTF-16" 'x.txt:1: expected UTF-8, found UTF-16 text (little-endian); convert it with: iconv -f UTF-16 -t UTF-8 <' x.txt
printf 'h\000i\000\n\000' > x.txt
refused "UTF-16 without a mark" 'x.txt:1: expected UTF-8, found UTF-16 text (little-endian, without' x.txt
printf 'caf\351 noir\n' > x.txt
refused "Latin-1" 'x.txt:1: not UTF-8: byte 0xe9 at byte 3 of the file; perhaps Latin-1 text (ISO 8859-1)' x.txt
printf '{"text":"caf\351"}\n' > x.jsonl
refused "Latin-1 in the field" "x.jsonl:1: field 'text' is not UTF-8: byte 0xe9 at byte 12 of the line; perhaps Latin-1" x.jsonl
printf '\357\273\277{"text":"caf\351"}\n' > x.jsonl
refused "Latin-1 after a mark" "x.jsonl:1: field 'text' is not UTF-8: byte 0xe9 at byte 15 of the line" x.jsonl

# --- compressed
frames=$ROOT/tests/golden/prep/lines.jsonl.zst
rm -rf set; "$TTT" prep "$frames" --out set 2>/dev/null
poem=$("$TTT" data cat set)
{ printf 'P*M\030\004\000\000\000abcd'; cat "$frames"; printf '\137*M\030\000\000\000\000'; } > skip.jsonl.zst
texts "skippable frames by name" "$poem" skip.jsonl.zst
for bytes in 1 3 6 13; do  # the first read brings so many
    rm -rf set
    { head -c $bytes skip.jsonl.zst; sleep 0.05; tail -c +$((bytes + 1)) skip.jsonl.zst; } |
        "$TTT" prep - --stdin jsonl --out set 2>"$WORK/err"
    equal "skippable frames through a pipe, first $bytes bytes" "$("$TTT" data cat set)" "$poem"
done
# A frame with a window of 2 GiB (zstd --long=31) and one raw block of 16 bytes; then 4 GiB.
printf '\050\265\057\375\000\250\201\000\000{"text":"long"}\n' > long.jsonl.zst
texts "a window of 2 GiB" long long.jsonl.zst
rm -rf set2
(ulimit -v 1500000; OMP_NUM_THREADS=1 exec "$TTT" prep long.jsonl.zst --out set2 -j 1) 2>"$WORK/err"
equal "a window that the memory does not hold: exit code" $? 71
expect_text "a window that the memory does not hold: reported" 'long.jsonl.zst: .*memory.* the zstd frame at byte 0'
printf '\050\265\057\375\000\260\201\000\000{"text":"long"}\n' > longer.jsonl.zst
refused "a window of 4 GiB" 'longer.jsonl.zst:1: the zstd frame at byte 0 needs a window of .* compress it again with zstd --long=31 or less' longer.jsonl.zst
head -c $(($(wc -c < "$frames") - 20)) "$frames" > cut.jsonl.zst
refused "a cut file" 'cut.jsonl.zst:[0-9]*: truncated: the file ends at byte [0-9]* inside the zstd frame that begins at byte 0: .* bytes of text are lost' cut.jsonl.zst
for packed in gz:gzip xz:xz bz2:bzip2 lz4:lz4; do
    file=$ROOT/tests/golden/inputs/lines.jsonl.${packed%:*}
    rm -rf set set2
    "$TTT" prep "$file" --out set 2>"$WORK/err"
    "$TTT" prep - --stdin jsonl --out set2 < "$file" 2>"$WORK/err"
    equal "${packed#*:}: the same by name and through standard input" "$("$TTT" data cat set | cksum)" \
        "$("$TTT" data cat set2 | cksum)"
    equal "${packed#*:}: all of it" "$("$TTT" data info set | sed -n 's/^documents *//p')" 40
    cp "$file" x.jsonl; rm -rf set2
    refused "${packed#*:} with another name" "found a file compressed with ${packed#*:}; convert it with: ${packed#*:} -dc" x.jsonl
    head -c 400 "$file" > "cut.jsonl.${packed%:*}"
    refused "a cut ${packed#*:} file" "cut.jsonl.${packed%:*}:[0-9]*: .*truncated.*; about [0-9]* bytes of text are lost" \
        "cut.jsonl.${packed%:*}"
done
finish
