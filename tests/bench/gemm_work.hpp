#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/bench.hpp"
#include "core/arena.hpp"
#include "kernels/gemm.hpp"
#include "kernels/half_gemm.hpp"

namespace fcmnist::bench {

/// One call of gemm: op_a(A) (m x k) times op_b(B) (k x n).
struct Gemm {
  std::size_t m, n, k;
  kernels::Op op_a, op_b;
  bool gradient = false;  ///< of weights: in fp32 under mixed precision as well

  [[nodiscard]] double flop() const { return 2.0 * static_cast<double>(m * n * k); }
  bool operator==(const Gemm&) const = default;
};

/// "500x64x784/nt": m x n x k, then n (none) or t (transpose) for A and B.
std::string to_string(const Gemm& gemm);

/// A matrix product of a training step, and the calls that compute it.
struct Product {
  std::vector<Gemm> ways;
  int count = 1;  ///< in one step
};

/// All products of a step on one rank: forward, deltas (none for the input), weight gradients.
///   widths  features in, units of every hidden layer, classes out
/// Weights and their gradients are (out x in), the input is (samples x features); any other matrix may be
/// (samples x units) or (units x samples), whichever is faster for a product, even if the products that
/// share it disagree: the sum of the fastest ways is a bound that no step can beat with this gemm.
std::vector<Product> products_of(std::span<const std::size_t> widths, std::size_t batch);

/// A gemm call and the matrices that it needs, aligned as those of a training step.
class GemmCall {
 public:
  GemmCall(const Bench& bench, const Gemm& gemm);
  void operator()() const;
  [[nodiscard]] const Gemm& gemm() const { return gemm_; }

 private:
  kernels::GemmBackend backend_;
  Gemm gemm_;
  AlignedArray<float> a_, b_, c_;
};

/// The same in bfloat16, in the best way of this machine; a gradient is in fp32.
class HalfGemmCall {
 public:
  HalfGemmCall(const Bench& bench, const Gemm& gemm);
  void operator()() const;
  [[nodiscard]] const Gemm& gemm() const { return gemm_; }

 private:
  kernels::GemmBackend backend_;
  Gemm gemm_;
  AlignedArray<BFloat16> a_, b_, half_c_;
  AlignedArray<float> c_;
  std::unique_ptr<kernels::HalfGemm<BFloat16>> multiply_;
};

/// All products of a step, each in its fastest way. Call: GemmCall or HalfGemmCall.
template <class Call>
class GemmsOfStep {
 public:
  /// Collective: times all ways to choose from them. The ways of a product share the time of one part.
  GemmsOfStep(const Bench& bench, std::span<const std::size_t> widths, std::size_t batch);

  /// Of one step on one rank.
  [[nodiscard]] double flop() const;
  /// Steps' worth of products; each product is repeated by itself.
  [[nodiscard]] Timed timed() const;

 private:
  struct Choice {
    Call call;
    int count;
  };
  const comm::Communicator* world_;
  std::vector<Choice> choices_;
};

}  // namespace fcmnist::bench
