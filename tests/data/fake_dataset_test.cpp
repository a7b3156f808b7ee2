#include "data/fake_dataset.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "core/counter_rng.hpp"
#include "core/digest.hpp"
#include "data/batch_loader.hpp"

namespace fcmnist::data {
namespace {

constexpr std::size_t features = 784;
constexpr std::size_t classes = 10;

struct FakeSplit {
  explicit FakeSplit(Split split, int num_classes = classes) : shape(fake_dataset_shape(split)) {
    images.resize(shape.image_bytes());
    labels.resize(shape.samples);
    fill_fake(split, shape, num_classes, images, labels);
  }
  /// All samples as the network sees them.
  [[nodiscard]] std::vector<float> normalised() const {
    std::vector<std::uint32_t> ids(shape.samples);
    std::iota(ids.begin(), ids.end(), 0U);
    std::vector<float> out(shape.image_bytes());
    fill_features(make_dataset(shape, classes, images, labels), ids, {out.data(), shape.samples, features});
    return out;
  }
  DatasetShape shape;
  std::vector<std::uint8_t> images, labels;
};

std::size_t arg_max(const std::array<float, classes>& values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

/// Share of the samples of `split` that `classify` gets right.
template <class Classify>
double accuracy(const FakeSplit& split, Classify classify) {
  const std::vector<float> x = split.normalised();
  std::size_t correct = 0;
  for (std::size_t s = 0; s < split.shape.samples; ++s)
    correct += classify(&x[s * features]) == split.labels[s];
  return static_cast<double>(correct) / static_cast<double>(split.shape.samples);
}

/// 784 - 32 - 10 with ReLU, one sample at a time, as plainly as can be.
class TinyMlp {
 public:
  TinyMlp() : w0_(hidden * features) {
    const CounterRng first(1, Purpose::weight_init, 0, 0), last(1, Purpose::weight_init, 1, 0);
    std::uint32_t n = 0;
    for (float& w : w0_) w = static_cast<float>(first.normal(n++) * std::sqrt(2.0 / features));
    for (auto& row : w1_) {
      for (float& w : row) w = static_cast<float>(last.normal(n++) * std::sqrt(2.0 / hidden));
    }
  }
  std::size_t classify(const float* x) {
    forward(x);
    return arg_max(logits_);
  }
  void train(const float* x, std::size_t label, float rate) {
    forward(x);
    const float top = logits_[arg_max(logits_)];
    float sum = 0;
    for (float& z : logits_) sum += z = std::exp(z - top);
    std::array<float, hidden> d_hidden{};
    for (std::size_t c = 0; c < classes; ++c) {
      const float delta = logits_[c] / sum - (c == label ? 1.0F : 0.0F);
      for (std::size_t h = 0; h < hidden; ++h) {
        d_hidden[h] += delta * w1_[c][h];
        w1_[c][h] -= rate * delta * a_[h];
      }
    }
    for (std::size_t h = 0; h < hidden; ++h) {
      if (a_[h] <= 0) continue;
      for (std::size_t i = 0; i < features; ++i) w0_[h * features + i] -= rate * d_hidden[h] * x[i];
    }
  }

 private:
  static constexpr std::size_t hidden = 32;

  void forward(const float* x) {
    for (std::size_t h = 0; h < hidden; ++h) {
      a_[h] = std::max(0.0F, std::inner_product(x, x + features, &w0_[h * features], 0.0F));
    }
    for (std::size_t c = 0; c < classes; ++c) {
      logits_[c] = std::inner_product(a_.begin(), a_.end(), w1_[c].begin(), 0.0F);
    }
  }

  std::vector<float> w0_;
  std::array<std::array<float, hidden>, classes> w1_{};
  std::array<float, hidden> a_{};
  std::array<float, classes> logits_{};
};

TEST(FakeDataset, IsTheSameInEveryRun) {
  const FakeSplit train(Split::train), test(Split::test);
  EXPECT_EQ(sha256_hex(std::as_bytes(std::span(train.labels))),
            "4afbe5abd490fcdbbe1787a629673554ca623d26bdab03221d1161fd9a347b85");
  EXPECT_EQ(train.images, FakeSplit(Split::train).images);
  EXPECT_FALSE(std::equal(test.images.begin(), test.images.begin() + features, train.images.begin()));
}

TEST(FakeDataset, HasEveryClassAboutEquallyOften) {
  for (const int num_classes : {1, 2, 10, 47}) {
    const FakeSplit train(Split::train, num_classes);
    std::vector<int> count(num_classes);
    for (const std::uint8_t label : train.labels) ++count.at(label);
    const double expected = 12'000.0 / num_classes;
    for (const int n : count) EXPECT_NEAR(n, expected, 5 * std::sqrt(expected));
  }
}

TEST(FakeDataset, IsNotSolvedByTheNearestClassMean) {
  const FakeSplit train(Split::train), test(Split::test);
  const std::vector<float> x = train.normalised();
  std::array<std::vector<float>, classes> mean;
  mean.fill(std::vector<float>(features));
  for (std::size_t s = 0; s < train.shape.samples; ++s) {
    for (std::size_t i = 0; i < features; ++i) mean[train.labels[s]][i] += x[s * features + i] / 1200;
  }
  const double right = accuracy(test, [&](const float* sample) {
    std::array<float, classes> closeness{};
    for (std::size_t c = 0; c < classes; ++c) {
      for (std::size_t i = 0; i < features; ++i)
        closeness[c] -= (sample[i] - mean[c][i]) * (sample[i] - mean[c][i]);
    }
    return arg_max(closeness);
  });
  EXPECT_GT(right, 0.5);
  EXPECT_LT(right, 0.9);
}

TEST(FakeDataset, IsLearntByASmallMlpInOneEpoch) {
  const FakeSplit train(Split::train), test(Split::test);
  const std::vector<float> x = train.normalised();
  TinyMlp mlp;
  for (std::size_t s = 0; s < train.shape.samples; ++s) mlp.train(&x[s * features], train.labels[s], 0.002F);
  EXPECT_GT(accuracy(test, [&](const float* sample) { return mlp.classify(sample); }), 0.95);
}

}  // namespace
}  // namespace fcmnist::data
