#include "kernels/blas_threads.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/gemm.hpp"
#include "support/process_threads.hpp"

namespace fcmnist::kernels {
namespace {

using test::threads_of_this_process;

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? text : "";
}

// Whatever tests do afterwards.
const int threads_before_main = threads_of_this_process();

TEST(BlasThreads, ThereAreNoneBeforeMain) { EXPECT_EQ(threads_before_main, 1); }

/// Runs under environments that the next test makes; the first part of each says what main() must see.
TEST(BlasThreads, TheEnvironmentIsTheUsers) {
  const std::string expected = variable("FCMNIST_EXPECTED");
  if (expected.empty()) return;
  EXPECT_EQ(expected, variable("OPENBLAS_NUM_THREADS") + "," + variable("SHLVL"));
}

TEST(BlasThreads, ThereAreNoneWhateverTheEnvironmentSays) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string tests =
      " '" + program + "' --gtest_brief=1 --gtest_filter='*BeforeMain:*EnvironmentIsTheUsers'";
  for (const char* environment :
       {"env -i SHLVL=4 FCMNIST_EXPECTED=,4", "env -i PATH=/usr/bin FCMNIST_EXPECTED=,",
        "env -i HOME=/ OMP_NUM_THREADS=3", "env -i OPENBLAS_NUM_THREADS=3 FCMNIST_EXPECTED=3,",
        "env -i OPENBLAS_NUM_THREADS=2 SHLVL=4 FCMNIST_EXPECTED=2,4"}) {
    EXPECT_EQ(std::system((environment + tests).c_str()), 0) << environment;
  }
}

TEST(BlasThreads, AreAsManyAsAreAskedFor) {
  constexpr std::size_t size = 256;
  const std::vector<float> a(size * size, 1.0F);
  std::vector<float> c(size * size);
  for (const int threads : {1, 3, 1, 2}) {
    set_blas_threads(threads);
    gemm(GemmBackend::openblas, Op::none, {a.data(), size, size}, Op::none, {a.data(), size, size}, 1.0F,
         0.0F, {c.data(), size, size});
    EXPECT_EQ(c, std::vector<float>(size * size, static_cast<float>(size)));
    EXPECT_GE(threads_of_this_process(), threads);
  }
}

}  // namespace
}  // namespace fcmnist::kernels
