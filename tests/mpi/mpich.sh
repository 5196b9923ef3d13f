# SPDX-License-Identifier: Apache-2.0
# mpich.sh -- the short form of `make test MPI=mpich`: the program of MPICH's tree ends with the state
# of Open MPI's, on a grid, launched, through a kill; each refuses the other one's mpirun.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/tiny.sh"
. "$(dirname "$0")/../e2e/launch.sh"
. "$(dirname "$0")/../e2e/grid.sh"
make_data
make_grid_config "$WORK/run.yaml"

# A test of its own, under the checker of MPI use.
name="sums over two ranks" expect_exit 0 timeout 120 $RANKS 2 \
    env LD_PRELOAD="$MPICHECK" "$BUILD$MPI_TREE/tests/mpi/test_reduce"

TTT_OPENMPI=$BUILD/ttt
TTT=$TTT_OPENMPI train alone
root=$(root_of alone)
went "on 1x1x2" 1x1x2 grid && equal "a grid: the state of one process of Open MPI's tree" "$(root_of grid)" "$root"
name="eval on two ranks" expect_exit 0 timeout 120 $RANKS 2 "$TTT" eval "$WORK/grid" "$WORK/val" --max-tokens 480
equal "eval on two ranks: one answer" "$(grep -c perplexity "$WORK/out")" 1

# A rank is killed, and the launcher restarts the run; a signal lets it save, and it is resumed.
FAIL="train.step@1#15=kill" launch killed -n 2
equal "a killed rank: exit code" "$?" 0
equal "a killed rank: why" "$(notes killed exit why | head -n 1)" "a process ended by signal 9 (Killed)"
equal "a killed rank: started again" "$(notes killed start restarts | tr '\n' ' ')" "0 1 "
equal "a killed rank: same root" "$(root_of killed)" "$root"
FAIL="train.step@0#10=sleep:20000" launch stopped -n 2 checkpoint.every_steps=0 &
pid=$!
await_step stopped 9
kill -TERM "$(launcher_of stopped)"
wait $pid
equal "a signal: saved" "$?" 85
launch stopped -n 2 checkpoint.every_steps=0
equal "a signal: resumed, same root" "$(root_of stopped)" "$root"
FAIL="train.step@1#15=spin" launch hung -n 2 watchdog.step_s=4 watchdog.data_s=4
equal "a process that hangs: exit code" "$?" 0
equal "a process that hangs: found" "$(notes hung hang rank)" 1
equal "a process that hangs: same root" "$(root_of hung)" "$root"
equal "no page of a process is left" "$(pages_left)" 0

# One MPI's launcher and another one's program.
for way in "mpirun.mpich -n 2 $TTT_OPENMPI" "mpirun.openmpi --oversubscribe -n 2 $TTT"; do
    command -v "${way%% *}" >/dev/null || continue
    # shellcheck disable=SC2086
    timeout 60 $way train "$WORK/run.yaml" --set run.dir="$WORK/mixed" >"$WORK/out" 2>"$WORK/err" </dev/null
    equal "${way%% *} for the other MPI: exit code" "$?" 78
    expect_text "${way%% *} for the other MPI: reported" "started 2 processes, but MPI connects only 1 of them"
    check "${way%% *} for the other MPI: nobody trains" test ! -e "$WORK/mixed"
done
finish
