#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fcmnist::run {

/// What several networks say together about the samples of a set: by the mean of their probabilities, in double,
/// and by a vote.
class EnsembleScores {
 public:
  /// `labels`: (samples), which must outlive it.
  EnsembleScores(std::span<const std::uint8_t> labels, std::size_t classes);

  /// One network more.
  ///   logits     (samples x classes) the softmax of which is its probabilities
  ///   predicted  (samples) the class that it gives each
  void add(std::span<const float> logits, std::span<const std::uint8_t> predicted);

  /// (samples x classes) the logarithm of the mean probabilities.
  [[nodiscard]] std::vector<float> logits() const;
  /// (samples) the class of the largest mean probability; of equal ones the first.
  [[nodiscard]] std::vector<std::uint8_t> predicted() const;
  /// (samples) the class that most networks give; of equally many that of the larger mean probability.
  [[nodiscard]] std::vector<std::uint8_t> vote() const;
  /// Mean over the samples of -log of the mean probability of the true class, in nats.
  [[nodiscard]] double loss() const;
  /// The part of the samples to which these classes are right, 0 to 1.
  [[nodiscard]] double accuracy(std::span<const std::uint8_t> given) const;

 private:
  std::span<const std::uint8_t> labels_;
  std::size_t classes_;
  int members_ = 0;
  std::vector<double> sums_;  ///< (samples x classes) of probabilities
  std::vector<int> votes_;    ///< (samples x classes)
};

}  // namespace fcmnist::run
