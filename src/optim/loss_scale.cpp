#include "optim/loss_scale.hpp"

#include <algorithm>

namespace fcmnist::optim {

LossScale::LossScale(const LossScaleOptions& options) : options_(options) {
  state_.scale = is_dynamic() ? options.initial : options.factor.value_or(1.0);
}

void LossScale::good_step() {
  if (!is_dynamic() || ++state_.good_steps < options_.steps_per_increase) return;
  state_ = {std::min(2.0 * state_.scale, options_.max), 0};
}

bool LossScale::overflow() {
  if (!is_dynamic() || state_.scale <= options_.min) return false;
  state_ = {std::max(0.5 * state_.scale, options_.min), 0};
  return true;
}

void LossScale::set_state(const State& state) {
  if (!is_dynamic() || state.scale <= 0.0) return;
  state_ = {std::clamp(state.scale, options_.min, options_.max), state.good_steps};
}

}  // namespace fcmnist::optim
