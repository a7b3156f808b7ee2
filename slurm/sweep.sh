#!/usr/bin/env bash
# Trains the trials of a sweep (section sweep of the configuration) in one Slurm job, or in the tasks of a job array that
# share them. A job stops in time, queues itself again and goes on until all trials have ended, as with slurm/train.sh.
#   sbatch --ntasks-per-node=8 slurm/sweep.sh configs/sweep_example.yaml -o runs/s              one job
#   sbatch --array=0-15 slurm/sweep.sh configs/sweep_example.yaml -o runs/s                     16 jobs, one folder
# All tasks of an array get the same arguments. Results go to model_dir/<name of the configuration> unless -o says otherwise.
#SBATCH --job-name=fcmnist_sweep
#SBATCH --output=%x-%j.out
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=1
#SBATCH --time=00:30:00
#SBATCH --signal=B:USR1@90
#SBATCH --requeue
set -euo pipefail

root=${FCMNIST_ROOT:-${SLURM_SUBMIT_DIR:?"not inside a Slurm job; HINT: sbatch slurm/sweep.sh CONFIG.yaml"}}
if [[ ! -r $root/slurm/job.sh ]]; then
  printf 'sweep.sh: error: no slurm/job.sh in %s\nHINT: %s\n' "$root" \
    "sbatch from the repository, or set FCMNIST_ROOT to it" >&2
  exit 2
fi
source "$root/slurm/job.sh"
[[ ${1:-} == *.yaml ]] || fail "no configuration" "sbatch slurm/sweep.sh CONFIG.yaml, with a section sweep"

progress="steps in the checkpoints of all trials"
restarts_file() { # each task of an array has its own
  echo "$model_dir/slurm_restarts${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
}
newest_step() {
  local trial file step newest sum=none
  for trial in "$model_dir"/trial_*/; do
    [[ -d $trial ]] || continue
    newest=0
    for file in "$trial"checkpoint_*.h5; do
      step=${file##*/checkpoint_} step=${step%.h5}
      if [[ $step =~ ^[0-9]+$ ]] && ((step > newest)); then newest=$step; fi
    done
    if [[ $sum == none ]]; then sum=0; fi
    sum=$((sum + newest))
  done
  echo "$sum"
}

train_to_the_end "$@" -m sweep
