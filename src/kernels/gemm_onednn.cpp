#include "kernels/gemm_onednn.hpp"

#include <dnnl.h>
#include <dnnl_debug.h>
#include <fmt/format.h>
#include <omp.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string_view>

#include "core/error.hpp"
#include "core/memory_limits.hpp"

namespace fcmnist::kernels {

namespace {

char letter_of(Op op) { return op == Op::none ? 'N' : 'T'; }
dnnl_dim_t dim(std::size_t value) { return static_cast<dnnl_dim_t>(value); }

std::string forced_by() {
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}) {
    if (std::getenv(name) != nullptr) return name;
  }
  return {};
}

}  // namespace

void gemm_onednn(Op op_a, MatrixView<const float> a, Op op_b, MatrixView<const float> b, float alpha,
                 float beta, MatrixView<float> c) {
  const std::size_t k = op_a == Op::none ? a.cols : a.rows;
  const dnnl_status_t status =
      dnnl_sgemm(letter_of(op_a), letter_of(op_b), dim(c.rows), dim(c.cols), dim(k), alpha, a.data,
                 dim(a.stride), b.data, dim(b.stride), beta, c.data, dim(c.stride));
  if (status == dnnl_out_of_memory) throw std::bad_alloc();
  FCMNIST_CHECK(status == dnnl_success,
                fmt::format("dnnl_sgemm {} x {} x {}: {}", c.rows, c.cols, k, dnnl_status2str(status)));
}

void check_memory_for_code() {
  constexpr std::size_t enough = std::size_t{32} << 20;  // dozens of kernels of 256 kB
  if (!can_allocate(enough)) throw std::bad_alloc();
}

// oneDNN uses the threads of OpenMP and has no setting of its own.
void set_onednn_threads(int threads) {
  omp_set_num_threads(threads);
  std::atomic<int> started = 0;  // without it the compiler leaves out the region
#pragma omp parallel             // starts them
  ++started;
}

BlasInfo onednn_info() {
  const dnnl_version_t& version = *dnnl_version();
  std::string_view core = dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa());
  constexpr std::string_view prefix = "cpu_isa_";
  if (core.starts_with(prefix)) core.remove_prefix(prefix.size());
  return {fmt::format("oneDNN {}.{}.{}", version.major, version.minor, version.patch), std::string(core),
          forced_by()};
}

}  // namespace fcmnist::kernels
