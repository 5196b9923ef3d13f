#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh -- the whole way once: text, tokens, training, a kill, resuming,
# evaluation, generated text.  Everything is made new in build/demo.
set -eu
cd "$(dirname "$0")/.."
ttt=${TTT:-build/ttt}
demo=build/demo
config=config/demo-kjv.yaml
begin=$(date +%s)

say() { printf '\n== %s [%d s]\n' "$1" $(($(date +%s) - begin)); }

# Print a command as one would type it, then run it.
show() {
    printf '   $'
    for word; do case $word in *' '*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac; done
    printf '\n'
    "$@"
}

# The number of the last finished step; 0 before the first.
steps_done() {
    n=$(tail -n 1 "$demo/run/metrics.jsonl" 2>/dev/null | sed -n 's/.*"step":\([0-9]*\).*/\1/p')
    echo "${n:-0}"
}

# Is process $1 running?  One that has ended but was not waited for is not.
running() { case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in '' | Z*) return 1 ;; esac; }

say "King James Bible: 66 books from Debian's program 'bible', a verse a line, as tokens"
rm -rf "$demo"
sh jobs/kjv.sh "$demo"
show "$ttt" data info "$demo/train"

say "training; in the middle it is killed with SIGKILL"
steps=$("$ttt" config show $config | sed -n 's/^  steps: //p')
printf '   $ %s\n' "$ttt train $config"
"$ttt" train $config &
pid=$!
trap 'kill "$pid" 2>/dev/null || :' EXIT
while [ "$(steps_done)" -lt $((steps / 2 + 10)) ]; do
    running "$pid" || {
        code=0; wait "$pid" || code=$?
        echo "demo: training ended before it was killed, exit code $code"
        exit 1
    }
    sleep 0.2
done
kill -9 "$pid"
wait "$pid" || :
trap - EXIT
echo "   killed after step $(steps_done) of $steps"

say "the same command again: it resumes from the newest valid checkpoint"
show "$ttt" train $config
show "$ttt" ckpt list "$demo/run"

say "the held-out books: bits per byte, and perplexity by position in the text"
show "$ttt" eval "$demo/run" "$demo/val" --by-position

say "what it writes"
show "$ttt" generate "$demo/run" --prompt "And it came to pass" --tokens 120 --temperature 0.8 --seed 1

say "done"
echo "   the run is in $demo/run; try: $ttt generate $demo/run --prompt 'In the beginning'"
