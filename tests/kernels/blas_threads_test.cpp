#include "kernels/blas_threads.hpp"

#include <gtest/gtest.h>
#include <sys/time.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/signal_stack.hpp"
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

std::atomic<int> ticks = 0;

/// A signal every 50 us of real time, handled as HangWatch and StopSignals handle theirs.
class ManySignals {
 public:
  ManySignals() {
    use_signal_stack();
    struct sigaction action {};
    action.sa_handler = [](int) { ++ticks; };
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigaction(SIGALRM, &action, nullptr);
    set({50, 50});
  }
  ManySignals(const ManySignals&) = delete;
  ManySignals& operator=(const ManySignals&) = delete;
  ~ManySignals() { set({0, 0}); }

 private:
  struct Microseconds {
    long first, next;
  };
  static void set(Microseconds us) {
    const itimerval times = {{0, us.next}, {0, us.first}};
    setitimer(ITIMER_REAL, &times, nullptr);
  }
};

struct Product {
  Op op_a, op_b;
  std::size_t m, n, k;
};

std::vector<Product> products() {
  std::vector<Product> all;
  for (const Op op_a : {Op::none, Op::transpose}) {
    for (const Op op_b : {Op::none, Op::transpose}) {
      for (const auto& [m, n, k] :
           {std::array<std::size_t, 3>{128, 128, 128}, {128, 10, 64}, {10, 128, 64}}) {
        all.push_back({op_a, op_b, m, n, k});
      }
    }
  }
  return all;
}

void expect_right(GemmBackend backend, const Product& p) {
  const auto shape = [](const std::vector<float>& numbers, Op op, std::size_t rows, std::size_t cols) {
    return op == Op::none ? MatrixView<const float>{numbers.data(), rows, cols}
                          : MatrixView<const float>{numbers.data(), cols, rows};
  };
  const std::vector<float> a(p.m * p.k, 1.0F), b(p.k * p.n, 1.0F);
  std::vector<float> c(p.m * p.n);
  gemm(backend, p.op_a, shape(a, p.op_a, p.m, p.k), p.op_b, shape(b, p.op_b, p.k, p.n), 1.0F, 0.0F,
       {c.data(), p.m, p.n});
  ASSERT_EQ(c, std::vector<float>(p.m * p.n, static_cast<float>(p.k)));
}

// oneDNN uses the stack pointer as if there were no signals. With handlers on the ordinary stack this test loses
// numbers, or the heap.
TEST(BlasThreads, ProductsSurviveSignals) {
  for (const GemmBackend backend : {GemmBackend::openblas, GemmBackend::onednn}) {
    if (!available(backend)) continue;
    for (const int threads : {1, 2}) {
      set_blas_threads(threads);
      const ManySignals signals;
      const int before = ticks;
      for (int i = 0; i < 50 || (ticks - before < 1000 && i < 2000); ++i) {
        for (const Product& product : products()) expect_right(backend, product);
      }
    }
  }
}

}  // namespace
}  // namespace fcmnist::kernels
