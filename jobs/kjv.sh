#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kjv.sh OUT -- the King James Bible as data sets: OUT/train with its tokenizer, OUT/val.
set -eu
cd "$(dirname "$0")/.."
ttt=${TTT:-build/ttt}
out=$1

mkdir -p "$out/text/train" "$out/text/val"
bible -f gen1:1-rev22:21 </dev/null | awk -v dir="$out/text" '
    # "1Sm3:4 text": the reference says the book, and is taken off.
    match($0, /^[1-3]?[A-Za-z]+[0-9]+:[0-9]+ /) {
        book = $1; sub(/[0-9]+:[0-9]+$/, "", book)
        if (book != last) {
            last = book
            part = book ~ /^(Ruth|Jer|Mat|Titus)$/ ? "val" : "train"
            file = sprintf("%s/%s/%02d-%s.txt", dir, part, ++books, book)
        } else printf "\n" >file
        printf "%s", substr($0, RLENGTH + 1) >file
        verses++
    }
    END { printf "   %d books, %d verses; held out: Ruth, Jeremiah, Matthew, Titus\n", books, verses
          exit !(books == 66 && verses == 31102) }'
echo "   a vocabulary of 4,096 pieces from the 62 training books"
for step in "--train-tokenizer 4096 --out $out/train $out/text/train" \
            "--tokenizer $out/train/tokenizer.model --out $out/val $out/text/val"; do
    printf '   $ %s prep %s\n' "$ttt" "$step"
    # shellcheck disable=SC2086
    "$ttt" prep $step
done
