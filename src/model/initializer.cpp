#include "model/initializer.hpp"

#include <algorithm>
#include <cmath>

#include "core/arena.hpp"
#include "core/counter_rng.hpp"
#include "core/transpose.hpp"

namespace fcmnist::model {

namespace {

/// The bias draws from its own stream, after the last row of the weight.
void fill_uniform(const MatrixView<float>& weight, std::span<float> bias, double limit, std::uint64_t seed,
                  std::uint32_t layer, bool with_bias) {
  const auto draw = [&](const CounterRng& rng, std::size_t n) {
    return static_cast<float>((2.0 * rng.uniform(static_cast<std::uint32_t>(n)) - 1.0) * limit);
  };
  for (std::size_t r = 0; r < weight.rows; ++r) {
    const CounterRng rng(seed, Purpose::weight_init, layer, static_cast<std::uint32_t>(r));
    for (std::size_t c = 0; c < weight.cols; ++c) weight.row(r)[c] = draw(rng, c);
  }
  if (!with_bias) return;
  const CounterRng rng(seed, Purpose::weight_init, layer, static_cast<std::uint32_t>(weight.rows));
  for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = draw(rng, i);
}

void fill_normal(const MatrixView<float>& weight, double deviation, std::uint64_t seed, std::uint32_t layer) {
  for (std::size_t r = 0; r < weight.rows; ++r) {
    const CounterRng rng(seed, Purpose::weight_init, layer, static_cast<std::uint32_t>(r));
    for (std::size_t c = 0; c < weight.cols; ++c) {
      weight.row(r)[c] = static_cast<float>(deviation * rng.normal(static_cast<std::uint32_t>(c)));
    }
  }
}

}  // namespace

void initialize_layer(Initializer initializer, std::uint64_t seed, std::size_t layer,
                      MatrixView<float> weight, Order order, std::span<float> bias) {
  if (order == Order::transposed) {
    const AlignedArray<float> numbers(weight.rows * weight.cols);
    const MatrixView<float> turned(numbers.data(), weight.cols, weight.rows);
    initialize_layer(initializer, seed, layer, turned, Order::as_in_files, bias);
    transpose(turned, weight);
    return;
  }
  const auto fan_in = static_cast<double>(weight.cols);
  const auto fan_out = static_cast<double>(weight.rows);
  const auto index = static_cast<std::uint32_t>(layer);
  std::fill(bias.begin(), bias.end(), 0.0F);
  switch (initializer) {
    case Initializer::he_normal:
      return fill_normal(weight, std::sqrt(2.0 / fan_in), seed, index);
    case Initializer::pytorch:
      return fill_uniform(weight, bias, 1.0 / std::sqrt(fan_in), seed, index, true);
    case Initializer::xavier_uniform:
      return fill_uniform(weight, bias, std::sqrt(6.0 / (fan_in + fan_out)), seed, index, false);
    case Initializer::zeros:
      for (std::size_t r = 0; r < weight.rows; ++r) std::ranges::fill(weight.row(r), 0.0F);
  }
}

}  // namespace fcmnist::model
