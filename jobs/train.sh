#!/usr/bin/env bash
# Trains what a configuration says and evaluates the result. Repeated, it goes on where it stopped.
#   jobs/train.sh [CONFIG.yaml] [RANKS] [more arguments of fcmnist_mpi...]
#   jobs/train.sh configs/params.yaml 4 --num_epochs 3 -o runs/short
# Without CONFIG: configs/fcmnist_500_300.yaml. Without RANKS: one per core, or the tasks of the Slurm job. Results go to
# model_dir/<name of the configuration> unless -o says otherwise.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

read_training_arguments "$@"
launch "$ranks" --params "$subject" --model_dir "$model_dir" "${more[@]}"
