#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "data/options.hpp"

namespace fcmnist::data {

/// Samples of a training set that are left to train on when the validation samples are held out. Throws
/// UsageError if there are none.
std::size_t training_samples(const InputOptions& input, std::size_t available);

/// The ids of the samples of a training set, in two parts. Both have the order of the file.
struct ValidationSplit {
  std::vector<std::uint32_t> training;
  std::vector<std::uint32_t> validation;  ///< held out: never trained on
};

/// Parts the ids 0 .. samples - 1. It is a pure function of (samples, validation_size, seed), and so the same
/// on every rank of any world.
///
/// All ids are shuffled as EpochOrder does it, by CounterRng(seed, Purpose::validation_split, 0, 0). The last
/// `validation_size` of them are held out. 0 <= validation_size < samples < 2^32.
ValidationSplit split_off_validation(std::size_t samples, std::size_t validation_size, std::uint64_t seed);

}  // namespace fcmnist::data
