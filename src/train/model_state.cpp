#include "train/model_state.hpp"

namespace fcmnist::train {

ModelState::ModelState(const comm::Topology& topology, const model::Mlp& mlp)
    : topology_(&topology),
      mlp_(&mlp),
      weights_(topology, mlp.layout()),
      momentum_buffer_(topology.node(), mlp.layout().size()) {}

void ModelState::initialize(std::uint64_t seed) {
  if (topology_->world().rank() == 0) mlp_->initialize(seed, weights());
  weights_.spread();
}

void ModelState::load_weights(const store::Checkpoint* checkpoint) {
  comm::collectively(topology_->world(), [&] {
    if (checkpoint != nullptr) checkpoint->load_weights(weights());
  });
  weights_.spread();
}

void ModelState::load_weights_and_optimizer(const store::Checkpoint* checkpoint) {
  load_weights(checkpoint);
  comm::collectively(topology_->world(), [&] {
    if (checkpoint != nullptr) checkpoint->load_optimizer("momentum_buffer", momentum_buffer());
  });
  if (topology_->is_leader()) topology_->peers().broadcast(momentum_buffer_.all(), 0);
  topology_->world().barrier();
}

}  // namespace fcmnist::train
