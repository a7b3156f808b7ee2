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
  std::vector<MPI_Request> notes;  ///< for each rank: the last note that this rank sent to it
  std::vector<pid_t> host_pids;    ///< for each rank: its process if it runs on this host, else 0
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

/// A long array is cut into messages of this many bytes. Open MPI sends messages over TCP at once if they
/// have at most 64 KiB with their header.
inline constexpr std::size_t message_bytes = 61'440;

/// Turns a failed MPI call into a CommError that names the call.
void check_mpi(int status, const char* call);

/// For destructors: whether a collective call that frees something may be made. It may not be made after MPI
/// has ended. Nor may it be made while an exception is under way, for the other ranks may not come to the
/// call.
bool can_still_free() noexcept;

/// For destructors, which cannot do anything about a failure.
void check_mpi_nothrow(int status) noexcept;

}  // namespace fcmnist::comm

#define FCMNIST_MPI(call) ::fcmnist::comm::check_mpi((call), #call)
