#include "kernels/first_product.hpp"

#include <fmt/format.h>

#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "core/arena.hpp"
#include "core/error.hpp"
#include "core/hang_watch.hpp"
#include "core/memory_limits.hpp"
#include "core/text.hpp"
#include "kernels/blas_threads.hpp"
#include "kernels/gemm.hpp"
#include "kernels/gemm_onednn.hpp"
#include "kernels/half_gemm.hpp"

namespace fcmnist::kernels {

namespace {

// BUFFER_SIZE of OpenBLAS on x86-64 and arm64. It is address space; few of its pages are ever touched.
constexpr std::size_t bytes_of_buffer = std::size_t{128} << 20;
// The least product for which OpenBLAS uses all of its threads has a tenth of these operations.
constexpr std::size_t size = 128;
constexpr double patience_s = 60.0;  // on a machine that has much else to do

/// Threads that do nothing, not even allocate, until the end of this object.
class IdleThreads {
 public:
  explicit IdleThreads(int count) : lock_(mutex_) {
    threads_.reserve(static_cast<std::size_t>(count));
    try {
      for (int i = 0; i < count; ++i) {
        threads_.emplace_back([this] { const std::scoped_lock wait_for_the_end(mutex_); });
      }
    } catch (const std::system_error& error) {
      why_not_all_ = error.code().message();
    }
  }
  IdleThreads(const IdleThreads&) = delete;
  IdleThreads& operator=(const IdleThreads&) = delete;
  ~IdleThreads() { lock_.unlock(); }

  [[nodiscard]] std::size_t size() const { return threads_.size(); }
  /// Empty if the system gave as many as were asked for.
  [[nodiscard]] const std::string& why_not_all() const { return why_not_all_; }

 private:
  std::mutex mutex_;
  std::unique_lock<std::mutex> lock_;
  std::string why_not_all_;
  std::vector<std::jthread> threads_;  ///< the last member, since they use the others
};

/// Throws CommError unless this process may have the threads and the buffers of the libraries, all at once.
void check_room(int threads) {
  const int libraries = available(GemmBackend::onednn) ? 2 : 1;  // each has threads of its own
  const int more = libraries * (threads - 1);
  const IdleThreads started(more);
  if (!started.why_not_all().empty()) {
    throw CommError(
        fmt::format("this process gets {} threads besides its own, and its libraries need {}: {}; {}",
                    started.size(), more, started.why_not_all(), memory_limits_text(0)),
        "fewer runconfig.blas_threads; or more processes (ulimit -u, pids.max of the cgroup) and smaller "
        "stacks (ulimit -s)");
  }
  const std::size_t bytes = static_cast<std::size_t>(threads) * bytes_of_buffer;
  if (can_allocate(bytes)) return;
  throw out_of_memory(fmt::format("OpenBLAS needs {} of address space for products on {} thread{}",
                                  bytes_text(bytes), threads, plural(static_cast<std::size_t>(threads))),
                      bytes);
}

/// A product in which C is m x n.
void multiply_once(GemmBackend backend, Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k) {
  const AlignedArray<float> a(m * k), b(k * n), c(m * n);
  const auto factor = [](const AlignedArray<float>& numbers, Op op, std::size_t rows, std::size_t cols) {
    return op == Op::none ? MatrixView<const float>{numbers.data(), rows, cols}
                          : MatrixView<const float>{numbers.data(), cols, rows};
  };
  gemm(backend, op_a, factor(a, op_a, m, k), op_b, factor(b, op_b, k, n), 1.0F, 0.0F, {c.data(), m, n});
}

void multiply_by_each_library() {
  multiply_once(GemmBackend::openblas, Op::none, Op::none, size, size, size);
  if constexpr (FCMNIST_HAS_ONEDNN) {
    check_memory_for_code();
    // oneDNN has other code for each of them. If it makes that during a step, nobody looks whether there is memory.
    for (const Op op_a : {Op::none, Op::transpose}) {
      for (const Op op_b : {Op::none, Op::transpose}) {
        multiply_once(GemmBackend::onednn, op_a, op_b, size, size, size);
        multiply_once(GemmBackend::onednn, op_a, op_b, size, 10, 64);
        multiply_once(GemmBackend::onednn, op_a, op_b, 10, size, 64);
      }
    }
  }
  const AlignedArray<float> c(size * size);
  const AlignedArray<BFloat16> half(size * size);
  const MatrixView<const BFloat16> half_factor{half.data(), size, size};
  HalfGemm<BFloat16>().product(GemmBackend::openblas, Op::none, half_factor, Op::none, half_factor, false,
                               {c.data(), size, size});
}

}  // namespace

void start_products(int threads) {
  check_room(threads);
  const std::string error = fmt::format(
      "fcmnist_mpi: error: the first product of two matrices has not ended for {:g} s: a library waits for "
      "memory or threads that it does not get; {}\n",
      patience_s, memory_limits_text(bytes_of_buffer));
  const HangWatch watch(error, {patience_s, patience_s});
  HangWatch::begin(false);
  set_blas_threads(threads);
  try {
    multiply_by_each_library();
  } catch (const std::bad_alloc&) {  // oneDNN's
    throw out_of_memory("no memory for the first product of two matrices");
  }
  HangWatch::end();
}

}  // namespace fcmnist::kernels
