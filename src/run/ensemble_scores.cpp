#include "run/ensemble_scores.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"

namespace fcmnist::run {

EnsembleScores::EnsembleScores(std::span<const std::uint8_t> labels, std::size_t classes)
    : labels_(labels), classes_(classes), sums_(labels.size() * classes), votes_(labels.size() * classes) {}

void EnsembleScores::add(std::span<const float> logits, std::span<const std::uint8_t> predicted) {
  FCMNIST_CHECK(
      logits.size() == sums_.size() && predicted.size() == labels_.size(),
      fmt::format("{} logits and {} classes of {} samples", logits.size(), predicted.size(), labels_.size()));
  std::vector<double> powers(classes_);
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    const auto row = logits.subspan(i * classes_, classes_);
    const double largest = std::ranges::max(row);
    double sum = 0.0;
    for (std::size_t c = 0; c < classes_; ++c) sum += powers[c] = std::exp(row[c] - largest);
    for (std::size_t c = 0; c < classes_; ++c) sums_[i * classes_ + c] += powers[c] / sum;
    ++votes_[i * classes_ + predicted[i]];
  }
  ++members_;
}

std::vector<float> EnsembleScores::logits() const {
  std::vector<float> all;
  all.reserve(sums_.size());
  // A probability that is 0 in double has a logarithm that every reader of floats understands.
  for (const double sum : sums_) {
    all.push_back(static_cast<float>(std::log(std::max(sum / members_, std::numeric_limits<double>::min()))));
  }
  return all;
}

std::vector<std::uint8_t> EnsembleScores::predicted() const {
  std::vector<std::uint8_t> classes;
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    const auto row = std::span(sums_).subspan(i * classes_, classes_);
    classes.push_back(static_cast<std::uint8_t>(std::ranges::max_element(row) - row.begin()));
  }
  return classes;
}

std::vector<std::uint8_t> EnsembleScores::vote() const {
  std::vector<std::uint8_t> classes;
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    std::size_t best = 0;
    for (std::size_t c = 1; c < classes_; ++c) {
      const std::size_t one = i * classes_ + c, other = i * classes_ + best;
      if (votes_[one] > votes_[other] || (votes_[one] == votes_[other] && sums_[one] > sums_[other]))
        best = c;
    }
    classes.push_back(static_cast<std::uint8_t>(best));
  }
  return classes;
}

double EnsembleScores::loss() const {
  double sum = 0.0;
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    const double probability = sums_[i * classes_ + labels_[i]] / members_;
    sum -= std::log(std::max(probability, std::numeric_limits<double>::min()));
  }
  return sum / static_cast<double>(labels_.size());
}

double EnsembleScores::accuracy(std::span<const std::uint8_t> given) const {
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels_.size(); ++i) right += given[i] == labels_[i] ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(labels_.size());
}

}  // namespace fcmnist::run
