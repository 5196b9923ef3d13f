#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# grid.sh PROGRAM -- steps on two ranks with one thread: data, sequence and pipeline parallelism,
# each compared with the prediction of ttt plan from rates measured just before, and sequence with
# data parallelism.
# TTT-Linear 125m, 12 layers, 4 sequences of 512 tokens in micro-batches of one.
ttt=$1
run=$(dirname "$0")/../../config/ttt-linear-125m.yaml
set -- --threads 1 --set train.context=512 --set train.slice_tokens=256 \
    --set train.batch_tokens=2048 --set train.micro_batch=1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
two() { "${MPIRUN:-mpirun}" -n 2 --oversubscribe "$ttt" "$@" </dev/null; }
two bench rates "$run" "$@" --out "$work/rates" || exit 1
for grid in 2x1x1 1x1x2 1x2x1; do
    two bench grid "$run" "$@" --rates "$work/rates" --grid $grid --steps 5 >"$work/$grid" || exit 1
    cat "$work/$grid"
done
speed() { sed -n 's|.* \([0-9.]*\) tokens/s.*|\1|p' "$work/$1"; }
echo "1x1x2 runs at $(echo "$(speed 1x1x2) $(speed 2x1x1)" | awk '{ printf "%.0f", 100 * $1 / $2 }') % of the tokens/s of 2x1x1"
