#pragma once

#include <string>
#include <string_view>

#include "comm/communicator.hpp"
#include "comm/stall_watch.hpp"
#include "core/error.hpp"

namespace fcmnist::comm {

/// MPI from its initialisation to its finalisation. A process has one session, which outlives all
/// communicators. Its end is collective: if a rank does not come to it, the world ends as in any other wait.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const Communicator& world() const { return *world_; }

  /// Before this call the default of CommOptions holds. All ranks must set the same timeout.
  void set_stall_timeout(double timeout_s) const { watch_->set_timeout(timeout_s); }

  /// Ends every rank of the world with this exit code. For an error that only this rank knows.
  [[noreturn]] void abort_all(ExitCode code) const;

 private:
  std::unique_ptr<StallWatch> watch_;
  std::unique_ptr<Communicator> world_;
};

/// The version of the MPI library, such as "Open MPI v4.1.4".
std::string mpi_version();

}  // namespace fcmnist::comm
