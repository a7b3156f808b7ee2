#pragma once

#include <cstdint>

#include "optim/options.hpp"

namespace fcmnist::optim {

/// The factor on the loss, and so on all gradients, that keeps small ones from underflowing in 16-bit
/// numbers. Static, or dynamic: it is divided by 2 when a gradient overflows, and multiplied by 2 after
/// steps_per_increase good steps in a row. (With a power of 2, scaling rounds nothing.) A state machine of
/// the steps alone: replicas that see the same norm keep the same scale. Source: Micikevicius et al., "Mixed
/// precision training", ICLR 2018, section 3.2.
class LossScale {
 public:
  explicit LossScale(const LossScaleOptions& options);

  [[nodiscard]] double value() const { return state_.scale; }
  [[nodiscard]] bool is_dynamic() const { return options_.factor == LossScaleOptions::dynamic; }

  /// A step whose gradient was finite.
  void good_step();
  /// The gradient overflowed. Whether a smaller scale may help: false if there is none.
  bool overflow();

  struct State {
    double scale = 0.0;           ///< 0 if none is known
    std::int64_t good_steps = 0;  ///< steps since the scale changed
  };
  /// Nothing of a static scale: whoever goes on with a dynamic one begins anew.
  [[nodiscard]] State state() const { return is_dynamic() ? state_ : State(); }
  /// Goes on from there, within the limits; a static scale stays as it is.
  void set_state(const State& state);

 private:
  LossScaleOptions options_;
  State state_;
};

}  // namespace fcmnist::optim
