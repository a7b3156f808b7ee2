#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "core/fixed_point.hpp"
#include "kernels/softmax_loss.hpp"

namespace fcmnist::train {

/// What a rank asks for at a step boundary. Requests travel with the step's gradient, so that all ranks know
/// them after the same step.
struct Requests {
  bool stop = false;     ///< save and end the run
  bool save = false;     ///< save, and go on
  bool give_up = false;  ///< files cannot be written: end the run
};

/// The numbers that all ranks need besides the gradient: they are summed over the ranks with it. Loss and
/// correct samples are of a step's samples; the sums are exact, so the same in any order.
class StepSums {
 public:
  static constexpr std::size_t count = 4 + ExactSum::part_count;

  /// Of one rank, before its first microbatch.
  explicit StepSums(const Requests& requests);
  /// Of all ranks: `sums` are count numbers.
  explicit StepSums(std::span<const double> sums);

  void add(const kernels::LossSums& microbatch);
  /// To be summed over the ranks.
  [[nodiscard]] std::array<double, count> numbers() const;

  [[nodiscard]] double loss() const { return loss_.value(); }
  [[nodiscard]] double correct() const { return correct_; }
  /// Of any rank.
  [[nodiscard]] const Requests& requests() const { return requests_; }

 private:
  Requests requests_;
  double correct_ = 0.0;
  ExactSum loss_;
};

}  // namespace fcmnist::train
