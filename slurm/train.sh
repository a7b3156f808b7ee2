#!/usr/bin/env bash
# Trains in a Slurm job. From the repository, or from share/fcmnist_mpi where it is installed:
#   sbatch slurm/train.sh                                                        the default experiment on one node
#   sbatch --nodes=2 --ntasks-per-node=16 slurm/train.sh configs/params.yaml -o runs/ten_by_fifty
# Arguments go to jobs/train.sh: [CONFIG.yaml] [more arguments of fcmnist_mpi...]. Fetch the data first, where there is
# internet: fcmnist_mpi -m prepare_data. From elsewhere set FCMNIST_ROOT. LAUNCHER=mpirun or srun overrides the choice.
#SBATCH --job-name=fcmnist_mpi
#SBATCH --output=%x-%j.out
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=1
#SBATCH --time=00:30:00
set -euo pipefail

# ---- Your site: load here the modules that the program was built with, for example
# module load gcc openmpi openblas hdf5
# ----

# Slurm runs a copy of this script, so its own path does not lead to the repository.
root=${FCMNIST_ROOT:-${SLURM_SUBMIT_DIR:?"not inside a Slurm job; HINT: sbatch slurm/train.sh"}}
if [[ ! -x $root/jobs/train.sh ]]; then
  printf 'train.sh: error: no jobs/train.sh in %s\nHINT: %s\n' "$root" \
    "sbatch from the repository, or set FCMNIST_ROOT to it" >&2
  exit 2
fi
if [[ -z ${LAUNCHER:-} ]]; then
  if srun --mpi=list 2>&1 | grep -q pmix; then LAUNCHER=srun; else LAUNCHER=mpirun; fi
fi
export LAUNCHER SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # srun does not inherit --cpus-per-task by itself
exec "$root/jobs/train.sh" "$@"
