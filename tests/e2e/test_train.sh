# SPDX-License-Identifier: Apache-2.0
# Training: which bits depend on what, and what the run's files say.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
make_data
make_config "$WORK/run.yaml"

trained "a run" base && ok "a run"
root=$(root_of base)
curve=$(values base loss_nats)

# Same bits, however the work is laid out.
same() {
    same_name=$1; shift
    trained "$same_name" "$@" || return
    equal "$same_name: same root" "$(root_of "$1")" "$root"
    equal "$same_name: same losses" "$(values "$1" loss_nats)" "$curve"
}
same "2 threads" t2 run.threads=2
same "micro-batch 1" m1 train.micro_batch=1
same "micro-batch 3" m3 train.micro_batch=3
same "micro-batch 4, 2 threads" m4 train.micro_batch=4 run.threads=2
same "whole batch at once" m5 train.micro_batch=5
same "blocks recomputed" rb train.remat=block
same "every inner state kept" g1 train.inner_group=1
same "no diagnostics" st train.inner_stats_every=0
same "evaluation in between" ev data.val="$WORK/val" eval.every_steps=3
same "saved at every step" ck checkpoint.every_steps=1
same "saved at every step, in the background" cb checkpoint.every_steps=1 checkpoint.background=true
same "saved by time, in the background" tb checkpoint.every_steps=0 checkpoint.every_minutes=0.00001 checkpoint.background=true
TTT_FAIL="train.no_room=err"; export TTT_FAIL  # for a copy of the state
same "saved at every step, in place" cp checkpoint.every_steps=1 checkpoint.background=true
same "saved by time, in place" tp checkpoint.every_steps=0 checkpoint.every_minutes=0.00001 checkpoint.background=true
unset TTT_FAIL
expect_text "in place: reported" "no room for a copy of the state" "$WORK/cp.err"
expect_text "in place: nothing is held for it" "snapshot *0 B" "$WORK/cp.err"
equal "in place: every one of these saves" "$(values cp step save | tr '\n' ' ')" "1 2 3 4 5 6 7 8 9 10 11 12 "
equal "every one of these saves" "$(values cb step save | tr '\n' ' ')" "1 2 3 4 5 6 7 8 9 10 11 12 "
same "saved by time" tm checkpoint.every_steps=0 checkpoint.every_minutes=0.00001

# ... and the comparison can fail.
trained "another seed" seed run.seed=4 && differ "another seed, another root" "$(root_of seed)" "$root"
trained "other units" sl train.slice_tokens=32 && differ "other units of work, another root" "$(root_of sl)" "$root"
trained "fast" fast train.reduction=fast && {
    differ "fast reduction, another root" "$(root_of fast)" "$root"
    if [ "$(values fast loss_nats | cut -c1-6)" = "$(printf '%s\n' "$curve" | cut -c1-6)" ]; then
        ok "fast reduction, the same curve to 5 digits"
    else failed "fast reduction" "another curve"; fi
}

# What metrics.jsonl says.
equal "a line for every step" "$(values base step | tr '\n' ' ')" "1 2 3 4 5 6 7 8 9 10 11 12 "
equal "the first update has rate 0" "$(values base lr | head -n 1)" "0.0"
equal "saves at 4, 8, 12" "$(values base reason save | tr '\n' ' ')" '"steps" "steps" "end" '
equal "saves by time" "$(values tm reason save | tail -n 2 | tr '\n' ' ')" '"time" "end" '
same "evaluation in longer contexts" ec data.val="$WORK/val" eval.every_steps=0 eval.context=100
"$TTT" eval "$WORK/ec" "$WORK/val" --json --context 100 >"$WORK/out" 2>"$WORK/err"
equal "evaluation in longer contexts: that of ttt eval" "$(values ec loss_nats eval)" \
    "$(sed -n 's/^  "nats_per_token": \([^,]*\),$/\1/p' "$WORK/out")"
differ "evaluation in longer contexts: another loss" "$(values ec loss_nats eval)" \
    "$(values ev loss_nats eval | tail -n 1)"
equal "evaluations at 3, 6, 9, 12" "$(values ev step eval | tr '\n' ' ')" "3 6 9 12 "
if values base loss_nats | head -n 1 | awk '{ d = $1 - log(258); exit !(d * d < 0.01) }'; then
    ok "the first loss is about ln V"
else failed "the first loss" "$(values base loss_nats | head -n 1)"; fi
if values base loss_nats | awk 'NR == 1 { a = $1 } { b = $1 } END { exit !(b < a - 0.3) }'; then
    ok "the loss falls"
else failed "the loss" "does not fall"; fi
trained "mask off" nomask data.mask_bos=false &&
    equal "all targets count without the mask" "$(values nomask targets | sort -u)" "320"
if values base targets | awk '$1 >= 320 { exit 1 }'; then ok "<s> is not scored"; else
    failed "<s> is not scored" "$(values base targets | tr '\n' ' ')"; fi
grep -q 'inner_after' "$WORK/base/metrics.jsonl" && ok "inner losses are there" || failed "inner losses" "none"
grep -q 'inner_after' "$WORK/st/metrics.jsonl" && failed "inner losses off" "still there" || ok "inner losses off"
expect_text "the predicted memory is reported" "sum  *[0-9.]* MiB" "$WORK/base.err"
expect_text "the peak is reported" "memory: predicted .* process" "$WORK/base.err"
expect_text "a progress line" "step 12/12  loss .* tok/s  mfu [0-9.]* %  grad .* lr .* inner .* left" "$WORK/base.err"

# Model FLOPs utilization: of a token's FLOPs, which ttt bench counts, at the speed of each step.
name="FLOPs of a token"; expect_exit 0 "$TTT" bench train "$WORK/run.yaml" --steps 1 --json
flops=$(sed -n 's/.*"flops_per_token": \([0-9.e+]*\).*/\1/p' "$WORK/out")
if sed -n 's/.*"kind":"start".*"peak_gflops":\([0-9.e+]*\).*/\1/p; s/.*"tok_per_s":\([0-9.e+-]*\),"mfu":\([0-9.e+-]*\).*/\1 \2/p' \
    "$WORK/base/metrics.jsonl" | awk -v flops="$flops" 'NF == 1 { peak = 1e9 * $1; next }
    { n++; d = $1 * flops / peak / $2 - 1; if (!(d * d < 1e-10)) exit 1 } END { exit n != 12 }'
then ok "mfu is speed by FLOPs by peak"; else failed "mfu is speed by FLOPs by peak" "$flops FLOPs"; fi

# Killed and taken up again: as if nothing had been.
TTT_FAIL="train.step#8=kill" train killed checkpoint.every_steps=3
differ "killed in step 8" "$?" "0"
equal "steps before it was killed" "$(values killed step | tail -n 1)" "7"
printf '{"kind":"step","step":8,"loss' >>"$WORK/killed/metrics.jsonl"
same "killed and resumed" killed checkpoint.every_steps=3
expect_text "resumed from step 6" "resumed from .*step-000000000006.*: step 6 root" "$WORK/killed.err"
equal "each step once" "$(values killed step | tr '\n' ' ')" "1 2 3 4 5 6 7 8 9 10 11 12 "

# A finished run is left as it is.
before=$(ls -lR --time-style=full-iso "$WORK/base/ckpt")
trained "finished" base
expect_text "a finished run says so" "is finished: step 12 root $root" "$WORK/base.err"
equal "a finished run's checkpoints are untouched" "$(ls -lR --time-style=full-iso "$WORK/base/ckpt")" "$before"

# A run whose last evaluation was cut off makes up for it.
sed -i '/"kind":"eval","step":12/d' "$WORK/ev/metrics.jsonl"
trained "finished, not evaluated" ev data.val="$WORK/val" eval.every_steps=3
equal "the missing evaluation is there" "$(values ev step eval | tr '\n' ' ')" "3 6 9 12 "

# Configuration changes in the middle.
TTT_FAIL="train.step#7=kill" train change
name="a free key may change" expect_exit 0 train change log.every_steps=5
expect_text "and is printed" "config: log.every_steps is 5, was 1" "$WORK/change.err"
equal "with the same root" "$(root_of change)" "$root"
TTT_FAIL="train.step#7=kill" train change2
name="another learning rate is refused" expect_exit 78 train change2 optim.lr=1e-4
expect_text "both values are reported" "optim.lr is 1e-4\|optim.lr is 0.0001" "$WORK/change2.err"
expect_text "and what to do" "allow-config-change" "$WORK/change2.err"
FLAGS=--allow-config-change
name="unless it is allowed" expect_exit 0 train change2 optim.lr=1e-4
differ "and then the root is another" "$(root_of change2)" "$root"
TTT_FAIL="train.step#7=kill" train change3
name="another shape never fits" expect_exit 78 train change3 model.ffn_width=96
FLAGS=

# Data with text that the tokenizer can't spell.
make_text 300 9 | sed "s/cat/$(printf '\346\274\242')/" >"$WORK/unk.jsonl"
"$TTT" prep --tokenizer "$ROOT/tests/golden/prep/unk.model" --out "$WORK/unk" "$WORK/unk.jsonl" 2>/dev/null
trained "<unk>" unk_run data.train="$WORK/unk" data.val="$WORK/unk" eval.every_steps=6 \
    model.vocab="$(sed -n 's/^vocab: //p' "$WORK/unk/INDEX")"
expect_text "<unk>: a warning" "/unk: $(sed -n 's/^unk_tokens: //p' "$WORK/unk/INDEX") of [0-9]* tokens are <unk>" \
    "$WORK/unk_run.err"
equal "<unk>: no bits per byte" "$(values unk_run bits_per_byte eval | sort -u)" null
equal "<unk>: counted" "$(values unk_run unk_tokens eval | sort -u)" \
    "$(sed -n 's/^unk_tokens: //p' "$WORK/unk/INDEX")"
equal "bits per byte where there is none" "$(values ev unk_tokens eval | sort -u)" 0

# Other data in the middle.
make_text 300 9 >"$WORK/other.jsonl"
"$TTT" prep --tokenizer bytes --out "$WORK/other" "$WORK/other.jsonl" >/dev/null 2>&1
TTT_FAIL="train.step#7=kill" train change4
name="other data are refused" expect_exit 78 train change4 data.train="$WORK/other"
expect_text "with the flag that allows them" "allow-data-change" "$WORK/change4.err"
FLAGS=--allow-data-change
name="unless they are allowed" expect_exit 0 train change4 data.train="$WORK/other"
FLAGS=

# From another model's weights.
trained "from a run" from train.init_from="$WORK/base" train.steps=2 &&
    if values from loss_nats | awk 'NR == 1 { exit !($1 < 5.2) }'; then ok "starts where the other ended"
    else failed "init_from" "first loss $(values from loss_nats | head -n 1)"; fi
name="from a model of another shape" expect_exit 78 train from2 train.init_from="$WORK/base" model.ffn_width=96
name="from nowhere" expect_exit 66 train from3 train.init_from="$WORK/nowhere"

# One owner.
TTT_FAIL="train.step#5=sleep:3000" train owned &
pid=$!
while [ "$(grep -c '"kind":"step"' "$WORK/owned/metrics.jsonl" 2>/dev/null)" != 4 ]; do sleep 0.05; done
cp "$WORK/owned.err" "$WORK/first.err"
name="a second process is refused" expect_exit 75 "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/owned"
wait $pid
equal "and the first ends well" "$(root_of owned)" "$root"

# More ranks than one: test_grid.sh.
if command -v "$MPIRUN" >/dev/null; then
    # shellcheck disable=SC2086
    name="one rank under mpirun" expect_exit 0 $RANKS 1 "$TTT" train "$WORK/run.yaml" --set run.dir="$WORK/one"
fi
# --- where the time went ---------------------------------------------------------------
FLAGS=--profile
trained "a run with --profile" profiled train.steps=2 && ok "a run with --profile"
FLAGS=
expect_text "forward has a rate" "^  FORWARD .* GFLOP/s .* % of dense products .* % of the peak$" "$WORK/profiled.out"
expect_text "the limits" "dense products reach [0-9.]* GFLOP/s on all together, the peak is [0-9.]*$" "$WORK/profiled.out"
expect_text "shares add up" "^  sum .* 100.0 %" "$WORK/profiled.out"
if sed -n 's/^  \([A-Za-z_ ]*[a-zA-Z]\)  *\([0-9.]*\) s .*/\1:\2/p' "$WORK/profiled.out" |
    awk -F: '$1 == "sum" { all = $2; next } { part += $2 } END { d = all - part; exit !(all > 0 && d * d < 1e-4) }'
then ok "seconds add up"; else failed "seconds add up" "$(cat "$WORK/profiled.out")"; fi

finish
