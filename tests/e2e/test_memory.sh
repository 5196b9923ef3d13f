# SPDX-License-Identifier: Apache-2.0
# The memory that a run asks for is what was predicted, saving and resuming included; what does not
# fit is reported before anything begins.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
. "$(dirname "$0")/grid.sh"
make_data
# 13 million parameters, so that all that is not counted is nothing compared with them.
cat >"$WORK/run.yaml" <<END
run: {dir: $WORK/run, seed: 3, threads: 1}
model: {vocab: 16384, layers: 2, width: 512, heads: 8, ffn_width: 1024}
data: {train: $WORK/train}
train: {steps: 2, context: 64, batch_tokens: 128}
checkpoint: {every_steps: 1, every_minutes: 0, keep: 2}
END

# close NAME A B LOW HIGH: B is LOW to HIGH of 100 times A.
close() {
    if [ -n "$2" ] && [ $(($3 * 100)) -ge $(($2 * $4)) ] && [ $(($3 * 100)) -le $(($2 * $5)) ]
    then ok "$1"
    else failed "$1" "predicted '$2', had '$3'"; fi
}
last() { values "$2" "$1" end | tail -n 1; }
# resident NAME DIR: of 100 predicted bytes 93 to 105 were resident, libraries and MPI included.
resident() { close "$1: resident as predicted" "$(last predicted_bytes "$2")" "$(last peak_bytes "$2")" 93 105; }
# predicted NAME DIR: and 98 to 104 of 100 bytes that the program asks for itself were allocated.
predicted() {
    close "$1: allocated as planned" "$(last planned_bytes "$2")" "$(last counted_bytes "$2")" 98 104
    resident "$1" "$2"
}
# measured NAME DIR [key=value ...]: a run of two steps, and its second one again, resumed.
measured() {
    name=$1; dir=$2; shift 2
    trained "$name" "$dir" "$@" && predicted "$name" "$dir"
    rm -r "$WORK/$dir/ckpt/step-000000000002.a0001"
    trained "$name, resumed" "$dir" "$@" && predicted "$name, resumed" "$dir"
    expect_text "$name, resumed: reported" 'resumed from .*: step 1 ' "$WORK/$dir.err"
}
measured "exact" exact
measured "fast" fast train.reduction=fast
measured "moments in bf16" moments train.reduction=fast optim.state=bf16
measured "bf16" bf16 train.precision=bf16
measured "saved at once" once train.reduction=fast checkpoint.background=false
long="data.val=$WORK/val train.context=1024 train.batch_tokens=1024"
# shellcheck disable=SC2086
measured "evaluated" eval train.reduction=fast $long
# shellcheck disable=SC2086
measured "evaluated in bf16" half train.precision=bf16 $long
# shellcheck disable=SC2086
measured "evaluated, a Transformer" llama model.layer=attention $long
measured "a mixture" mixture "model.layer=[ttt_linear,attention]"
sed 's/^  threads: .*/  threads: 1/' "$ROOT/config/rates/epyc-2core.yaml" >"$WORK/rates.yaml"
# planned NAME DIR [key=value ...]: ttt plan, and so ttt launch, and ttt config show expect what the
# run itself did.
planned() {
    name=$1; dir=$2; shift 2
    sets=; for s in "$@"; do sets="$sets --set $s"; done
    # shellcheck disable=SC2086
    total=$("$TTT" plan "$WORK/run.yaml" --grid ${GRID:-1x1x1} --rates "$WORK/rates.yaml" --json \
        $sets | sed -n 's/^ *"total": \([0-9]*\).*/\1/p')
    equal "$name: as ttt plan has it" "$total" "$(last predicted_bytes "$dir")"
    # shellcheck disable=SC2086
    "$TTT" config show "$WORK/run.yaml" --set run.grid=${GRID:-1x1x1} $sets |
        sed -n 's/^# *\(sum .*\)/\1/p' >"$WORK/shown"
    "$TTT" plan "$WORK/run.yaml" --grid ${GRID:-1x1x1} --rates "$WORK/rates.yaml" $sets |
        sed -n 's/^  memory  *\([0-9.]* [A-Z]*i*B\) on rank.*/sum \1/p' >"$WORK/said"
    check "$name: ttt config show has a sum" test -s "$WORK/shown"
    equal "$name: and ttt config show" "$(tr -s ' ' <"$WORK/shown")" "$(cat "$WORK/said")"
}
planned "exact" exact
planned "saved at once" once train.reduction=fast checkpoint.background=false
# shellcheck disable=SC2086
planned "evaluated" eval train.reduction=fast $long
# shellcheck disable=SC2086
planned "evaluated in bf16" half train.precision=bf16 $long
trained "SOAP" soap optim.kind=soap && planned "SOAP" soap optim.kind=soap
# Several ranks evaluate with a second, forward-only pass, and MPI has buffers.
# shellcheck disable=SC2086
on 4x1x1 four train.reduction=fast $long train.batch_tokens=4096 && {
    predicted "four ranks, evaluated" four
    GRID=4x1x1 planned "four ranks" four train.reduction=fast $long train.batch_tokens=4096
}
# shellcheck disable=SC2086
on 1x2x2 stages $long train.slice_tokens=256 && {
    resident "stages and units, evaluated" stages
    GRID=1x2x2 planned "stages and units" stages $long train.slice_tokens=256
}
TTT_FAIL="train.no_room=err"; export TTT_FAIL
measured "saved in place" place train.reduction=fast
equal "which takes no more" "$(values place predicted_bytes end)" "$(values once predicted_bytes end)"
on 2x1x1 two && predicted "in place on two processes" two
unset TTT_FAIL
on 2x1x1 three checkpoint.writers=1 && predicted "two processes and one writer" three

train large model.width=65536 model.heads=1024 model.ffn_width=1000000 model.vocab=16000000
equal "too large: exit code" "$?" 71
expect_text "too large: reported" 'wants [0-9.]* TiB of memory on a machine of' "$WORK/large.err"
expect_text "too large: what would help" 'train.reduction=fast, optim.state=bf16, ' "$WORK/large.err"
finish
