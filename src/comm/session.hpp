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

/// Version text of the MPI library.
std::string mpi_version();

}  // namespace fcmnist::comm
