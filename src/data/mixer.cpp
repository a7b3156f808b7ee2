#include "data/mixer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/counter_rng.hpp"
#include "core/error.hpp"
#include "data/validation_split.hpp"

namespace fcmnist::data {

namespace {

/// In units of 1/256, rounded: 0 ... 256. Whole numbers have the same bits in every build.
void mix_pixels(std::span<std::uint8_t> image, std::span<const std::uint8_t> partner, float share) {
  const auto weight = static_cast<std::uint32_t>(std::lround(share * 256.0F));
  const std::uint32_t of_partner = 256 - weight;
#pragma omp simd
  for (std::size_t i = 0; i < image.size(); ++i) {
    const std::uint32_t sum = image[i] * weight + partner[i] * of_partner;
    image[i] = static_cast<std::uint8_t>((sum + 128) >> 8U);
  }
}

}  // namespace

float draw_mixup_share(double alpha, std::uint64_t seed, std::uint32_t epoch, std::uint32_t id) {
  const CounterRng numbers(seed, Purpose::mixup, epoch, id);
  alpha = std::max(alpha, 1e-6);  // its logarithms are finite
  const auto log_of = [&](std::uint32_t n) { return std::log(numbers.u32(n) * 0x1p-32 + 0x1p-33) / alpha; };
  for (std::uint32_t n = 2;; n += 2) {
    const double x = log_of(n), y = log_of(n + 1), larger = std::max(x, y);
    const double log_sum = larger + std::log(std::exp(x - larger) + std::exp(y - larger));
    if (log_sum <= 0.0) return static_cast<float>(std::exp(x - log_sum));
  }
}

Mixer::Mixer(const Dataset& dataset, const InputOptions& input, std::uint64_t seed, std::size_t max_samples)
    : pool_size_(training_samples(input, dataset.samples())),
      alpha_(input.mixup),
      seed_(seed),
      partner_ids_(max_samples),
      ids_(max_samples),
      shares_(max_samples),
      images_(max_samples * dataset.features()),
      labels_(max_samples),
      mixed_(dataset) {
  if (pool_size_ < dataset.samples()) {
    pool_ = split_off_validation(dataset.samples(), dataset.samples() - pool_size_, seed).training;
  }
  std::iota(ids_.begin(), ids_.end(), 0U);
}

std::size_t Mixer::bytes(const DatasetShape& image, const InputOptions& input, std::size_t max_samples) {
  const std::size_t pool = input.validation_size > 0 ? image.samples : 0;
  return pool * sizeof(std::uint32_t) +
         max_samples * (image.features() + 1 + 2 * sizeof(std::uint32_t) + sizeof(float));
}

Mixer::Partners Mixer::draw_partners(std::span<const std::uint32_t> ids, std::uint32_t epoch) {
  FCMNIST_CHECK(ids.size() <= ids_.size(), fmt::format("{} of {}", ids.size(), ids_.size()));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const CounterRng numbers(seed_, Purpose::mixup, epoch, ids[i]);
    const std::uint32_t place = numbers.below(static_cast<std::uint32_t>(pool_size_), 0);
    partner_ids_[i] = pool_.empty() ? place : pool_[place];
    shares_[i] = draw_mixup_share(alpha_, seed_, epoch, ids[i]);
  }
  return {std::span(partner_ids_).first(ids.size()), std::span(shares_).first(ids.size())};
}

void Mixer::begin(const Samples& samples) {
  const Dataset& from = *samples.dataset;
  const std::size_t features = from.features();
  count_ = samples.ids.size();
  FCMNIST_CHECK(count_ <= ids_.size(), fmt::format("{} of {}", count_, ids_.size()));
  for (std::size_t i = 0; i < count_; ++i) {
    std::ranges::copy(from.images.row(samples.ids[i]),
                      images_.begin() + static_cast<std::ptrdiff_t>(i * features));
    labels_[i] = from.labels[samples.ids[i]];
  }
}

Samples Mixer::mix_with(const Samples& partners, std::span<const float> shares) {
  const Dataset& from = *partners.dataset;
  const std::size_t features = from.features();
  FCMNIST_CHECK(partners.ids.size() == count_ && shares.size() == count_,
                fmt::format("{} partners, {} shares of {}", partners.ids.size(), shares.size(), count_));
  for (std::size_t i = 0; i < count_; ++i) {
    mix_pixels({images_.data() + i * features, features}, from.images.row(partners.ids[i]), shares[i]);
  }
  mixed_.images = {images_.data(), count_, features};
  mixed_.labels = std::span(labels_).first(count_);
  return {&mixed_, std::span(ids_).first(count_)};
}

}  // namespace fcmnist::data
