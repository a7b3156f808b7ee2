#include "train/weight_update.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.hpp"
#include "core/ordered_sum.hpp"

namespace fcmnist::train {

using comm::Squares;

WeightUpdate::WeightUpdate(const optim::OptimizerOptions& options, const comm::Grid& grid,
                           const model::Mlp& mlp, ModelState& state, GradientSum& gradient,
                           StepObserver& observer)
    : options_(&options),
      grid_(&grid),
      mlp_(&mlp),
      state_(&state),
      gradient_(&gradient),
      observer_(&observer),
      over_stages_(mlp.network_layout().slots().size() + observer.stage_time_count()),
      array_norms_(mlp.network_layout().slots().size()),
      weight_norms_(2 * array_norms_.size()),
      trust_ratios_(mlp.layout().slots().size(), 1.0),
      direction_squares_(trust_ratios_.size()),
      state_of_block_(state.optimizer_arrays().size()) {
  for (const Slot& slot : mlp.layout().slots()) {
    weight_decays_.push_back(optim::weight_decay_of(options, slot.name));
    const bool is_bounded = options.max_weight_norm > 0.0 && slot.name.ends_with(".weight");
    FCMNIST_CHECK(!is_bounded || slot.order == Order::as_in_files, slot.name);
    bounded_rows_.push_back(is_bounded ? slot.cols : 0);
  }
}

void WeightUpdate::sum_blocks() {
  comm::BlockOwners& owners = gradient_->owners();
  for (const std::size_t b : owners.owned()) {
    owners.set_squares(Squares::of_gradient, b, gradient_->collect(owners.blocks()[b]));
  }
  owners.share_squares();
}

/// From the squares that the owners of blocks have shared: added by slots, in block order, then over the
/// slots of the network in order. A slot lies on one stage, so the bits do not depend on the stages. The
/// times of the stages travel with the squares.
double WeightUpdate::norm() {
  std::ranges::fill(over_stages_, 0.0);
  const std::size_t slots = mlp_->network_layout().slots().size();
  const auto squares = std::span(over_stages_).first(slots);
  const auto stage_times = std::span(over_stages_).subspan(slots);
  sum_squares_of_slots(Squares::of_gradient, squares);
  observer_->put_stage_times(stage_times);
  grid_->sum_over_stages(over_stages_);
  observer_->take_stage_times(stage_times);
  return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
}

/// Writes the numbers of this stage's slots at their place among those of the network.
void WeightUpdate::sum_squares_of_slots(Squares which, std::span<double> sums) {
  gradient_->owners().sum_squares(which, sums.subspan(mlp_->first_slot(), mlp_->layout().slots().size()));
}

std::span<const double> WeightUpdate::array_norms(double loss_scale) {
  for (std::size_t i = 0; i < array_norms_.size(); ++i)
    array_norms_[i] = std::sqrt(over_stages_[i]) / loss_scale;
  return array_norms_;
}

/// Summed as in norm(). The barrier of apply() has shared the squares.
WeightUpdate::WeightNorms WeightUpdate::weight_norms() {
  std::ranges::fill(weight_norms_, 0.0);
  const auto weights = std::span(weight_norms_).first(array_norms_.size());
  const auto updates = std::span(weight_norms_).subspan(array_norms_.size());
  sum_squares_of_slots(Squares::of_weights, weights);
  sum_squares_of_slots(Squares::of_update, updates);
  grid_->sum_over_stages(weight_norms_);
  for (double& number : weight_norms_) number = std::sqrt(number);
  return {weights, updates};
}

void WeightUpdate::apply(const optim::UpdateStep& step, bool blocks_are_summed, bool with_norms) {
  if (optim::has_two_phases(*options_)) {
    FCMNIST_CHECK(blocks_are_summed, "two phases need the sum of the gradients");
    find_trust_ratios(step);
    observer_->has_done(Activity::sum);
  }
  update_my_blocks(step, blocks_are_summed, with_norms);
  observer_->has_done(Activity::update);
  comm::BlockOwners& owners = gradient_->owners();
  owners.publish();
  observer_->has_done(Activity::publish);
  for (const std::size_t b : owners.owned_by_others()) state_->take(owners.blocks()[b]);
  observer_->has_done(Activity::copy);
}

/// The first of two phases. An array lies on one stage, and all nodes have the same weights, state and gradient:
/// so each node finds the norms of the arrays of its stage by itself. The squares are added in block order, so
/// the bits do not depend on the world.
void WeightUpdate::find_trust_ratios(const optim::UpdateStep& step) {
  comm::BlockOwners& owners = gradient_->owners();
  for (const std::size_t b : owners.owned()) {
    const Block& block = owners.blocks()[b];
    const std::span gradient(gradient_->collected(block).front(), block.count);
    const auto squares = optim::prepare_update(*options_, of_array(block.slot, step), gradient,
                                               state_->weights().block(block), optimizer_state(block));
    owners.set_squares(Squares::of_weights_before, b, squares.weights);
    owners.set_squares(Squares::of_direction, b, squares.direction);
  }
  owners.share_squares();
  owners.sum_squares(Squares::of_weights_before, trust_ratios_);
  owners.sum_squares(Squares::of_direction, direction_squares_);
  for (std::size_t s = 0; s < trust_ratios_.size(); ++s) {
    trust_ratios_[s] = optim::trust_ratio(*options_, mlp_->layout()[s].name, std::sqrt(trust_ratios_[s]),
                                          std::sqrt(direction_squares_[s]));
  }
}

optim::UpdateStep WeightUpdate::of_array(std::size_t slot, optim::UpdateStep step) const {
  step.weight_decay = weight_decays_[slot];
  step.trust_ratio = trust_ratios_[slot];
  step.row = bounded_rows_[slot];
  return step;
}

/// One block of each optimizer array. Valid until the next call.
std::span<const std::span<float>> WeightUpdate::optimizer_state(const Block& block) {
  for (std::size_t k = 0; k < state_of_block_.size(); ++k) {
    state_of_block_[k] = state_->optimizer_arrays()[k].values.block(block);
  }
  return state_of_block_;
}

void WeightUpdate::update_my_blocks(const optim::UpdateStep& step, bool blocks_are_summed, bool with_norms) {
  comm::BlockOwners& owners = gradient_->owners();
  for (const std::size_t b : owners.owned()) {
    const Block& block = owners.blocks()[b];
    const auto sources = blocks_are_summed ? gradient_->collected(block) : gradient_->sources(block);
    const std::span<float> weights = state_->weights().block(block);
    if (with_norms) before_.assign(weights.begin(), weights.end());
    const double squares = optim::update_weights(*options_, of_array(block.slot, step), sources, weights,
                                                 optimizer_state(block));
    if (!blocks_are_summed) owners.set_squares(Squares::of_gradient, b, squares);
    if (with_norms) set_weight_squares(b, before_);
    state_->publish(block);
  }
}

/// `before`: the block before its update; it is overwritten.
void WeightUpdate::set_weight_squares(std::size_t block_index, std::span<float> before) {
  comm::BlockOwners& owners = gradient_->owners();
  const std::span<const float> weights = state_->weights().block(owners.blocks()[block_index]);
  for (std::size_t i = 0; i < weights.size(); ++i) before[i] = weights[i] - before[i];
  owners.set_squares(Squares::of_weights, block_index, sum_of_squares(weights));
  owners.set_squares(Squares::of_update, block_index, sum_of_squares(before));
}

void WeightUpdate::leave() { gradient_->owners().publish(); }

}  // namespace fcmnist::train
