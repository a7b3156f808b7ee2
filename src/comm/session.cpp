#include "comm/session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "comm/blocking_call.hpp"
#include "comm/mpi_handle.hpp"

namespace fcmnist::comm {

namespace {

int number_from_environment(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : 0;  // NOLINT(cert-err34-c): a launcher's own number, or 0
}

/// The processes of the ranks on this host, 0 for ranks elsewhere.
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

double now_s() { return MPI_Wtime(); }

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  FCMNIST_MPI(MPI_Get_library_version(text, &length));
  const std::string all(text, static_cast<std::size_t>(length));
  return all.substr(0, all.find(','));
}

int launcher_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
    if (std::getenv(name) != nullptr) return number_from_environment(name);
  }
  return 0;
}

bool launched_by_mpi() {
  return std::getenv("OMPI_COMM_WORLD_RANK") != nullptr || std::getenv("PMIX_RANK") != nullptr ||
         std::getenv("PMI_RANK") != nullptr;
}

int unjoined_slurm_tasks(int world_size) {
  // mpirun says how many it started, also when it is asked for one inside a larger job.
  if (world_size > 1 || std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) return 0;
  const char* step_tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  const int tasks = number_from_environment(step_tasks != nullptr ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS");
  return tasks > 1 ? tasks : 0;
}

}  // namespace fcmnist::comm
