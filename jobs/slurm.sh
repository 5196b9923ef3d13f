#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#SBATCH --job-name={{NAME}}
#SBATCH --nodes={{NODES}}
#SBATCH --ntasks-per-node={{TASKS}}
#SBATCH --cpus-per-task={{CPUS}}
#SBATCH --time={{TIME}}
#SBATCH --chdir="{{FOLDER}}"
#SBATCH --output="{{LOG}}"
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@{{SIGNAL}}
{{OPTIONS}}
# Written by ttt launch --slurm; jobs/README.md tells what happens here. The signal is for this
# shell, which the launcher replaces: it lets the run save, puts the job into the queue again, and
# ends.
trap "" USR1
{{SETUP}}
exec {{COMMAND}}
