# SPDX-License-Identifier: Apache-2.0
# mpi.sh -- how tests start several processes:  $RANKS 2 PROGRAM ...   Sourced.
#
# MPI=mpich: with MPICH, whose builds are in trees of their own; else with Open MPI.
MPI=${MPI:-openmpi}
case $MPI in
    mpich) MPIRUN=${MPIRUN:-mpirun.mpich} RANKS="$MPIRUN -n" MPI_TREE=/mpich ;;
    *)     MPIRUN=${MPIRUN:-mpirun} RANKS="$MPIRUN --oversubscribe --bind-to none -n" MPI_TREE= ;;
esac
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
OMPI_MCA_mpi_yield_when_idle=1   # tests share their cores
export MPI OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_mpi_yield_when_idle
