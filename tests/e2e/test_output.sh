# SPDX-License-Identifier: Apache-2.0
# A result that did not reach its reader in full is an error, whatever the command; a run continues
# without its terminal.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
[ -c /dev/full ] || { echo "# no /dev/full"; finish; }
make_data
make_config "$WORK/run.yaml"
train run
CKPT=$(ls -d "$WORK"/run/ckpt/step-* | tail -n 1)

# saved_root DIR: of its last save, from its metrics.
saved_root() {
    sed -n 's/.*"kind": *"save".*"root": *"\([0-9a-f]*\)".*/\1/p' "$WORK/$1/metrics.jsonl" | tail -n 1
}

# lost NAME COMMAND ...: ends with 74 and a line when standard output is full, or closed.
lost() {
    lost_name=$1; shift
    "$@" >/dev/full 2>"$WORK/err" </dev/null
    equal "$lost_name: full" "$?" 74
    expect_text "$lost_name: reported" "error: the result could not be written to standard output" "$WORK/err"
    "$@" >&- 2>"$WORK/err" </dev/null
    equal "$lost_name: closed" "$?" 74
    expect_text "$lost_name: reported" "error: the result could not be written to standard output" "$WORK/err"
    "$@" >"$WORK/whole" 2>"$WORK/err" </dev/null
    equal "$lost_name: taken" "$?" 0
}
lost "help" "$TTT" --help
lost "version" "$TTT" --version
lost "help of a command" "$TTT" eval --help
lost "config show" "$TTT" config show "$WORK/run.yaml"
lost "plan" "$TTT" plan "$WORK/run.yaml" --grid 1x1x1
lost "data info" "$TTT" data info "$WORK/train"
lost "data cat" "$TTT" data cat "$WORK/train"
lost "ckpt list" "$TTT" ckpt list "$WORK/run"
lost "ckpt show" "$TTT" ckpt show "$CKPT"
lost "ckpt diff" "$TTT" ckpt diff "$CKPT" "$CKPT"
lost "eval" "$TTT" eval "$WORK/run" "$WORK/val"
lost "eval, JSON" "$TTT" eval "$WORK/run" "$WORK/val" --json
lost "generate" "$TTT" generate "$WORK/run" --prompt the --tokens 8
lost "status" "$TTT" status "$WORK/run"
lost "status, JSON" "$TTT" status "$WORK/run" --json
lost "launch, dry" "$TTT" launch "$WORK/run.yaml" --dry-run --set run.dir="$WORK/other"
lost "spectrum" "$TTT" ckpt spectrum "$CKPT"

# A reader that has enough.
"$TTT" data cat "$WORK/train" 2>"$WORK/err" | head -n 1 >"$WORK/out"
expect_text "a reader that has enough got its line" "." "$WORK/out"

# Watching ends with its reader.
timeout 60 "$TTT" status --watch 1 "$WORK/run" >/dev/full 2>"$WORK/err"
equal "watching ends" "$?" 74

# A closed descriptor is not given to a file of the run: its text would be in there.
"$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/closed" >&- 2>&- <&-
equal "a run without descriptors" "$?" 0
equal "same root" "$(saved_root closed)" "$(saved_root run)"
check "its checkpoints are whole" "$TTT" ckpt verify "$WORK/closed"

# Readers that go away: training continues, and its folder says so.
{ "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/gone" 2>&1; echo "$?" >"$WORK/gone.code"; } |
    head -n 1 >/dev/null
equal "the terminal goes away: exit code" "$(cat "$WORK/gone.code")" 0
equal "the terminal goes away: same root" "$(saved_root gone)" "$(saved_root run)"
expect_text "the terminal goes away: written down" '"kind": *"output".*"lost": *"standard' \
    "$WORK/gone/metrics.jsonl"
"$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/full" >/dev/full 2>"$WORK/err"
equal "a full disk under standard output: exit code" "$?" 0
expect_text "a full disk under standard output: warned of" "standard output takes no more" "$WORK/err"

# The same of a launcher: mpirun must not meet its reader's end.
if command -v "$MPIRUN" >/dev/null; then
    launch() {
        timeout 300 "$TTT" launch "$WORK/run.yaml" -n 2 --set run.threads=1 --set train.steps=40 \
            --set run.dir="$WORK/$1"
    }
    launch heard >"$WORK/heard.out" 2>&1
    equal "launched: exit code" "$?" 0
    expect_text "launched: the job's lines pass" "committed step 40 root" "$WORK/heard.out"
    expect_text "launched: its progress, too" "step 40/40 " "$WORK/heard.out"
    { launch unheard 2>&1; echo "$?" >"$WORK/unheard.code"; } | head -n 1 >/dev/null
    equal "launched, and the terminal goes away: exit code" "$(cat "$WORK/unheard.code")" 0
    equal "launched, and the terminal goes away: same root" "$(saved_root unheard)" "$(saved_root heard)"
    expect_text "launched, and the terminal goes away: written down" '"kind":"output".*"lost":"standard' \
        "$WORK/unheard/launch.jsonl"
    equal "launched, and the terminal goes away: started once" \
        "$(grep -c '"kind":"start"' "$WORK/unheard/launch.jsonl")" 1
fi
finish
