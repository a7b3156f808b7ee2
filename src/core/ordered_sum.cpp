#include "core/ordered_sum.hpp"

#include <algorithm>
#include <array>

#include "core/error.hpp"

namespace fcmnist {

namespace {

constexpr std::size_t lanes = 16;  // independent partial sums, so that the loops become vector code
constexpr std::size_t chunk = 256;

/// The sum of the squares of at most `chunk` numbers.
double squares_of_chunk(const float* __restrict values, std::size_t count) {
  std::array<float, lanes> partial{};
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (std::size_t l = 0; l < lanes; ++l) partial[l] += values[i + l] * values[i + l];
  }
  double sum = 0.0;
  for (const float p : partial) sum += p;
  for (; i < count; ++i) sum += static_cast<double>(values[i]) * values[i];
  return sum;
}

}  // namespace

double sum_of_squares(std::span<const float> values) {
  double squares = 0.0;
  for (std::size_t begin = 0; begin < values.size(); begin += chunk) {
    squares += squares_of_chunk(values.data() + begin, std::min(chunk, values.size() - begin));
  }
  return squares;
}

double ordered_sum(std::span<const float* const> sources, std::span<float> out) {
  FCMNIST_CHECK(!sources.empty(), "no sources");
  double squares = 0.0;
  // The sums are formed in a small buffer, which stays in the first-level cache, because `out` may be a later
  // source.
  alignas(64) std::array<float, chunk> sum;
  for (std::size_t begin = 0; begin < out.size(); begin += chunk) {
    const std::size_t count = std::min(chunk, out.size() - begin);
    std::copy_n(sources[0] + begin, count, sum.data());
    for (const float* source : sources.subspan(1)) {
      for (std::size_t i = 0; i < count; ++i) sum[i] += source[begin + i];
    }
    std::copy_n(sum.data(), count, out.data() + begin);
    squares += squares_of_chunk(sum.data(), count);
  }
  return squares;
}

}  // namespace fcmnist
