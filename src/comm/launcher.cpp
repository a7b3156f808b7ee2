#include "comm/launcher.hpp"

#include <cstdint>
#include <cstdlib>
#include <initializer_list>

namespace fcmnist::comm {

namespace {

int number_from_environment(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : 0;  // NOLINT(cert-err34-c): a launcher's own number, or 0
}

/// Not so in the script of a job, in the shell of salloc, and outside of Slurm. SLURM_NTASKS and other variables of the
/// job are set in its script too, which is one process.
bool in_parallel_slurm_step() {
  constexpr std::int64_t first_special_step = 0xffff'fff0;  // of the script, of an interactive shell, ...
  for (const char* name : {"SLURM_STEP_ID", "SLURM_STEPID"}) {
    const char* text = std::getenv(name);
    if (text != nullptr && std::atoll(text) >= first_special_step) return false;  // NOLINT(cert-err34-c)
  }
  return true;
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
  if (world_size > 1 || std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || !in_parallel_slurm_step()) return 0;
  const int tasks = number_from_environment("SLURM_STEP_NUM_TASKS");
  return tasks > 1 ? tasks : 0;
}

}  // namespace fcmnist::comm
