#include "train/model_state.hpp"

namespace fcmnist::train {

namespace {

/// Whether a rank takes part when stages give their numbers to rank 0, or get them from it.
bool carries_files(const comm::Grid& grid) { return grid.stages() > 1 && grid.replica() == 0; }

std::size_t room_for_network(const comm::Grid& grid, const model::Mlp& mlp) {
  return carries_files(grid) && grid.is_first_stage() ? mlp.network_layout().size() : 0;
}

}  // namespace

ModelState::ModelState(const comm::Grid& grid, const model::Mlp& mlp)
    : grid_(&grid),
      mlp_(&mlp),
      weights_(grid.of_stage(), mlp.layout()),
      momentum_buffer_(grid.of_stage().node(), mlp.layout().size()),
      all_weights_(room_for_network(grid, mlp)),
      all_momentum_(room_for_network(grid, mlp)) {}

void ModelState::initialize(std::uint64_t seed) {
  if (grid_->replica() == 0) mlp_->initialize(seed, weights());
  weights_.spread();
}

/// On rank 0: where numbers of all layers are, `mine` being those of this stage.
ArenaView<float> ModelState::whole(const AlignedArray<float>& numbers, ArenaView<float> mine) const {
  if (grid_->stages() == 1) return mine;
  return {mlp_->network_layout(), numbers.data()};
}

void ModelState::gather(ArenaView<const float> mine, const AlignedArray<float>& all) const {
  if (carries_files(*grid_)) grid_->of_replica().gather(mine.all(), {all.data(), all.size()}, 0);
}

void ModelState::scatter(const AlignedArray<float>& all, ArenaView<float> mine) const {
  if (carries_files(*grid_)) grid_->of_replica().scatter({all.data(), all.size()}, mine.all(), 0);
}

void ModelState::load_weights(const store::Checkpoint* checkpoint) {
  comm::collectively(grid_->world().world(), [&] {
    if (checkpoint != nullptr) checkpoint->load_weights(whole(all_weights_, weights()));
  });
  scatter(all_weights_, weights());
  weights_.spread();
}

void ModelState::load_weights_and_optimizer(const store::Checkpoint* checkpoint) {
  load_weights(checkpoint);
  comm::collectively(grid_->world().world(), [&] {
    if (checkpoint == nullptr) return;
    checkpoint->load_optimizer("momentum_buffer", whole(all_momentum_, momentum_buffer()));
  });
  scatter(all_momentum_, momentum_buffer());
  const comm::Topology& stage = grid_->of_stage();
  if (stage.is_leader()) stage.peers().broadcast(momentum_buffer_.all(), 0);
  grid_->world().world().barrier();
}

std::optional<ModelState::Network> ModelState::gather() const {
  gather(weights(), all_weights_);
  gather(momentum_buffer(), all_momentum_);
  if (grid_->world().world().rank() != 0) return std::nullopt;
  return Network{whole(all_weights_, weights()), whole(all_momentum_, momentum_buffer())};
}

}  // namespace fcmnist::train
