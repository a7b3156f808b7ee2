#include "train/weight_update.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fcmnist::train {

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
      state_of_block_(state.optimizer_arrays().size()) {}

void WeightUpdate::sum_blocks() {
  comm::BlockOwners& owners = gradient_->owners();
  for (const std::size_t b : owners.owned()) {
    owners.set_block_value(b, gradient_->collect(owners.blocks()[b]));
  }
  owners.share_block_values();
}

/// From the squares that the owners of blocks have shared: added by slots, in block order, then over the
/// slots of the network in order. A slot lies on one stage, so the bits do not depend on the stages. The
/// times of the stages travel with the squares.
double WeightUpdate::norm() {
  std::ranges::fill(over_stages_, 0.0);
  const std::size_t slots = mlp_->network_layout().slots().size();
  const auto squares = std::span(over_stages_).first(slots);
  const auto stage_times = std::span(over_stages_).subspan(slots);
  gradient_->owners().sum_block_values(squares.subspan(mlp_->first_slot(), mlp_->layout().slots().size()));
  observer_->put_stage_times(stage_times);
  grid_->sum_over_stages(over_stages_);
  observer_->take_stage_times(stage_times);
  return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
}

std::span<const double> WeightUpdate::array_norms(double loss_scale) {
  for (std::size_t i = 0; i < array_norms_.size(); ++i)
    array_norms_[i] = std::sqrt(over_stages_[i]) / loss_scale;
  return array_norms_;
}

void WeightUpdate::apply(const optim::UpdateStep& step, bool blocks_are_summed) {
  update_my_blocks(step, blocks_are_summed);
  comm::BlockOwners& owners = gradient_->owners();
  owners.publish();
  for (const std::size_t b : owners.owned_by_others()) state_->take(owners.blocks()[b]);
}

void WeightUpdate::update_my_blocks(const optim::UpdateStep& step, bool blocks_are_summed) {
  comm::BlockOwners& owners = gradient_->owners();
  for (const std::size_t b : owners.owned()) {
    const Block& block = owners.blocks()[b];
    for (std::size_t k = 0; k < state_of_block_.size(); ++k) {
      state_of_block_[k] = state_->optimizer_arrays()[k].values.block(block);
    }
    const auto sources = blocks_are_summed ? gradient_->collected(block) : gradient_->sources(block);
    const double squares =
        optim::update_weights(*options_, step, sources, state_->weights().block(block), state_of_block_);
    if (!blocks_are_summed) owners.set_block_value(b, squares);
    state_->publish(block);
  }
}

void WeightUpdate::leave() { gradient_->owners().publish(); }

}  // namespace fcmnist::train
