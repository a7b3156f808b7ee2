#include "comm/session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "comm/blocking_call.hpp"
#include "comm/mpi_handle.hpp"

namespace fcmnist::comm {

namespace {

/// For each rank: its process if it runs on this host, else 0.
std::vector<pid_t> host_pids(const Communicator& world) {
  char host[MPI_MAX_PROCESSOR_NAME] = {};
  int length = 0;
  FCMNIST_MPI(MPI_Get_processor_name(host, &length));
  const std::string suffix = fmt::format(" {}", std::string_view(host, static_cast<std::size_t>(length)));
  std::vector<pid_t> pids;
  for (const std::string& process : world.all_gather(fmt::format("{}{}", getpid(), suffix))) {
    pids.push_back(process.ends_with(suffix) ? std::stoi(process) : 0);
  }
  return pids;
}

}  // namespace

Session::Session() {
  int provided = 0;
  FCMNIST_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided));
  FCMNIST_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  int rank = 0, size = 0;
  FCMNIST_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &rank));
  FCMNIST_MPI(MPI_Comm_size(MPI_COMM_WORLD, &size));
  auto world = std::make_unique<StallWatch::World>();
  StallWatch::World& shared = *world;
  world->comm = MPI_COMM_WORLD;
  world->rank = static_cast<std::size_t>(rank);
  world->notes.assign(static_cast<std::size_t>(size), MPI_REQUEST_NULL);
  watch_ = std::make_unique<StallWatch>(std::move(world));
  world_ =
      std::make_unique<Communicator>(std::make_unique<Communicator::Handle>(MPI_COMM_WORLD, false, *watch_));
  shared.host_pids = host_pids(*world_);
}

Session::~Session() {
  world_->barrier_or_end_world();
  world_.reset();
  const BlockingCall watched(*watch_);
  check_mpi_nothrow(MPI_Finalize());
}

void Session::abort_all(ExitCode code) const {
  MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::abort();
}

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  FCMNIST_MPI(MPI_Get_library_version(text, &length));
  const std::string all(text, static_cast<std::size_t>(length));
  return all.substr(0, all.find(','));
}

}  // namespace fcmnist::comm
