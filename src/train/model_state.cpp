#include "train/model_state.hpp"

#include <algorithm>

namespace fcmnist::train {

ModelState::ModelState(const comm::Topology& topology, const model::Mlp& mlp)
    : topology_(&topology),
      mlp_(&mlp),
      weights_(topology.node(), mlp.layout().size()),
      momentum_buffer_(topology.node(), mlp.layout().size()) {}

void ModelState::initialize(std::uint64_t seed) {
  if (topology_->is_leader()) {
    mlp_->initialize(seed, weights());
    std::ranges::fill(momentum_buffer_.all(), 0.0F);
  }
  topology_->world().barrier();
}

void ModelState::load_weights(const store::Checkpoint* checkpoint) {
  comm::collectively(topology_->world(), [&] {
    if (checkpoint != nullptr) checkpoint->load_weights(weights());
  });
  spread(weights());
}

void ModelState::load_weights_and_optimizer(const store::Checkpoint* checkpoint) {
  load_weights(checkpoint);
  comm::collectively(topology_->world(), [&] {
    if (checkpoint != nullptr) checkpoint->load_optimizer("momentum_buffer", momentum_buffer());
  });
  spread(momentum_buffer());
}

void ModelState::spread(ArenaView<float> values) const {
  if (topology_->is_leader()) topology_->peers().broadcast(values.all(), 0);
  topology_->world().barrier();
}

}  // namespace fcmnist::train
