#!/usr/bin/env bash
# Trains in a Slurm job that stops in time, queues itself again and goes on until all steps are done. From the
# repository, or from share/fcmnist_mpi where it is installed:
#   sbatch slurm/train.sh                                                        the default experiment on one node
#   sbatch --nodes=2 --ntasks-per-node=16 slurm/train.sh configs/params.yaml -o runs/ten_by_fifty
# Arguments go to jobs/train.sh: [CONFIG.yaml] [more arguments of fcmnist_mpi...]. Fetch the data first, where there is
# internet: fcmnist_mpi -m prepare_data. From elsewhere set FCMNIST_ROOT. LAUNCHER=mpirun or srun overrides the choice.
# Your site's modules are loaded in slurm/job.sh.
#SBATCH --job-name=fcmnist_mpi
#SBATCH --output=%x-%j.out
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=1
#SBATCH --time=00:30:00
#SBATCH --signal=B:USR1@90
#SBATCH --requeue
set -euo pipefail

# Slurm runs a copy of this script, so its own path does not lead to the repository.
root=${FCMNIST_ROOT:-${SLURM_SUBMIT_DIR:?"not inside a Slurm job; HINT: sbatch slurm/train.sh"}}
if [[ ! -r $root/slurm/job.sh ]]; then
  printf 'train.sh: error: no slurm/job.sh in %s\nHINT: %s\n' "$root" \
    "sbatch from the repository, or set FCMNIST_ROOT to it" >&2
  exit 2
fi
source "$root/slurm/job.sh"

train_to_the_end "$@"
