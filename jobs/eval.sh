#!/usr/bin/env bash
# Scores the newest checkpoint of a run on the test set.
#   jobs/eval.sh [MODEL_DIR] [RANKS] [more arguments of fcmnist_mpi...]
#   jobs/eval.sh runs/short 4 --mode eval_all                     every checkpoint of the run
#   jobs/eval.sh runs/short --checkpoint_path runs/short/checkpoint_4690.h5
# Without MODEL_DIR: model_dir/fcmnist_500_300, where jobs/train.sh puts the default experiment.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

read_arguments model_dir/fcmnist_500_300 "$@"
launch "$ranks" --mode eval --model_dir "$subject" "${more[@]}"
