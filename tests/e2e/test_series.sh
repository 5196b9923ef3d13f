# SPDX-License-Identifier: Apache-2.0
# ttt series: members of a grid, run one after another; what is missing and nothing else is run again;
# mistakes are reported before anything runs.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
make_config "$WORK/tiny.yaml"
sed "s/seed: 3/seed: 4/" "$WORK/tiny.yaml" >"$WORK/other.yaml"
cd "$WORK" || exit 1

series() { want=$1; name=$2; shift 2; expect_exit "$want" "$TTT" series "$WORK/series.yaml" "$@"; }
lines() { grep -c -e "$1" "$WORK/$2"; }
starts() { grep -c '"kind":"start"' "$WORK/all/$1/launch.jsonl"; }
series_root() { sed -n 's/.*"kind":"save".*"step":4,.*"root":"\([0-9a-f]*\)".*/\1/p' "$WORK/all/$1/metrics.jsonl"; }

cat >"$WORK/series.yaml" <<END
series:
  dir: $WORK/all
  runs: [tiny.yaml, other.yaml]
  set: [train.steps=4, run.threads=1]
  grid: ["train.micro_batch=1,5", log.every_steps=2]
END
series 0 "only shown" --dry-run
equal "shown: a line for each" "$(lines ' new$' out)" 4
expect_text "shown: the sum" '^4 runs: 0 finished, 0 active, 4 to start$' "$WORK/out"
check "shown: nothing is made" test ! -e "$WORK/all"

# One of them can't run: the others do.
mkdir "$WORK/all" && echo spoilt >"$WORK/all/other-micro_batch1"
series 74 "one of four fails"
expect_text "one fails: reported" '1 of 4 runs failed; the same command starts them again'
equal "the others are whole: file and setting" "$(series_root tiny-micro_batch1)" "$(series_root tiny-micro_batch5)"
differ "the others are whole: two files" "$(series_root tiny-micro_batch1)" "$(series_root other-micro_batch5)"

rm "$WORK/all/other-micro_batch1"
series 0 "again"
expect_text "again: the sum before" '^4 runs: 3 finished, 0 active, 1 to start$' "$WORK/out"
equal "again: the others are left alone" "$(starts tiny-micro_batch1)" 1
equal "again: the missing one" "$(series_root other-micro_batch1)" "$(series_root other-micro_batch5)"
"$TTT" status "$WORK/all" >"$WORK/out"
equal "ttt status shows them all" "$(lines ' finished ' out)" 4

cp "$WORK/out" "$WORK/table"
series 0 "--status" --status
equal "--status is ttt status" "$(sed 's/[0-9.ms]* ago *//' "$WORK/out")" "$(sed 's/[0-9.ms]* ago *//' "$WORK/table")"

# More steps are for finished runs, too; what has lost its checkpoints starts again.
sed -i 's/train.steps=4/train.steps=6/' "$WORK/series.yaml"
rm -r "$WORK/all/other-micro_batch5/ckpt"
series 0 "more steps: shown" --dry-run
expect_text "more steps: three continue" '^tiny-micro_batch1  *to continue: 4 of 6 steps are done$' "$WORK/out"
expect_text "no checkpoint: not finished" '^other-micro_batch5  *stopped: no checkpoint is left$' "$WORK/out"
expect_text "more steps: the sum" '^4 runs: 0 finished, 0 active, 4 to start$' "$WORK/out"
series 0 "more steps"
equal "more steps: begin after the last one" "$(lines 'the run resumes from .*: step 4 root' err)" 3
equal "more steps: all have them" "$(grep -c '"kind":"end","step":6,"status":"done"' "$WORK"/all/*/metrics.jsonl | grep -c ':1$')" 4
sed -i 's/train.steps=6/train.steps=4/' "$WORK/series.yaml"

# A signal ends the run and the series, and the same command continues.
sed -i "s|$WORK/all|$WORK/stopped|; s/train.steps=4/train.steps=30/" "$WORK/series.yaml"
(TTT_FAIL="train.step#5=sleep:5000"; export TTT_FAIL; exec "$TTT" series "$WORK/series.yaml" >"$WORK/out" 2>"$WORK/err") &
pid=$!
until grep -q '"step":4,' "$WORK/stopped/tiny-micro_batch1/metrics.jsonl" 2>/dev/null; do
    kill -0 $pid 2>/dev/null || break
    sleep 0.1
done
kill -TERM $pid; wait $pid
equal "stopped: exit code" "$?" 85
check "stopped: no other run began" test ! -e "$WORK/stopped/tiny-micro_batch5"
series 0 "stopped: taken up again"
expect_text "stopped: from its checkpoint" 'the run resumes from .*stopped/tiny-micro_batch1/.*step [1-9][0-9]* root'

# A signal that meets the last step of a run finds it complete: the next one does not begin.
sed -i "s|$WORK/stopped|$WORK/late|" "$WORK/series.yaml"
(TTT_FAIL="train.step#30=sleep:5000"; export TTT_FAIL; exec "$TTT" series "$WORK/series.yaml" >"$WORK/out" 2>"$WORK/err") &
pid=$!
until grep -q '"step":29,' "$WORK/late/tiny-micro_batch1/metrics.jsonl" 2>/dev/null; do
    kill -0 $pid 2>/dev/null || break
    sleep 0.1
done
kill -TERM $pid; wait $pid
equal "asked in a last step: exit code" "$?" 85
expect_text "asked in a last step: that run is complete" '"kind":"end","step":30,"status":"done"' \
    "$WORK/late/tiny-micro_batch1/metrics.jsonl"
check "asked in a last step: no other run began" test ! -e "$WORK/late/tiny-micro_batch5"

# A run may start from the model of one before it, which is not there when the series begins.
cat >"$WORK/first.yaml" <<END
data: {train: $WORK/train}
model: {vocab: 258, layers: 1, width: 32, heads: 2, ffn_width: 64, rope_theta: 55}
END
cat >"$WORK/second.yaml" <<END
data: {train: $WORK/train}
train: {init_from: $WORK/chain/first}
END
cat >"$WORK/series.yaml" <<END
series:
  dir: $WORK/chain
  runs: [first.yaml, second.yaml]
  set: [train.steps=2, train.context=64, train.batch_tokens=128, run.threads=1]
END
name="a chain as jobs at once is refused" expect_exit 66 "$TTT" series "$WORK/series.yaml" --slurm --dry-run
expect_text "and says why" "second: train.init_from: there is no model at $WORK/chain/first"
series 0 "a chain"
expect_text "the second is the first one's model" "^  rope_theta: 55$" "$WORK/chain/second/config.yaml"

# --- as a job array: every run once, whatever it is called ------------------------------------------------
mkdir "$WORK/bin" "$WORK/odd" && cp "$TTT" "$WORK/odd/ttt"
for tool in squeue scontrol sinfo; do printf '#!/bin/sh\nexit 1\n' >"$WORK/bin/$tool"; done
printf '#!/bin/sh\n[ "$1" = --test-only ] || echo "$2" >>"%s/submitted"; echo 77\n' "$WORK" >"$WORK/bin/sbatch"
printf '#!/bin/sh\nprintf "<%%s>" "$@"; echo\n' >"$WORK/recorder"
chmod +x "$WORK/bin"/* "$WORK/recorder"
cat >"$WORK/names" <<'END'
my run
a$(touch hurt)b
`touch hurt`
it's
glob*?[a]
semi;touch hurt&
-r
#comment
~x
häß
plain
END
while read -r name; do cp "$WORK/tiny.yaml" "$WORK/$name.yaml"; done <"$WORK/names"
sed "s/'/''/g; s/.*/  - '&.yaml'/" "$WORK/names" >"$WORK/list"
{ echo "series:"; echo "  dir: -odd dir"; echo "  runs:"; sed 's/^/  /' "$WORK/list"; } >"$WORK/series.yaml"
name="array: submitted" expect_exit 0 env PATH="$WORK/bin:$PATH" "$WORK/odd/ttt" series "$WORK/series.yaml" --slurm
equal "array: one job" "$(cat "$WORK/submitted")" "$WORK/-odd dir/slurm/job-0.sh"
cp "$WORK/recorder" "$WORK/odd/ttt.new" && mv "$WORK/odd/ttt.new" "$WORK/odd/ttt"
expect_text "array: its numbers" '^#SBATCH --array=0-10$' "$WORK/-odd dir/slurm/job-0.sh"
i=0
while read -r name; do
    equal "array: run $i" "$(SLURM_ARRAY_TASK_ID=$i bash "$WORK/-odd dir/slurm/job-0.sh" 2>&1)" \
        "<launch><$WORK/-odd dir/$name/slurm/run.yaml><--inside-slurm>"
    check "array: its file" test -s "$WORK/-odd dir/$name/slurm/run.yaml"
    i=$((i + 1))
done <"$WORK/names"
check "array: nothing in a name was executed" test ! -e "$WORK/hurt"
rm -rf "$WORK/-odd dir"

# wrong CODE NAME TEXT PATTERN: a series that must be refused.
wrong() {
    printf '%s\n' "$3" >"$WORK/series.yaml"
    series "$1" "$2"
    expect_text "$2: reported" "$4"
}
rm -rf "$WORK/all"
head="series: {dir: $WORK/all, runs: tiny.yaml"
cp "$WORK/tiny.yaml" "$WORK/.yaml"
wrong 78 "a file without a name" "series: {dir: $WORK/all, runs: .yaml}" "expected a file name before .yaml"
wrong 78 "no folder" "series: {runs: tiny.yaml}" "series.dir: expected a folder, found nothing"
wrong 78 "no runs" "series: {dir: x}" "series.runs: expected files of runs, found nothing"
wrong 78 "unknown key" "$head, gird: [a=1]}" "series.gird: .*did you mean series.grid"
wrong_values="$head, grid: ['model.layer=ttt_linear,[mamba, attention],[ttt_mlp]']}"
printf '%s\n' "$wrong_values" >"$WORK/lists.yaml"
name="values that are lists" expect_exit 0 "$TTT" series "$WORK/lists.yaml" --dry-run
equal "each list is one value" "$(grep -c ' new$' "$WORK/out")" 3
expect_text "and part of a name" 'tiny-layer_mamba__attention_ ' "$WORK/out"
wrong 78 "no values" "$head, grid: [run.seed]}" "series.grid: expected KEY=VALUE,VALUE,..., found 'run.seed'"
wrong 78 "not a key of a run" "$head, grid: ['run.sead=1,2']}" "series.grid: expected a key that runs may differ in, found 'run.sead'"
wrong 78 "not a key to differ in" "$head, grid: ['run.dir=a,b']}" "found 'run.dir'"
wrong 78 "not a value" "$head, grid: ['train.steps=4,x']}" "train.steps: expected a whole number"
wrong 78 "two of one name" "series: {dir: x, runs: [tiny.yaml, ./tiny.yaml]}" "two runs have the name tiny"
wrong 78 "twice the same value" "$head, grid: ['run.seed=1,1']}" "two runs have the name tiny-seed1"
wrong 78 "too many" "$head, grid: ['run.seed=$(seq -s, 1 40)', 'optim.lr=$(seq -s, 1 40)']}" "expected at most 1000 runs"
wrong 78 "a name of two lines" "series: {dir: x, runs: [\"a\\nb.yaml\"]}" "series.runs: expected a list of printable texts"
wrong 66 "no such run" "series: {dir: x, runs: nobody.yaml}" "nobody.yaml"
check "refused: nothing is made" test ! -e "$WORK/all"

# The series that are there can be run.
for f in "$ROOT"/jobs/series-*.yaml; do
    check "${f##*/}" "$TTT" series "$f" --dry-run
done
finish
