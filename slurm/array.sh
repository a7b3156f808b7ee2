#!/usr/bin/env bash
# One training for each task of a Slurm job array; each stops, queues itself again and goes on as with slurm/train.sh.
#   sbatch --array=1-5 slurm/array.sh configs/params.yaml                        seeds 1 to 5 of one configuration
#   sbatch --array=1-2 slurm/array.sh a.yaml b.yaml --num_epochs 3               task i trains the i-th configuration
#   sbatch --array=1-100%8 slurm/array.sh configs/params.yaml -o runs/seeds      8 at a time, results in runs/seeds/...
# Results go to model_dir/<name of the configuration>_seed<task>, or with several to model_dir/<name of the
# configuration>; -o DIR takes the place of model_dir. More arguments go to every task.
#SBATCH --job-name=fcmnist_array
#SBATCH --output=%x-%A_%a.out
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=1
#SBATCH --time=00:30:00
#SBATCH --signal=B:USR1@90
#SBATCH --requeue
set -euo pipefail

root=${FCMNIST_ROOT:-${SLURM_SUBMIT_DIR:?"not inside a Slurm job; HINT: sbatch --array=1-5 slurm/array.sh"}}
if [[ ! -r $root/slurm/job.sh ]]; then
  printf 'array.sh: error: no slurm/job.sh in %s\nHINT: %s\n' "$root" \
    "sbatch from the repository, or set FCMNIST_ROOT to it" >&2
  exit 2
fi
source "$root/slurm/job.sh"

configs=()
while [[ ${1:-} == *.yaml ]]; do configs+=("$1") && shift; done
[[ -n ${SLURM_ARRAY_TASK_ID:-} ]] || fail "not a job array" "sbatch --array=1-5 slurm/array.sh [CONFIG.yaml...]"
task=$SLURM_ARRAY_TASK_ID
results=$(find_model_dir model_dir "$@")
if ((${#configs[@]} < 2)); then
  config=${configs[0]:-$root/configs/fcmnist_500_300.yaml}
  train_to_the_end "$config" "$@" "runconfig.seed=$task" -o "$results/$(basename "$config" .yaml)_seed$task"
else
  ((1 <= task && task <= ${#configs[@]})) ||
    fail "task $task, but ${#configs[@]} configurations" "sbatch --array=1-${#configs[@]} slurm/array.sh ..."
  config=${configs[task - 1]}
  train_to_the_end "$config" "$@" -o "$results/$(basename "$config" .yaml)"
fi
