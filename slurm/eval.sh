#!/usr/bin/env bash
# Scores the newest checkpoint of a run in a Slurm job. From the repository, or from share/fcmnist_mpi:
#   sbatch slurm/eval.sh runs/ten_by_fifty
#   sbatch slurm/eval.sh runs/ten_by_fifty --mode eval_all                       every checkpoint of the run
#   sbatch --dependency=afterok:JOB slurm/eval.sh runs/ten_by_fifty              when a job of slurm/train.sh is done
# Arguments go to jobs/eval.sh: [MODEL_DIR] [more arguments of fcmnist_mpi...].
#SBATCH --job-name=fcmnist_eval
#SBATCH --output=%x-%j.out
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=1
#SBATCH --time=00:10:00
#SBATCH --requeue
set -euo pipefail

root=${FCMNIST_ROOT:-${SLURM_SUBMIT_DIR:?"not inside a Slurm job; HINT: sbatch slurm/eval.sh"}}
if [[ ! -r $root/slurm/job.sh ]]; then
  printf 'eval.sh: error: no slurm/job.sh in %s\nHINT: %s\n' "$root" \
    "sbatch from the repository, or set FCMNIST_ROOT to it" >&2
  exit 2
fi
source "$root/slurm/job.sh"

exec "$root/jobs/eval.sh" "$@"
