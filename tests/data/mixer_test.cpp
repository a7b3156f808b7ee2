#include "data/mixer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "data/validation_split.hpp"

namespace fcmnist::data {
namespace {

constexpr std::size_t samples = 200, features = 12;

/// All pixels of sample s are s.
struct Numbered {
  std::vector<std::uint8_t> images, labels;
  Dataset dataset;

  Numbered() : images(samples * features), labels(samples) {
    for (std::size_t s = 0; s < samples; ++s) {
      labels[s] = static_cast<std::uint8_t>(s % 10);
      std::fill_n(images.begin() + static_cast<std::ptrdiff_t>(s * features), features,
                  static_cast<std::uint8_t>(s));
    }
    dataset = make_dataset({samples, 3, 4}, 10, images, labels);
  }
};

InputOptions mixing(double alpha, int validation_size = 0) {
  InputOptions input;
  input.mixup = alpha;
  input.validation_size = validation_size;
  return input;
}

std::vector<std::uint32_t> all_ids() {
  std::vector<std::uint32_t> ids(samples);
  std::iota(ids.begin(), ids.end(), 0U);
  return ids;
}

TEST(Mixer, PartnersAndSharesDependOnSeedEpochAndSampleOnly) {
  const Numbered set;
  Mixer mixer(set.dataset, mixing(0.4), 7, samples);
  const auto ids = all_ids();
  const auto drawn = mixer.draw_partners(ids, 3);
  const std::vector<std::uint32_t> partners(drawn.ids.begin(), drawn.ids.end());
  const std::vector<float> shares(drawn.shares.begin(), drawn.shares.end());

  Mixer other(set.dataset, mixing(0.4), 7, 5);
  for (const std::uint32_t first : {0U, 13U, 190U}) {
    const auto few = other.draw_partners(std::span(ids).subspan(first, 5), 3);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(few.ids[i], partners[first + i]);
      EXPECT_EQ(few.shares[i], shares[first + i]);
    }
  }
  const auto in_next_epoch = mixer.draw_partners(ids, 4);
  EXPECT_FALSE(std::ranges::equal(in_next_epoch.ids, partners));
  EXPECT_FALSE(std::ranges::equal(in_next_epoch.shares, shares));
}

TEST(Mixer, NeverMixesWithWhatIsHeldOut) {
  const Numbered set;
  const ValidationSplit split = split_off_validation(samples, 150, 7);
  Mixer mixer(set.dataset, mixing(1.0, 150), 7, samples);
  std::set<std::uint32_t> partners;
  for (std::uint32_t epoch = 0; epoch < 20; ++epoch) {
    const auto drawn = mixer.draw_partners(all_ids(), epoch);
    partners.insert(drawn.ids.begin(), drawn.ids.end());
  }
  EXPECT_EQ(partners, std::set<std::uint32_t>(split.training.begin(), split.training.end()))
      << "all, and no other";
}

TEST(Mixer, MixesImagesAndKeepsTheFirstLabels) {
  const Numbered set;
  Mixer mixer(set.dataset, mixing(1.0), 7, 3);
  const std::vector<std::uint32_t> ids = {10, 100, 199}, partners = {20, 0, 7};
  const std::vector<float> shares = {0.25F, 0.5F, 1.0F};
  mixer.begin({&set.dataset, ids});
  const Samples mixed = mixer.mix_with({&set.dataset, partners}, shares);
  const int expected[] = {18, 50, 199};  // 17.5 is rounded up
  ASSERT_EQ(mixed.ids.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    for (const std::uint8_t pixel : mixed.dataset->images.row(mixed.ids[i])) EXPECT_EQ(pixel, expected[i]);
    EXPECT_EQ(mixed.dataset->labels[mixed.ids[i]], ids[i] % 10);
  }
}

TEST(Mixer, TakesImagesThatItGaveAway) {
  const Numbered set;
  Mixer mixer(set.dataset, mixing(1.0), 7, 2);
  const std::vector<std::uint32_t> ids = {10, 30};
  const std::vector<float> halves = {0.5F, 0.5F};
  for (int i = 0; i < 2; ++i) {  // nothing of the first time is left
    mixer.begin({&set.dataset, ids});
    const Samples mixed = mixer.mix_with({&set.dataset, std::vector<std::uint32_t>{20, 50}}, halves);
    EXPECT_EQ(mixed.dataset->images.row(0)[0], 15);
    EXPECT_EQ(mixed.dataset->images.row(1)[0], 40);
  }
}

TEST(MixupShare, HasTheMomentsOfTheBetaDistribution) {
  constexpr int count = 20'000;
  for (const double alpha : {0.001, 0.1, 0.4, 1.0}) {
    double sum = 0.0, squares = 0.0;
    for (std::uint32_t id = 0; id < count; ++id) {
      const double share = draw_mixup_share(alpha, 3, id % 7, id);
      ASSERT_TRUE(share >= 0.0 && share <= 1.0) << share;
      sum += share;
      squares += (share - 0.5) * (share - 0.5);
    }
    EXPECT_NEAR(sum / count, 0.5, 0.015) << alpha;
    EXPECT_NEAR(squares / count, 1.0 / (4.0 * (2.0 * alpha + 1.0)), 0.005) << "variance, alpha " << alpha;
  }
}

}  // namespace
}  // namespace fcmnist::data
