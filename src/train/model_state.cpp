#include "train/model_state.hpp"

#include <utility>

namespace fcmnist::train {

namespace {

/// Whether a rank takes part when stages give their numbers to rank 0, or get them from it.
bool carries_files(const comm::Grid& grid) { return grid.stages() > 1 && grid.replica() == 0; }

}  // namespace

ModelState::ModelState(const comm::Grid& grid, const model::Mlp& mlp)
    : grid_(&grid),
      mlp_(&mlp),
      weights_(grid.of_stage(), mlp.layout()),
      momentum_buffer_(grid.of_stage().node(), mlp.layout().size()) {}

void ModelState::initialize(std::uint64_t seed) {
  if (grid_->replica() == 0) mlp_->initialize(seed, weights());
  weights_.spread();
}

/// Not empty on rank 0 of several stages.
AlignedArray<float> ModelState::room_for_network() const {
  const bool is_needed = carries_files(*grid_) && grid_->is_first_stage();
  return AlignedArray<float>(is_needed ? mlp_->network_layout().size() : 0);
}

/// On rank 0: where numbers of all layers are, `mine` being those of this stage.
ArenaView<float> ModelState::whole(const AlignedArray<float>& numbers, ArenaView<float> mine) const {
  if (grid_->stages() == 1) return mine;
  return {mlp_->network_layout(), numbers.data()};
}

AlignedArray<float> ModelState::gather(ArenaView<const float> mine) const {
  AlignedArray<float> all = room_for_network();
  if (carries_files(*grid_)) grid_->of_replica().gather(mine.all(), {all.data(), all.size()}, 0);
  return all;
}

void ModelState::scatter(const AlignedArray<float>& all, ArenaView<float> mine) const {
  if (carries_files(*grid_)) grid_->of_replica().scatter({all.data(), all.size()}, mine.all(), 0);
}

void ModelState::load_weights(const store::Checkpoint* checkpoint) {
  const AlignedArray<float> all = room_for_network();
  comm::collectively(grid_->world().world(), [&] {
    if (checkpoint != nullptr) checkpoint->load_weights(whole(all, weights()));
  });
  scatter(all, weights());
  weights_.spread();
}

void ModelState::load_weights_and_optimizer(const store::Checkpoint* checkpoint) {
  load_weights(checkpoint);
  const AlignedArray<float> all = room_for_network();
  comm::collectively(grid_->world().world(), [&] {
    if (checkpoint != nullptr) checkpoint->load_optimizer("momentum_buffer", whole(all, momentum_buffer()));
  });
  scatter(all, momentum_buffer());
  const comm::Topology& stage = grid_->of_stage();
  if (stage.is_leader()) stage.peers().broadcast(momentum_buffer_.all(), 0);
  grid_->world().world().barrier();
}

std::optional<ModelState::Network> ModelState::gather() const {
  AlignedArray<float> all_weights = gather(weights()), all_momentum = gather(momentum_buffer());
  if (grid_->world().world().rank() != 0) return std::nullopt;
  const ArenaView<const float> w = whole(all_weights, weights()), m = whole(all_momentum, momentum_buffer());
  return Network{std::move(all_weights), std::move(all_momentum), w, m};
}

}  // namespace fcmnist::train
