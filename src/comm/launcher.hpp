#pragma once

namespace fcmnist::comm {

// What the environment says about the launcher of this process (mpirun, srun). No Session is needed: the
// functions serve what is said before MPI starts.

/// The rank that the launcher announced to this process, 0 when there is no launcher.
int launcher_rank();

/// Whether the launcher joins its processes by PMI, as mpirun and srun --mpi=pmix do.
bool launched_by_mpi();

/// The number of tasks in the Slurm job step of this process if MPI has not joined them, or 0 when all is
/// well. A world of 1 rank in a step of N tasks means that N separate runs were started by mistake. A world of 1
/// rank in the script of a job of N tasks is one process on purpose.
///   world_size  the number of ranks that MPI sees
int unjoined_slurm_tasks(int world_size);

}  // namespace fcmnist::comm
