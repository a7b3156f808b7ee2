#!/usr/bin/env bash
# Goes on with a run from its newest checkpoint, with the settings it was started with; may make it longer.
#   jobs/resume.sh [MODEL_DIR] [RANKS] [more arguments of fcmnist_mpi...]
#   jobs/resume.sh runs/short 8 --num_epochs 20                   the number of ranks may differ from before
# Without MODEL_DIR: model_dir/fcmnist_500_300, where jobs/train.sh puts the default experiment.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

read_arguments model_dir/fcmnist_500_300 "$@"
compgen -G "$subject/checkpoint_*.h5" >/dev/null ||
  fail "$subject: no checkpoint to go on from" "jobs/train.sh starts a run; its -o/--model_dir is what goes here"
launch "$ranks" --model_dir "$subject" "${more[@]}"
