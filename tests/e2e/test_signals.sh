# SIGUSR1, SIGTERM, SIGINT: saved at the next step, exit code 85, and no step is lost.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny.sh"
make_data
make_config "$WORK/run.yaml"
sets="train.steps=60 checkpoint.every_steps=0 checkpoint.background=true"

# shellcheck disable=SC2086
trained "uninterrupted" whole $sets && ok "uninterrupted"
root=$(root_of whole)
curve=$(values whole loss_nats)

# shellcheck disable=SC2086
trained "another seed" seed $sets run.seed=4 && differ "another seed, another root" "$(root_of seed)" "$root"

steps_of() { grep -c '"kind":"step"' "$WORK/$1/metrics.jsonl" 2>/dev/null; }

# interrupted DIR SIGNAL TIMES: send a signal while step 20 waits; more of them meet the save.
interrupted() {
    # shellcheck disable=SC2086
    (TTT_FAIL="train.step#20=sleep:700,ckpt.after_mkdir=sleep:300"; export TTT_FAIL; train "$1" $sets) &
    pid=$!
    while [ "$(steps_of "$1")" != 19 ]; do sleep 0.02; done
    child=$(pgrep -P $pid -f "ttt train" || pgrep -P "$(pgrep -P $pid | head -n 1)" -f "ttt train")
    i=0
    while [ $i -lt "$3" ]; do kill -"$2" "$child" 2>/dev/null; i=$((i + 1)); sleep 0.05; done
    wait $pid
    equal "$2 x $3: exit code" "$?" 85
    expect_text "$2 x $3: committed" "committed step 20 root" "$WORK/$1.out"
    expect_text "$2 x $3: said" "step 20 is saved; the same command goes on" "$WORK/$1.err"
    # shellcheck disable=SC2086
    trained "$2 x $3: taken up again" "$1" $sets || return
    equal "$2 x $3: same root" "$(root_of "$1")" "$root"
    equal "$2 x $3: same losses" "$(values "$1" loss_nats)" "$curve"
}
interrupted usr1 USR1 1
interrupted term TERM 1
interrupted int INT 1
interrupted twice TERM 4

# A signal in the last step: the run is complete, and says so with 0.
# shellcheck disable=SC2086
(TTT_FAIL="train.step#60=sleep:700"; export TTT_FAIL; train last $sets) &
pid=$!
while [ "$(steps_of last)" != 59 ]; do sleep 0.02; done
kill -TERM "$(pgrep -P $pid -f 'ttt train' || pgrep -P "$(pgrep -P $pid | head -n 1)" -f 'ttt train')"
wait $pid
equal "TERM in the last step: exit code" "$?" 0
equal "TERM in the last step: same root" "$(root_of last)" "$root"
finish
