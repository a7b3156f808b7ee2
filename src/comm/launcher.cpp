#include "comm/launcher.hpp"

#include <cstdlib>
#include <initializer_list>

namespace fcmnist::comm {

namespace {

int number_from_environment(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : 0;  // NOLINT(cert-err34-c): a launcher's own number, or 0
}

}  // namespace

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
  // mpirun tells each rank the size of its world, also when it starts one rank inside a larger job.
  if (world_size > 1 || std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) return 0;
  const char* step_tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  const int tasks = number_from_environment(step_tasks != nullptr ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS");
  return tasks > 1 ? tasks : 0;
}

}  // namespace fcmnist::comm
