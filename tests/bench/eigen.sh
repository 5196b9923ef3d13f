# SPDX-License-Identifier: Apache-2.0
# eigen.sh PROGRAM -- decompositions over 1, 2 and 4 processes of one thread.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
for n in 1 2 4; do
    "${MPIRUN:-mpirun}" -n $n --oversubscribe "$1" bench eigen </dev/null || exit 1
done
