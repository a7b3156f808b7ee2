#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.hpp"
#include "data/options.hpp"

namespace fcmnist::data {

/// Mixup: each training sample is mixed with another one, its partner, and its target with the partner's target:
///   image  = share * image + (1 - share) * partner's image, rounded to whole pixel values
///   target = share * onehot(label) + (1 - share) * onehot(partner's label)
/// The partner is any training sample, and share a number of the distribution Beta(alpha, alpha). Both are a pure function
/// of (seed, epoch, id of the sample): the same in every world, microbatch and run that goes on. In the source partners are
/// the samples of a batch in another order.
/// Source: Zhang, Cisse, Dauphin, Lopez-Paz, ICLR 2018.
class Mixer {
 public:
  /// What samples are mixed with. Valid until the next call.
  struct Partners {
    std::span<const std::uint32_t> ids;
    std::span<const float> shares;  ///< of the samples themselves, in [0, 1]
  };

  /// `input.mixup` is alpha, above 0. Validation samples are nobody's partners. `dataset` must outlive it. Allocates all its
  /// memory.
  Mixer(const Dataset& dataset, const InputOptions& input, std::uint64_t seed, std::size_t max_samples);

  Partners draw_partners(std::span<const std::uint32_t> ids, std::uint32_t epoch);

  /// Takes images, ...
  void begin(const Samples& samples);
  /// ... mixes them with as many others, and returns them with the labels of the first. Valid until the next call of begin().
  ///   shares  of the first
  Samples mix_with(const Samples& partners, std::span<const float> shares);

  /// Memory that it takes.
  static std::size_t bytes(const DatasetShape& image, const InputOptions& input, std::size_t max_samples);

 private:
  std::vector<std::uint32_t> pool_;  ///< ids of the training samples; empty: all are
  std::size_t pool_size_;
  double alpha_;
  std::uint64_t seed_;
  std::vector<std::uint32_t> partner_ids_, ids_;
  std::vector<float> shares_;
  std::vector<std::uint8_t> images_, labels_;
  std::size_t count_ = 0;  ///< samples that were taken
  Dataset mixed_;
};

/// The share of one sample, from the numbers 2, 3, 4, ... of CounterRng(seed, Purpose::mixup, epoch, id); the first two draw
/// the partner. By rejection, two uniform numbers at a time: Johnk, Metrika 8 (1964); in logarithms, so that a small alpha does not underflow.
float draw_mixup_share(double alpha, std::uint64_t seed, std::uint32_t epoch, std::uint32_t id);

}  // namespace fcmnist::data
