#include "train/blas_kernels.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "kernels/gemm.hpp"

namespace fcmnist::train {

void choose_blas_kernels(char** argv) {
  constexpr const char* variable = "OPENBLAS_CORETYPE";
  if (std::getenv(variable) != nullptr) return;
  const std::string core = kernels::faster_core_type();
  if (core.empty() || setenv(variable, core.c_str(), 0) != 0) return;
  execv("/proc/self/exe", argv);
  unsetenv(variable);  // only reached when the program could not be started anew: go on as it is
}

}  // namespace fcmnist::train
