#include "train/step_sums.hpp"

#include <algorithm>

namespace fcmnist::train {

namespace {

enum Place : std::size_t { correct, stop, save, give_up, loss };

}  // namespace

StepSums::StepSums(const Requests& requests) : requests_(requests) {}

StepSums::StepSums(std::span<const double> sums)
    : requests_{sums[stop] > 0.0, sums[save] > 0.0, sums[give_up] > 0.0},
      correct_(sums[Place::correct]),
      loss_(sums.subspan<Place::loss, ExactSum::part_count>()) {}

void StepSums::add(const kernels::LossSums& microbatch) {
  loss_.add(microbatch.loss);
  correct_ += static_cast<double>(microbatch.correct);
}

std::array<double, StepSums::count> StepSums::numbers() const {
  std::array<double, count> numbers{};
  numbers[Place::correct] = correct_;
  numbers[stop] = requests_.stop ? 1.0 : 0.0;
  numbers[save] = requests_.save ? 1.0 : 0.0;
  numbers[give_up] = requests_.give_up ? 1.0 : 0.0;
  std::ranges::copy(loss_.parts(), numbers.begin() + Place::loss);
  return numbers;
}

}  // namespace fcmnist::train
