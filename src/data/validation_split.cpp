#include "data/validation_split.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/counter_rng.hpp"
#include "core/error.hpp"
#include "data/epoch_order.hpp"

namespace fcmnist::data {

std::size_t training_samples(const InputOptions& input, std::size_t available) {
  const auto held_out = static_cast<std::size_t>(input.validation_size);
  if (held_out < available) return available - held_out;
  throw UsageError(
      fmt::format(
          "train_input.validation_size: {} of the {} training samples are held out, so none is left to "
          "train on",
          held_out, available),
      fmt::format("a smaller number, for example {}", available / 6));
}

ValidationSplit split_off_validation(std::size_t samples, std::size_t validation_size, std::uint64_t seed) {
  FCMNIST_CHECK(validation_size < samples, fmt::format("{} of {}", validation_size, samples));
  ValidationSplit split;
  split.training = all_ids(samples);
  if (validation_size == 0) return split;
  shuffle(split.training, CounterRng(seed, Purpose::validation_split, 0, 0));
  const auto held_out = split.training.end() - static_cast<std::ptrdiff_t>(validation_size);
  split.validation.assign(held_out, split.training.end());
  split.training.erase(held_out, split.training.end());
  std::ranges::sort(split.training);
  std::ranges::sort(split.validation);
  return split;
}

}  // namespace fcmnist::data
