#pragma once

#include <string>
#include <string_view>

#include "comm/communicator.hpp"
#include "comm/stall_watch.hpp"
#include "core/error.hpp"

namespace fcmnist::comm {

/// MPI from initialisation to finalisation. One per process; outlives all communicators. The end is
/// collective: a rank that does not come to it ends the world, like in any other wait.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const Communicator& world() const { return *world_; }

  /// Until then the default of CommOptions holds. Collective, in that all ranks must set the same.
  void set_stall_timeout(double timeout_s) const { watch_->set_timeout(timeout_s); }

  /// Ends every rank of the world with this exit code, after an error that only this rank knows of.
  [[noreturn]] void abort_all(ExitCode code) const;

 private:
  std::unique_ptr<StallWatch> watch_;
  std::unique_ptr<Communicator> world_;
};

/// Seconds since some moment in the past: the only clock of the program.
double now_s();

/// Version text of the MPI library.
std::string mpi_version();

/// Rank that a launcher (mpirun, srun) announced to this process, 0 when there is none. Needs no Session: for
/// what is said before MPI starts.
int launcher_rank();

/// Whether a launcher that joins processes by PMI, such as mpirun or srun --mpi=pmix, started this one.
bool launched_by_mpi();

/// Number of tasks of the Slurm job step in which this process was started without an MPI that joins them, or
/// 0 when all is well. `world_size` is what MPI sees. A world of 1 inside a step of N tasks means N separate
/// runs by mistake.
int unjoined_slurm_tasks(int world_size);

}  // namespace fcmnist::comm
