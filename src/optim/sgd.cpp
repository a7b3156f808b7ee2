#include "optim/sgd.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/convert.hpp"
#include "core/error.hpp"

namespace fcmnist::optim {

double clip_scale(double norm, double max_norm) {
  if (max_norm <= 0.0) return 1.0;
  const double scale = max_norm / (norm + 1e-6);
  return scale < 1.0 ? scale : 1.0;
}

namespace {

struct Constants {
  float scale, limit, decay, mu, lr, from_gradient, from_momentum;
};

Constants constants_of(const OptimizerOptions& options, const SgdStep& step) {
  const auto mu = static_cast<float>(options.momentum);
  return {static_cast<float>(step.gradient_scale),
          options.max_gradient_value > 0.0 ? static_cast<float>(options.max_gradient_value)
                                           : std::numeric_limits<float>::infinity(),
          static_cast<float>(options.weight_decay_rate),
          mu,
          static_cast<float>(step.learning_rate),
          options.use_nesterov ? 1.0F : 0.0F,
          options.use_nesterov ? mu : 1.0F};
}

/// One loop for all variants of the rule: it waits for memory, so unused terms are free. gradient(i) is a
/// template argument, so that the sum of one or two sources stays in registers.
template <class Gradient>
float update(const Constants& k, std::size_t count, Gradient gradient, float* __restrict w,
             float* __restrict m) {
  float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
  for (std::size_t i = 0; i < count; ++i) {
    const float sum = gradient(i);
    squares += sum * sum;
    float g = sum * k.scale;
    g = g > k.limit ? k.limit : g;
    g = g < -k.limit ? -k.limit : g;
    g += k.decay * w[i];
    m[i] = k.mu * m[i] + g;
    w[i] -= k.lr * (k.from_gradient * g + k.from_momentum * m[i]);
  }
  return squares;
}

/// Numbers: few enough to add their squares in float, and for the first-level cache.
constexpr std::size_t chunk = 256;

/// All sources but the last, added up.
const float* sum_but_last(std::span<const float* const> sources, std::size_t begin, std::size_t count,
                          std::array<float, chunk>& sum) {
  if (sources.size() == 2) return sources[0] + begin;
  for (std::size_t i = 0; i < count; ++i) sum[i] = sources[0][begin + i] + sources[1][begin + i];
  for (const float* source : sources.subspan(2, sources.size() - 3)) {
    for (std::size_t i = 0; i < count; ++i) sum[i] += source[begin + i];
  }
  return sum.data();
}

/// after_chunk(begin, count) is called while the chunk's new weights are in the first-level cache.
template <class AfterChunk>
double update_all(const OptimizerOptions& options, const SgdStep& step, std::span<const float* const> sources,
                  std::span<float> weights, std::span<float> momentum_buffer, AfterChunk after_chunk) {
  FCMNIST_CHECK(
      !sources.empty() && momentum_buffer.size() == weights.size(),
      fmt::format("{} sources, {} weights, {}", sources.size(), weights.size(), momentum_buffer.size()));
  const Constants k = constants_of(options, step);
  double squares = 0.0;
  alignas(64) std::array<float, chunk> sum;
  for (std::size_t begin = 0; begin < weights.size(); begin += chunk) {
    const std::size_t count = std::min(chunk, weights.size() - begin);
    float* const w = weights.data() + begin;
    float* const m = momentum_buffer.data() + begin;
    const float* const last = sources.back() + begin;
    if (sources.size() == 1) {
      squares += update(
          k, count, [last](std::size_t i) { return last[i]; }, w, m);
    } else {
      const float* const others = sum_but_last(sources, begin, count, sum);
      squares += update(
          k, count, [others, last](std::size_t i) { return others[i] + last[i]; }, w, m);
    }
    after_chunk(begin, count);
  }
  return squares;
}

template <class Half>
double update_and_round(const OptimizerOptions& options, const SgdStep& step,
                        std::span<const float* const> sources, std::span<float> weights,
                        std::span<float> momentum_buffer, std::span<Half> working) {
  FCMNIST_CHECK(working.size() == weights.size(), fmt::format("{}, {}", working.size(), weights.size()));
  return update_all(
      options, step, sources, weights, momentum_buffer, [&](std::size_t begin, std::size_t count) {
        convert(std::span<const float>(weights.subspan(begin, count)), working.subspan(begin, count));
      });
}

}  // namespace

double sgd_update(const OptimizerOptions& options, const SgdStep& step, std::span<const float* const> sources,
                  std::span<float> weights, std::span<float> momentum_buffer) {
  return update_all(options, step, sources, weights, momentum_buffer, [](std::size_t, std::size_t) {});
}

double sgd_update(const OptimizerOptions& options, const SgdStep& step, std::span<const float* const> sources,
                  std::span<float> weights, std::span<float> momentum_buffer, std::span<BFloat16> working) {
  return update_and_round(options, step, sources, weights, momentum_buffer, working);
}

double sgd_update(const OptimizerOptions& options, const SgdStep& step, std::span<const float* const> sources,
                  std::span<float> weights, std::span<float> momentum_buffer, std::span<Float16> working) {
  return update_and_round(options, step, sources, weights, momentum_buffer, working);
}

}  // namespace fcmnist::optim
