#pragma once

#include <mpi.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "comm/communicator.hpp"
#include "comm/stall_watch.hpp"

namespace fcmnist::comm {

struct Communicator::Handle {
  Handle(MPI_Comm comm_, bool owned_, StallWatch& watch_) : comm(comm_), owned(owned_), watch(&watch_) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle();

  MPI_Comm comm;
  bool owned;
  StallWatch* watch;
};

struct StallWatch::World {
  MPI_Comm comm = MPI_COMM_NULL;
  std::size_t rank = 0;
  std::vector<MPI_Request> notes;  ///< to each rank: the last one
  std::vector<pid_t> host_pids;    ///< of each rank on this host, 0 for the others
};

template <class Number>
MPI_Datatype mpi_type();
template <>
inline MPI_Datatype mpi_type<float>() {
  return MPI_FLOAT;
}
template <>
inline MPI_Datatype mpi_type<std::int64_t>() {
  return MPI_INT64_T;
}

/// Turns a failed MPI call into a CommError that names the call.
void check_mpi(int status, const char* call);

/// For destructors: whether a collective call that frees something may be made, which it may not while an
/// exception is on its way or after MPI has ended.
bool can_still_free() noexcept;

/// For destructors: after MPI_Finalize, or while an exception is under way, nothing can be done about a
/// failure.
void check_mpi_nothrow(int status) noexcept;

}  // namespace fcmnist::comm

#define FCMNIST_MPI(call) ::fcmnist::comm::check_mpi((call), #call)
