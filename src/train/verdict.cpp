#include "train/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "optim/update.hpp"

namespace fcmnist::train {

namespace {

/// float32 needs none.
optim::LossScaleOptions loss_scale_options(const config::RunConfig& config) {
  const bool mixed = config.model.precision != model::Precision::float32;
  return mixed ? config.optimizer.loss_scale : optim::LossScaleOptions();
}

}  // namespace

Judge::Judge(const config::RunConfig& config)
    : policy_(config.run.nan_policy), loss_scale_(loss_scale_options(config)) {}

void Judge::set_state(const State& state) {
  skipped_in_a_row_ = state.skipped_in_a_row;
  loss_scale_.set_state(state.loss_scale);
}

Verdict Judge::judge_loss(std::int64_t step, double loss, double learning_rate) {
  if (std::isfinite(loss)) return Verdict::update;
  must_be_allowed_to_skip("loss", loss, step, learning_rate, 1.0);
  ++skipped_in_a_row_;
  return Verdict::skip;
}

Verdict Judge::judge_gradient(std::int64_t step, double norm, double learning_rate) {
  if (std::isfinite(norm)) {
    loss_scale_.good_step();
    skipped_in_a_row_ = 0;
    return Verdict::update;
  }
  const double used_scale = loss_scale_.value();
  if (loss_scale_.overflow()) return Verdict::smaller_loss_scale;
  must_be_allowed_to_skip("gradient norm", norm, step, learning_rate, used_scale);
  ++skipped_in_a_row_;
  return Verdict::skip;
}

void Judge::must_be_allowed_to_skip(const char* what, double value, std::int64_t step, double learning_rate,
                                    double loss_scale) const {
  std::string found = fmt::format("step {}: the {} is {}", step, what, value);
  if (policy_ == config::NanPolicy::skip) {
    if (skipped_in_a_row_ + 1 < most_skipped_in_a_row) return;
    found += fmt::format(", as in the {} steps before it, which were skipped", skipped_in_a_row_);
  }
  throw diverged_error(fmt::format("{}: training has diverged, nothing of this step is saved", found),
                       learning_rate, loss_scale)
      .as_agreed();
}

bool needs_norm_first(const config::RunConfig& config) {
  return config.optimizer.max_gradient_norm > 0.0 || config.run.nan_policy == config::NanPolicy::skip ||
         optim::LossScale(loss_scale_options(config)).is_dynamic() || config.run.reproducible ||
         optim::has_two_phases(config.optimizer);
}

DivergedError diverged_error(std::string_view what, std::optional<double> learning_rate, double loss_scale) {
  const std::string smaller_scale =
      loss_scale > 1.0 ? fmt::format(
                             "the loss scale is {:g}: lower optimizer.loss_scaling_factor (a dynamic "
                             "one: optimizer.min_loss_scale); or ",
                             loss_scale)
                       : "";
  return DivergedError(
      what, fmt::format("{}lower optimizer.learning_rate{} or set optimizer.max_gradient_norm; "
                        "checkpoints of before are kept",
                        smaller_scale, learning_rate ? fmt::format(" (now {:g})", *learning_rate) : ""));
}

void check_finite(ArenaView<const float> weights, std::int64_t step) {
  const auto finite = [](float w) { return std::isfinite(w); };
  for (const Slot& slot : weights.layout().slots()) {
    if (std::ranges::all_of(weights.all().subspan(slot.offset, slot.count()), finite)) continue;
    throw diverged_error(fmt::format(
        "step {}: {} is not finite: training has diverged, these weights are not saved", step, slot.name));
  }
}

}  // namespace fcmnist::train
